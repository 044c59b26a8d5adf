"""The words of the teaching text: two lexicons that share no name, attribute or value word.

``TEACHING`` is what the model is trained on; ``DEVELOPMENT`` is looked at while the text is
widened; ``held_out`` is what it is measured on. Names are made of syllables, so
there is no end of them, and no name of a real thing has to be known to read about it.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from functools import cached_property


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split(",") if part.strip())


@dataclass(frozen=True)
class Lexicon:
    """The open classes of words that the teaching text is drawn from."""

    onsets: tuple[str, ...]
    vowels: tuple[str, ...]
    codas: tuple[str, ...]
    kinds: tuple[str, ...]
    attributes: tuple[str, ...]
    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    colours: tuple[str, ...]
    materials: tuple[str, ...]
    places: tuple[str, ...]
    roles: tuple[str, ...]
    units: tuple[str, ...]
    months: tuple[str, ...]
    days: tuple[str, ...]
    unlisted: float = 0.0
    """Share of listed words that a made-up word takes the place of."""
    pieces: float = 0.0
    """Share of made-up words that are joined from any pieces of words, so that no token stays untaught."""
    word_pieces: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """Pieces that words begin with, and pieces that they go on with."""
    forbidden: frozenset[str] = frozenset()
    """Words that joined pieces must not make."""

    @cached_property
    def closed_words(self) -> frozenset[str]:
        """Every listed content word, lower case; what the other lexicon must not use."""
        listed = (self.kinds, self.attributes, self.adjectives, self.nouns, self.verbs, self.colours, self.materials)
        return frozenset(
            word for group in (*listed, self.roles, self.units) for phrase in group for word in phrase.split()
        )

    def invented(self, draw: random.Random, syllables: int | None = None) -> str:
        """A made-up lower-case word: one to three syllables, or some pieces of words."""
        if draw.random() < self.pieces:
            return self._joined(draw)
        count = syllables or draw.choice((1, 2, 2, 2, 3))
        parts = [draw.choice(self.onsets) + draw.choice(self.vowels) for _ in range(count)]
        return "".join(parts) + draw.choice(self.codas)

    def _joined(self, draw: random.Random) -> str:
        firsts, others = self.word_pieces
        while True:
            more = draw.choice((0, 1, 1, 2)) if others else 0
            first = (
                draw.choice(firsts) if firsts else "".join(draw.choices(string.ascii_lowercase, k=draw.randint(5, 8)))
            )
            word = first + "".join(draw.choice(others) for _ in range(more))
            if len(word) > 2 and word not in self.forbidden:
                return word


TEACHING = Lexicon(
    onsets=words(
        "b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kn l m n p pl pr qu r s sc sh sk sl sm sn sp st str t th tr"
        " v w wh z y"
    ),
    vowels=words("a e i o u a e i o ai ea ee oa ou ia io au"),
    codas=(*words("n r l s t m d k x nd rt st ck ng ll ss nt lk rd sh th p g"), "", "", "", "", ""),
    kinds=phrases(
        """lamp, ladder, museum, bridge, river, school, library, ship, tower, garden, engine, camera, clock, bakery, hotel,
        theatre, mill, train, bus, boat, harbour, market, hospital, castle, village, company, team, club, band,
        festival, painting, book, film, song, game, tool, drill, pump, saw, oven, mixer, heater, fan, bell, drum, piano,
        guitar, violin, knife, bowl, chair, table, desk, shelf, cabin, tent, backpack, jacket, boot, glove, helmet,
        bicycle, tractor, truck, wagon, plane, rocket, satellite, telescope, microscope, sensor, robot, battery,
        printer, scanner, monitor, keyboard, radio, speaker, phone, tablet, server, network, program, report, contract,
        policy, rule, plan, course, lesson, exam, prize, medal, flag, coin, stamp, letter, parcel, ticket, permit,
        licence, recipe, soup, cake, bread, cheese, tea, coffee, juice, medicine, cream, soap, paint, glue, rope, chain,
        wire, pipe, valve, tank, filter, lock, key, door, gate, window, wall, roof, floor, room, hall, office, factory,
        farm, barn, field, forest, mountain, valley, lake, island, beach, road, path, tunnel, station, airport, bank,
        shop, studio, laboratory, clinic, gym, pool, court, prison, church, temple, statue, fountain, park, zoo,
        aquarium, dog, horse, cat, bird, fish, tree, flower, plant, seed, crystal, stone, metal, planet, moon, star,
        comet, storm, flood, war, treaty, law, tax, fund, loan, invoice, account, service, support desk, night shift,
        meeting, project, survey, study, trial, device, model, system, machine, unit, kit, set, package, subscription,
        membership, insurance, guarantee, manual, sheet, form, page, folder, file, application, website, newspaper,
        magazine, archive, department, branch, committee, agency, union, hostel, cafe, restaurant, kiosk, stall, depot,
        workshop, garage, elevator, stairway, corridor, platform, vehicle, scooter, bracelet, necklace, ring, watch,
        wallet, purse, umbrella, blanket, mattress, carpet, stove, fridge, microwave, hammer,
        wrench, nozzle, motor, turbine, generator, charger, adapter, cable, antenna, drone, projector, console, puzzle,
        bonus, pension, grant, scholarship, delivery, shipment, appointment, reservation, booking, refund
        office, message, alarm, signal, error, warning, notice, button, procedure, protocol"""
    ),
    attributes=phrases(
        """depth, founder, director, manager, captain,
        leader, teacher, driver, author, editor, inventor, painter, singer, sponsor, maker, supplier,
        keeper, neighbour, partner, rival, size, shape, name, nickname, motto, symbol, password, code, number, serial
        number, address, home town, capital, language, currency, population, area, speed, power,
        voltage, volume, pressure, temperature, limit, deadline, start
        date, end date, birthday, anniversary, interval, frequency, delay, fee, fine, discount,
        deposit, budget, salary, reward, score, rank, grade, level, class, category, type, brand, version, edition,
        format, material, fabric, coating, flavour, smell, taste, sound, texture, pattern, main ingredient, fuel, food,
        drink, favourite dish, habitat, enemy, hobby, task, duty, purpose, goal, method, cause, effect, risk,
        symptom, treatment, remedy, dose, diet, warning sign, rating, status, phase, mode, setting, channel, signal,
        port, plug, button, switch, handle, lid, cover, base, wheel, blade, lens, screen, memory, storage, battery life,
        response time, contact person, phone line, meeting place, meeting day, rest day, guest limit, minimum age,
        maximum load, spare part, replacement part, cleaning agent, storage place, delivery time, service interval"""
    ),
    adjectives=phrases(
        """old, new, big, small, tall, short, long, wide, narrow, deep, heavy, light, dark, bright, warm, cold, hot, dry,
        wet, soft, hard, smooth, rough, sharp, round, square, flat, thick, thin, quick, slow, loud, quiet, strong, weak,
        rich, poor, clean, dirty, full, empty, open, closed, front, back, left, right, upper, lower, inner, outer,
        north, south, east, west, early, late, first, second, third, last, main, minor, public, private, common, rare,
        simple, plain, fancy, brave, calm, clever, gentle, happy, honest, kind, lazy, proud, silent, wise, young, wild,
        fresh, sweet, bitter, sour, salty, spicy, wooden, broken, hidden, secret, sacred, royal, famous, local, modern,
        ancient, final, total, daily, weekly, yearly, special, normal, safe, spare, extra, single, double, triple, able,
        afraid, alive, alone, angry, automatic, available, average, awake, bad, basic, beautiful, best, better, blind,
        busy, careful, certain, cheap, chemical, civil, clear, close, comfortable, complete, complex, correct, crazy,
        current, damp, dangerous, dead, dear, different, difficult, direct, eager, easy, electric, equal, exact,
        excellent, expensive, external, fair, familiar, fast, favourite, few, fine, firm, flexible, foreign, formal,
        free, frequent, friendly, funny, further, general, glad, good, grand, great, guilty, half, handy, healthy, high,
        huge, human, ill, important, independent, individual, internal, international, joint, large, latest, least,
        legal, less, likely, limited, little, lively, living, loose, lost, low, lucky, mad, many, medical, mental, mild,
        moving, natural, near, neat, necessary, negative, nervous, next, nice, obvious, odd, official, online, only,
        opposite, ordinary, original, other, outside, particular, perfect, personal, physical, polite, political,
        popular, positive, possible, powerful, practical, present, previous, professional, proper, raw, ready, real,
        reasonable, recent, regular, responsible, sad, same, senior, separate, serious, several, severe, sick, similar,
        slight, social, solid, specific, stable, standard, steady, steep, stiff, strange, strict, sudden, suitable,
        sure, tight, tiny, tired, top, true, typical, ugly, unusual, urgent, useful, usual, valid, valuable, various,
        vast, violent, visible, whole, willing, worth, wrong"""
    ),
    nouns=phrases(
        """apple, arrow, basket, beam, bed, bench, blanket, board, bolt, bottle, box, branch, brick, brush, bucket, cable,
        candle, card, carpet, cart, case, ceiling, circle, cloth, cloud, coat, collar, column, cord, corner, cotton,
        crate, crown, cup, curtain, dish, drawer, dust, edge, feather, fence, fire, frame, fruit, grain, grass, hammer,
        hat, hill, hook, horn, ice, ink, jar, kettle stand, label, leaf, leather, lever, line, lamp oil, map, mask, mat,
        mirror, nail, needle, nest, net, nut, paper, pedal, pen, pencil, pillow, plate, pocket, pole, pot, powder, rail,
        ribbon, ring, root, sack, sail, salt, sand, scarf, screw, shell, shirt, shoe, shovel, sign, smoke, snow, spoon,
        spring, stick, stool, straw, string, sugar, tail, tape, thread, tile, towel, tray, trunk, tube, vase, water,
        wax, whistle, wing, wood, wool, people, child, woman, man, friend, visitor, guest, worker, student, farmer,
        doctor, nurse, guard, judge, pilot, cook, artist, writer, king, queen, night, day, morning, evening, week,
        month, year, summer, winter, hour, minute, part, piece, side, end, top, bottom, middle, place, time, way, thing,
        question, answer, story, idea, word, page, list, rule, step, result, problem, change, reason, example, note,
        account, action, advice, afternoon, air, amount, angle, animal, area, arm, army, article, attempt, aunt, baby,
        bag, balance, ball, base, bath, battle, bear, benefit, bill, bit, blood, body, bone, brain, brother, building,
        business, button, cause, cent, centre, century, chance, chapter, charge, choice, citizen, city, class, clerk,
        climate, coast, colour, comment, committee, community, complaint, computer, condition, connection, contact,
        control, copy, cost, country, couple, cover, credit, crew, crop, crowd, culture, customer, damage, data, date,
        daughter, deal, decision, degree, demand, department, detail, difference, dinner, direction, distance, doubt,
        dream, dress, ear, earth, economy, effort, egg, election, employee, energy, entrance, envelope, error, evidence,
        exercise, exit, expert, eye, face, fact, failure, family, father, fear, feature, feeling, feet, figure, file,
        finger, finish, flight, food, foot, force, form, fuel, furniture, future, gas, gift, girl, glass, goal, goods,
        government, group, growth, guide, hair, half, hand, head, health, heart, heat, help, history, hole, holiday,
        home, hope, house, husband, image, industry, information, insect, instruction, insurance, interest, iron, item,
        journey, juice, kitchen, knee, knowledge, lack, land, lane, laundry, law, layer, lead, leg, length, level, life,
        light, limit, link, liquid, love, lunch, luck, majority, manner, market, mass, matter, meal, meaning, meat,
        member, memory, message, milk, mind, mistake, mixture, model, money, mother, mouth, movement, music, nation,
        nature, neck, news, noise, nose, notice, number, object, offer, oil, opinion, option, owner, package, pain,
        pair, parent, passenger, passage, payment, peace, person, picture, plastic, player, point, police, position,
        post, pound, practice, present, price, process, product, profit, promise, proof, property, purchase, purpose,
        quality, quantity, quarter, race, rain, rate, receipt, record, region, relation, request, rest, return, rice,
        risk, rock, rubbish, safety, sale, sample, scale, scene, science, season, seat, section, sense, service, shadow,
        shape, share, sheet, shop, shoulder, sister, situation, skill, skin, sky, sleep, society, soil, solution, son,
        sort, sound, source, space, speech, speed, staff, stage, stairs, state, statement, stomach, store, stranger,
        stream, street, strength, structure, subject, success, sun, supply, surface, surprise, system, talk, taste,
        teacher, team, term, test, text, theory, thought, title, tooth, topic, touch, town, trade, traffic, training,
        travel, trip, trouble, truth, uncle, university, use, user, value, variety, vehicle, view, voice, walk, war,
        warning, waste, weather, weight, wheel, wife, wind, wine, work, world, writing, youth"""
    ),
    verbs=phrases(
        """open, close, move, carry, clean, repair, paint, lift, push, pull, press, hold, turn, check, watch, follow,
        visit, keep, use, find, lose, build, break, bring, buy, sell, send, receive, wash, cut, fill, empty, start,
        stop, test, measure, count, read, write, show, hide, cover, protect, support, choose, prepare, collect, share,
        replace, remove, add, join, order, pay, return, cancel, change, reset, update, install, connect, charge, store,
        accept, admit, agree, allow, announce, answer, apply, arrange, arrive, ask, avoid, beat, become, begin, believe,
        belong, bend, block, boil, book, borrow, breathe, burn, call, catch, cause, climb, come, compare, complain,
        complete, consider, contact, contain, continue, control, cook, copy, correct, cost, cross, cry, dance, decide,
        deliver, demand, deny, depend, describe, design, destroy, die, discover, discuss, divide, draw, dream, dress,
        drink, drive, drop, dry, earn, eat, enable, end, enjoy, enter, examine, exchange, exist, expect, explain,
        express, extend, fail, fall, fear, feed, feel, fight, finish, fit, fix, fly, force, forget, forgive, freeze,
        gather, get, give, go, grow, guess, handle, hang, happen, hear, heat, help, hit, hope, hurt, imagine, improve,
        include, increase, inform, intend, introduce, invite, jump, kick, kill, know, laugh, lead, learn, leave, lend,
        let, lie, like, link, listen, live, load, lock, look, love, make, manage, mark, match, matter, mean, meet, melt,
        mind, miss, mix, need, notice, offer, operate, own, pack, pass, perform, pick, place, plan, plant, play, point,
        pour, practise, prefer, prevent, print, produce, promise, provide, publish, put, raise, reach, realise,
        recommend, record, reduce, refer, refuse, register, release, remain, remember, remind, rent, repeat, reply,
        report, request, require, rest, ride, ring, rise, roll, run, save, say, search, see, seem, select, separate,
        serve, set, settle, shine, shoot, shout, shut, sign, sing, sit, sleep, slide, smell, smile, smoke, solve, speak,
        spell, spend, spread, stand, stay, steal, stick, study, succeed, suffer, suggest, supply, suppose, swim, switch,
        take, talk, taste, teach, tear, tell, thank, think, throw, tie, touch, train, transfer, travel, treat, try,
        understand, upload, vary, wait, wake, walk, want, warm, warn, waste, wear, win, wipe, wish, wonder,
        work, worry, wrap"""
    ),
    colours=phrases(
        """red, blue, green, yellow, black, white, brown, grey, purple, orange, pink, golden, silver, dark red, light
        blue, pale green, deep purple, bright yellow, dark grey, sky blue"""
    ),
    materials=phrases(
        """wood, stone, steel, iron, copper, glass, paper, clay, wool, cotton, leather, rubber, plastic, bronze, silk,
        oak, pine, marble, sand, ash, brass, felt, cork, bamboo"""
    ),
    places=phrases(
        """behind the old barn, near the north gate, on the second floor, under the bridge, beside the lake, in the east
        wing, next to the station, at the end of the road, in the cellar, on the roof, in room 12, in hall 4, at the
        front desk, in the top drawer, on the left side, below the handle, inside the lid, on the back wall, in the
        main square, across the river, behind the counter, in a dry cupboard, above the door, on the third shelf"""
    ),
    roles=phrases(
        """farmer, baker, doctor, nurse, pilot, singer, painter, writer, judge, guard, cook, teacher, student, captain,
        engineer, lawyer, dentist, gardener, carpenter, clerk, mayor, coach, printer, weaver, sailor, miner"""
    ),
    units=phrases(
        """metres, kilometres, centimetres, grams, kilograms, litres, hours, minutes, seconds, days, weeks, months, years,
        watts, volts, degrees, percent, dollars, euros, coins, points, pages, people, steps, pieces, tons, miles"""
    ),
    months=words("January March April June July September November December"),
    days=words("Monday Tuesday Thursday Friday Saturday"),
    unlisted=0.25,
    pieces=0.12,
)

DEVELOPMENT = Lexicon(
    onsets=words("sw tw dw gw vl vr zh by py my ny dy sv"),
    vowels=words("a e i o u ei oi oo ua"),
    codas=(*words("b f ft mp nk rm rn lm sk sp z"), "", "", ""),
    kinds=phrases(
        """kayak, lantern, orchard, quarry, ferry, gallery, brewery, canal, lighthouse, chapel, glider, sledge, anvil,
        loom, trumpet, sofa, wardrobe, dishwasher, toaster, freezer, router, webcam, webinar, voucher, warehouse,
        reservoir, greenhouse, vineyard, observatory, academy, choir, parade, sculpture, novel, poem, cocktail, syrup"""
    ),
    attributes=phrases(
        """hue, tenant, curator, chairman, sculptor, composer, altitude, thickness, diameter, bandwidth, torque, tariff,
        surcharge, rebate, mascot, slogan, emblem, nationality, landlord, trainer, vintage, expiry, quota, seating,
        lubricant, sealant, garnish, topping, stuffing, upholstery, voucher stub, curfew, headcount, viscosity,
        wattage, resolution, alias, postcode, overseer, custodian, intake, yield, harvest, antidote, allergen"""
    ),
    adjectives=phrases(
        "crimson, dusty, fragile, glossy, hollow, icy, jagged, lunar, misty, noble, polar, rusty, stern"
    ),
    nouns=phrases(
        """acorn, badge, bracket, buckle, canvas, cardigan, cushion, dagger, fossil, funnel, gasket, hinge, kernel, knob,
        latch, magnet, muffin, napkin, olive, paddle, pebble, pulley, saddle, sponge, staircase, thimble, turnip, walnut"""
    ),
    verbs=phrases("polish, rinse, tighten, loosen, fold, unplug, inspect, shake, sweep, weld"),
    colours=phrases("teal, beige, maroon, turquoise, ivory, lilac, khaki, navy, scarlet, amber"),
    materials=phrases("granite, velvet, aluminium, linen, porcelain, zinc, nylon, rattan, concrete, wicker"),
    places=phrases(
        """opposite the chapel, beneath the stairs, along the canal, outside the pharmacy, within the courtyard, at gate
        37, in corridor 9, atop the cliff, past the roundabout, in the attic"""
    ),
    roles=phrases("plumber, tailor, diver, barber, janitor, florist, jockey, surgeon, usher, glazier"),
    units=phrases("inches, yards, ounces, gallons, decades, fortnights, joules, francs, acres, knots, pints"),
    months=words("February May August October"),
    days=words("Wednesday Sunday"),
)
