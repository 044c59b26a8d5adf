"""The words and sentences that the model is trained on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from training.pretrain.lexicon import Lexicon, phrases, words
from training.pretrain.phrasing import Phrasing, lines, read_phrasing, relation

LEXICON = Lexicon(
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


PHRASING = Phrasing(
    attribute_statements=lines(
        """
        The {a} of {e} is {v}.
        {e} has a {a} of {v}.
        For {e}, the {a} is {v}.
        {e} comes with {v} as its {a}.
        The {a} for {e} was set to {v}.
        {e} uses {v} as the {a}.
        At {e}, the {a} is {v}.
        Everyone knows that the {a} of {e} is {v}.
        Please note that {e} has {v} as {a}.
        According to the list, {e} has the {a} {v}.
        Since last year the {a} of {e} has been {v}.
        With {e} you get a {a} of {v}.
        Today the {a} of {e} is {v}.
        {e} is known for its {a}, which is {v}.
        In the case of {e} the {a} is {v}.
        When it comes to {e}, expect {v} as the {a}.
        The {a} that {e} has is {v}.
        Of all its features, {e} lists {v} under {a}.
        {e} was given {v} for its {a}.
        {e} now offers a {a} of {v}.
        You can count on {e} for a {a} of {v}.
        We chose {v} as the {a} of {e}.
        The sheet about {e} says that its {a} is {v}.
        Our {a} for {e} will be {v} from now on.
        Nothing but {v} will do as the {a} of {e}.
        The {a} of {e} has always been {v}, and it will stay so.
        The {a} of {e} ({v}) is shown on the first page.
        {e} ({a}: {v}) is on the list.
        Whoever looks at {e} will see that the {a} is {v}.
        There is only one {a} for {e}: {v}.
        {e} shows {v} where the {a} should be.
        With its {a} of {v}, {e} is something special.
        Having {v} as {a}, {e} is well liked.
        Please write down the {a} of {e}, namely {v}.
        As you may have heard, {e} got {v} as its new {a}.
        Do not forget: {a} of {e} is {v}.
        Both the label and the box of {e} give its {a} as {v}.
        {e} can have no other {a} than {v}.
        From the start {v} was meant to be the {a} of {e}.
        {v} is the {a} of {e}.
        {v} is what {e} has as its {a}.
        {v} serves as the {a} of {e}.
        As {a}, {e} has {v}.
        {e}'s {a} is {v}.
        {e}'s {a}: {v}.
        The {a} is {v} for {e}.
        You will find that {e} has a {a} of {v}.
        Its {a} makes {e} special: {v}.
        The {a} given for {e} is {v}.
        {e}, whose {a} is {v}, is on page two.
        If you need the {a} of {e}, it is {v}.
        The {a} of {e} changed to {v}.
        They raised the {a} of {e} to {v}.
        The usual {a} of {e} is {v}.
        {e} requires a {a} of {v}.
        {e} may have a {a} of {v} at most.
        {v} was named as the {a} of {e}.
        The right {a} for {e} would be {v}.
        We measured the {a} of {e}: {v}.
        Next to {a}, the page of {e} shows {v}.
        About {e}: its {a} is {v}.
        {a} of {e}: {v}.
        {e}, {a}: {v}.
        {e} takes {v} as {a}.
        {e} can show a {a} of {v}.
        The {a} you get with {e} is {v}.
        It has {v} as its {a}, does {e}.
        """
    ),
    attribute_questions=lines(
        """
        What is the {a} of {e}?
        What {a} does {e} have?
        Which {a} does {e} have?
        What is the {a} for {e}?
        Tell me the {a} of {e}.
        I need to know the {a} of {e}.
        {e}: what is the {a}?
        Can you tell me the {a} of {e}?
        Do you know what the {a} of {e} is?
        For {e}, what is the {a}?
        What do we know about the {a} of {e}?
        What {a} comes with {e}?
        Please give the {a} of {e}.
        How about the {a} of {e}?
        What does it say about the {a} of {e}?
        Is there a {a} for {e}, and if so, which?
        What would you call the {a} of {e}?
        Name the {a} of {e}.
        Show me which {a} belongs to {e}.
        {e} has which {a}?
        {e} has a {a}. What is it?
        In the case of {e}, what is the {a}?
        I am looking for the {a} of {e}.
        I forgot the {a} of {e}. What was it?
        What was the {a} of {e} again?
        Someone asked for the {a} of {e}.
        Which {a} was given to {e}?
        What is {e}'s {a}?
        When I look at {e}, what {a} will I see?
        Please find out the {a} of {e} for me.
        Hello, what is the {a} of {e}? Thank you.
        The {a} of {e}, please.
        My question is about {e}: what {a} does it have?
        What should I write down as the {a} of {e}?
        Does {e} have a {a}? Which one?
        What kind of {a} does {e} have?
        What has {e} as its {a}?
        {e}'s {a}?
        {a} of {e}?
        {e} {a}
        what's the {a} of {e}
        Could I have the {a} of {e}?
        Any idea what the {a} of {e} is?
        Under {a}, what does {e} list?
        What should the {a} of {e} be?
        Which one is the {a} of {e}?
        What is listed as the {a} of {e}?
        What do you have as {a} for {e}?
        Is it known what {a} {e} has?
        Remind me of the {a} of {e}.
        Where {e} is concerned, what is the {a}?
        What {a} can I expect from {e}?
        Let me know the {a} of {e}, please.
        Could you look up the {a} of {e}?
        How would you describe the {a} of {e}?
        """
    ),
    relations=(
        relation(
            "weight",
            "measure",
            "{e} weighs {v}. / The weight of {e} is {v}.",
            "How much does {e} weigh? / How heavy is {e}?",
        ),
        relation(
            "price",
            "money",
            "{e} costs {v}. / The price of {e} is {v}. / You pay {v} for {e}.",
            "How much does {e} cost? / What does {e} cost? / How much is {e}? / What is the price of {e}?",
        ),
        relation(
            "opens",
            "time",
            "{e} opens at {v}. / The doors of {e} open at {v}.",
            "When does {e} open? / At what time does {e} open? / What time does {e} open? / From what time is {e} open?",
        ),
        relation(
            "closes",
            "time",
            "{e} closes at {v}. / {e} stays open until {v}.",
            "When does {e} close? / At what time does {e} close? / Until when is {e} open?",
        ),
        relation(
            "hours",
            "hours",
            "{e} is open {v}. / You can visit {e} {v}.",
            "What are the opening hours of {e}? / During which hours is {e} open?",
        ),
        relation(
            "place",
            "place",
            "{e} is kept {v}. / {e} stands {v}. / You find {e} {v}.",
            "Where is {e}? / Where is {e} kept? / Where do I find {e}? / Where can I find {e}?",
        ),
        relation(
            "made of",
            "material",
            "{e} is made of {v}. / {e} consists of {v}.",
            "What is {e} made of? / Which material is {e} made of?",
        ),
        relation(
            "built by", "person", "{e} was built by {v}. / {v} built {e}.", "Who built {e}? / By whom was {e} built?"
        ),
        relation(
            "designed by",
            "person",
            "{e} was designed by {v}. / {v} designed {e}.",
            "Who designed {e}? / Who is the designer of {e}?",
        ),
        relation(
            "found by", "person", "{e} was found by {v}. / {v} found {e}.", "Who found {e}? / By whom was {e} found?"
        ),
        relation(
            "run by",
            "person",
            "{e} is run by {v}. / {v} runs {e}. / {v} is in charge of {e}.",
            "Who runs {e}? / Who is in charge of {e}?",
        ),
        relation(
            "belongs to",
            "name",
            "{e} belongs to {v}. / {v} owns {e}.",
            "Who owns {e}? / Whom does {e} belong to? / To whom does {e} belong?",
        ),
        relation(
            "opened",
            "date",
            "{e} was opened on {v}. / {e} started on {v}.",
            "When was {e} opened? / When did {e} start? / On what date was {e} opened?",
        ),
        relation(
            "built in",
            "year",
            "{e} was built in {v}. / {e} dates from {v}.",
            "When was {e} built? / In which year was {e} built? / What year is {e} from?",
        ),
        relation(
            "lasts",
            "duration",
            "{e} lasts {v}. / {e} takes {v}. / The duration of {e} is {v}.",
            "How long does {e} last? / How long does {e} take?",
        ),
        relation(
            "holds",
            "measure",
            "{e} holds {v}. / {e} has room for {v}.",
            "How much does {e} hold? / What does {e} hold? / How much room does {e} have?",
        ),
        relation(
            "reach",
            "measure",
            "{e} reaches {v}. / The range of {e} is {v}.",
            "How far does {e} reach? / What is the range of {e}?",
        ),
        relation("height", "measure", "{e} is {v} high. / {e} rises {v}.", "How high is {e}? / How tall is {e}?"),
        relation(
            "length",
            "measure",
            "{e} is {v} long. / The length of {e} is {v}.",
            "How long is {e}? / What is the length of {e}?",
        ),
        relation(
            "cleaning",
            "duration",
            "{e} must be cleaned every {v}. / Clean {e} every {v}.",
            "How often must {e} be cleaned? / How often should I clean {e}?",
        ),
        relation(
            "checked",
            "weekday",
            "{e} is checked on {v}. / The check of {e} is on {v}.",
            "When is {e} checked? / On which day is {e} checked?",
        ),
        relation(
            "meets",
            "weekday",
            "{e} meets on {v}. / The members of {e} come together on {v}.",
            "When does {e} meet? / On what day does {e} meet?",
        ),
        relation(
            "comes from",
            "name",
            "{e} comes from {v}. / {e} was brought from {v}.",
            "Where does {e} come from? / What place does {e} come from?",
        ),
        relation(
            "sent from",
            "name",
            "{e} is sent from {v}. / {e} ships from {v}.",
            "Where is {e} sent from? / From where does {e} ship?",
        ),
        relation(
            "ready",
            "duration",
            "{e} is ready after {v}. / It takes {v} until {e} is ready.",
            "When is {e} ready? / How long until {e} is ready?",
        ),
        relation(
            "reset",
            "action",
            "To reset {e}, {v}. / If you want to reset {e}, {v}.",
            "How do I reset {e}? / What must I do to reset {e}?",
        ),
        relation(
            "start",
            "action",
            "To start {e}, {v}. / {e} starts when you {v}.",
            "How do I start {e}? / How is {e} started?",
        ),
        relation(
            "open",
            "action",
            "To open {e}, {v}. / Before you open {e}, {v}.",
            "How do I open {e}? / What do I do to open {e}?",
        ),
        relation(
            "stop",
            "action",
            "To stop {e}, {v}. / {e} stops when you {v}.",
            "How do I stop {e}? / How can {e} be stopped?",
        ),
        relation(
            "stuck",
            "action",
            "If {e} is stuck, {v}. / When {e} gets stuck, {v}.",
            "What should I do if {e} is stuck? / {e} is stuck, what can I do?",
        ),
        relation(
            "broken",
            "action",
            "If {e} breaks, {v}. / Should {e} break, {v}.",
            "What do I do if {e} breaks? / {e} is broken. What now?",
        ),
        relation(
            "wet",
            "action",
            "If {e} gets wet, {v}. / When {e} is wet, {v}.",
            "What happens if {e} gets wet? / What should I do when {e} is wet?",
        ),
        relation(
            "meaning",
            "state",
            "{e} means that {v}. / {e} tells you that {v}.",
            "What does {e} mean? / What is the meaning of {e}?",
        ),
        relation(
            "cause",
            "state",
            "{e} appears when {v}. / {e} shows up if {v}.",
            "When does {e} appear? / Why do I see {e}?",
        ),
        relation(
            "needs",
            "phrase",
            "{e} needs {v}. / {v} is needed for {e}.",
            "What does {e} need? / What is needed for {e}?",
        ),
        relation(
            "works with",
            "phrase",
            "{e} works with {v}. / Use {e} with {v} only.",
            "What does {e} work with? / What can I use {e} with?",
        ),
        relation(
            "contains",
            "list",
            "{e} contains {v}. / Inside {e} there are {v}.",
            "What does {e} contain? / What is inside {e}?",
        ),
        relation(
            "paid by",
            "role",
            "{e} is paid by {v}. / The one who pays for {e} is {v}.",
            "Who pays for {e}? / Who is {e} paid by?",
        ),
        relation(
            "approved by",
            "role",
            "{e} must be approved by {v}. / Only {v} may approve {e}.",
            "Who must approve {e}? / Who may approve {e}? / Who approves {e}?",
        ),
        relation(
            "lives",
            "name",
            "{e} lives in {v}. / The home of {e} is in {v}.",
            "Where does {e} live? / In which place does {e} live?",
        ),
        relation(
            "works as",
            "role",
            "{e} works as {v}. / By trade {e} is {v}.",
            "What does {e} work as? / What is the job of {e}?",
        ),
        relation(
            "likes",
            "phrase",
            "{e} likes {v}. / What {e} likes best is {v}.",
            "What does {e} like? / What does {e} like best?",
        ),
        relation(
            "returned",
            "duration",
            "{e} can be returned within {v}. / You have {v} to return {e}.",
            "How long do I have to return {e}? / Within what time can {e} be returned?",
        ),
        relation(
            "covered",
            "duration",
            "{e} is covered for {v}. / The cover of {e} ends after {v}.",
            "How long is {e} covered? / For how long is {e} covered?",
        ),
        relation(
            "reached at",
            "contact",
            "{e} can be reached at {v}. / Write or call {e} at {v}.",
            "How can I reach {e}? / How do I contact {e}? / Where can {e} be reached?",
        ),
        relation(
            "stored at",
            "temperature",
            "{e} must be stored at {v}. / Keep {e} at {v}.",
            "At what temperature must {e} be stored? / How cold must {e} be kept?",
        ),
        relation(
            "not allowed",
            "phrase",
            "{e} must not be used with {v}. / Never put {e} near {v}.",
            "What must {e} not be used with? / What is not allowed with {e}?",
        ),
    ),
    fillers=lines(
        """
        The {n} is {j}.
        Many {n2} are {j}.
        Please read this page before you {w} the {n}.
        A {j} {n} is better than a {j2} {n3}.
        Some people {w} the {n} in the {n3}.
        We {w} every {n} with care.
        You may {w} a {j} {n} if you like.
        This part is about the {n} and the {n3}.
        Do not {w} the {n} without the {n3}.
        It is {j} to {w} a {n}.
        There is a {j} {n} near the {n3}.
        Visitors often ask about the {j} {n}.
        Nobody knows who was the first to {w} it.
        Thank you for your help with the {n}.
        In the past it was {j} and {j2}.
        More about this is on the next page.
        Ask a {r} if you are not sure.
        You can {w} it yourself, but it is often better to ask for help first.
        However, the {n} and the {n3} are not the same thing.
        If they {w} the {n} again, then we should talk about it together.
        Although it looks {j}, this {n} is quite {j2}.
        Because of the {n}, some of our {n2} were not there in time.
        Each {n} has its own {n3}, and every one of them is {j}.
        We do not know why he would {w} such a {n}, or how she did it.
        They had {w}ed it before, so there was nothing else to do.
        Those who {w} the {j} {n} without a reason will have to wait until tomorrow.
        It could be that your {n} is {j} because of the {n3} between us.
        Neither the {n} nor the {n3} can be {j} at the same time.
        You should always {w} the {n} after the {n3}, never before.
        This has nothing to do with the {n}, only with the {n3}.
        While you are {w}ing, someone else might already {w} the other {n2}.
        During the {n} there will be more {n2} than usual, so please be {j}.
        In most cases that is all you need, but there may be an exception.
        Here are some things that you might want to know about the {n}.
        What we said above is also true for any other {n}, of course.
        If this does not help, try to {w} the {n} or contact us through the {n3}.
        Sometimes both {n2} are {j}, sometimes just one.
        Make sure that no {n} is left in the {n3}.
        For more than two {n2}, see the list below.
        Our {n} is {j}, their {n3} is {j2}, and yours may be either.
        I have never seen a {j} {n} like his or hers.
        Which {n} is {j}? That depends on the {n3}.
        Under normal conditions a {n} should not {w} anything by itself.
        Anyone over there may {w} it once, twice or three times.
        To {w} means to {w2}.
        The {n}, the {n3} and the {j} {w}er were there as well.
        """
    ),
    personas=lines(
        """
        You are the helper of {e}.
        You work for {e}. Be {j} and {j2}.
        You answer questions about {e}.
        Be {j} and short.
        You are a {j} {r}.
        You help the visitors of {e} with their questions.
        """
    ),
    patterns=(
        relation(
            "{w} what", "phrase", "{e} can {w} {v}. / All day {e} may {w} {v}.", "What can {e} {w}? / What may {e} {w}?"
        ),
        relation(
            "{w} with",
            "phrase",
            "{e} does {w} {p} {v}. / It is said that {e} will {w} {p} {v}.",
            "What does {e} {w} {p}? / What will {e} {w} {p}?",
        ),
        relation(
            "{w}ed by",
            "person",
            "{e} was {w}ed by {v}. / {v} {w}ed {e}. / {v} has {w}ed {e}.",
            "Who {w}ed {e}? / By whom was {e} {w}ed? / Who was it that {w}ed {e}?",
        ),
        relation(
            "{w}ed in",
            "place",
            "{e} was {w}ed {v}. / They {w}ed {e} {v}.",
            "Where was {e} {w}ed? / In which place was {e} {w}ed?",
        ),
        relation(
            "{w}ed on",
            "date",
            "{e} was {w}ed on {v}. / They {w}ed {e} on {v}.",
            "When was {e} {w}ed? / On what day was {e} {w}ed?",
        ),
        relation(
            "{w} at",
            "time",
            "{e} will {w} at {v}. / Each day {e} can {w} at {v}.",
            "When will {e} {w}? / At what time can {e} {w}?",
        ),
        relation(
            "{w} how",
            "action",
            "To {w} {e}, {v}. / {e} will {w} once you {v}. / You can {w} {e}: {v}.",
            "How do I {w} {e}? / How can I {w} {e}? / In which way can {e} {w}?",
        ),
        relation(
            "when {j}",
            "action",
            "If {e} is {j}, {v}. / Whenever {e} is {j}, {v}. / {e} may be {j}: then {v}.",
            "What should I do if {e} is {j}? / {e} is {j}, what helps? / What helps when {e} is {j}?",
        ),
        relation(
            "not {w}",
            "action",
            "If {e} does not {w}, {v}. / {e} will not {w}? Then {v}.",
            "What should I do if {e} does not {w}? / {e} does not {w}. What can I do?",
        ),
        relation(
            "{w} for",
            "money",
            "{e} was {w}ed for {v}. / You can {w} {e} for {v}.",
            "For how much was {e} {w}ed? / For how much can I {w} {e}? / What does it cost to {w} {e}?",
        ),
        relation(
            "{w} often",
            "measure",
            "{e} must {w} every {v}. / Every {v} you should {w} {e}.",
            "How often must {e} {w}? / How often should I {w} {e}?",
        ),
        relation(
            "{w} long",
            "measure",
            "{e} can {w} for {v}. / For {v} you may {w} {e}.",
            "How long can {e} {w}? / For how long may I {w} {e}?",
        ),
        relation(
            "{w} many",
            "number",
            "{e} can {w} {v} times. / Up to {v} times {e} will {w}.",
            "How many times can {e} {w}? / How many times will {e} {w}?",
        ),
        relation(
            "{w} who",
            "role",
            "Only {v} may {w} {e}. / {e} is {w}ed by {v} only.",
            "Who may {w} {e}? / Who can {w} {e}?",
        ),
        relation(
            "{w} to",
            "name",
            "{e} will {w} to {v}. / Then {e} did {w} to {v}.",
            "Where will {e} {w} to? / To which place will {e} {w}?",
        ),
        relation(
            "{w}ed what colour",
            "colour",
            "{e} was {w}ed {v}. / They {w}ed {e} {v}.",
            "In which colour was {e} {w}ed? / What colour was {e} {w}ed?",
        ),
        relation(
            "{w}s",
            "phrase",
            "{e} {w}s {v}. / Mostly {e} {w}s {v}. / What {e} {w}s is {v}.",
            "What does {e} {w}? / What is it that {e} {w}s?",
        ),
        relation(
            "{w}s {p}",
            "phrase",
            "{e} {w}s {p} {v}. / {e} usually {w}s {p} {v}.",
            "What does {e} {w} {p}? / {p} what does {e} {w}?",
        ),
        relation(
            "{w}s at",
            "time",
            "{e} {w}s at {v}. / Every day {e} {w}s at {v}. / At {v} {e} {w}s.",
            "When does {e} {w}? / At what time does {e} {w}? / What time does {e} {w}?",
        ),
        relation(
            "{w}s every",
            "measure",
            "{e} {w}s every {v}. / Once in {v} {e} {w}s.",
            "How often does {e} {w}? / After what time does {e} {w} again?",
        ),
        relation(
            "{w}s for",
            "measure",
            "{e} {w}s for {v}. / {e} keeps {w}ing for {v}.",
            "How long does {e} {w}? / How long does {e} keep {w}ing?",
        ),
        relation(
            "{w}s up to",
            "measure",
            "{e} {w}s up to {v}. / {e} {w}s {v}.",
            "How much does {e} {w}? / How many does {e} {w}? / How far does {e} {w}?",
        ),
        relation(
            "{w}ing costs",
            "money",
            "{w}ing {e} costs {v}. / It costs {v} to {w} {e}. / They ask {v} for {w}ing {e}.",
            "How much does {w}ing {e} cost? / What do I pay for {w}ing {e}? / How much is it to {w} {e}?",
        ),
        relation(
            "{w}er",
            "person",
            "The {w}er of {e} is {v}. / {v} is the {w}er of {e}. / {v} {w}s {e}.",
            "Who {w}s {e}? / Who is the {w}er of {e}? / Whose job is it to {w} {e}?",
        ),
        relation(
            "{w}ed with",
            "phrase",
            "{e} is {w}ed with {v}. / They {w} {e} with {v}.",
            "What is {e} {w}ed with? / With what do they {w} {e}?",
        ),
        relation(
            "{w}ed from",
            "name",
            "{e} is {w}ed from {v}. / {e} was {w}ed in {v}.",
            "Where is {e} {w}ed from? / In which town was {e} {w}ed? / Where was {e} {w}ed?",
        ),
        relation(
            "{w}s where",
            "place",
            "{e} {w}s {v}. / You can {w} {e} {v}. / {e} can be {w}ed {v}.",
            "Where does {e} {w}? / Where can I {w} {e}? / Where can {e} be {w}ed?",
        ),
        relation(
            "{w}s on",
            "weekday",
            "{e} {w}s on {v}. / Only on {v} does {e} {w}. / {e} gets {w}ed on {v}.",
            "On which day does {e} {w}? / When does {e} {w}? / When does {e} get {w}ed?",
        ),
        relation(
            "{w}ed since",
            "year",
            "{e} has been {w}ed since {v}. / {e} was {w}ed in {v}. / In {v} {e} was {w}ed.",
            "Since when has {e} been {w}ed? / In which year was {e} {w}ed? / When was {e} {w}ed?",
        ),
        relation(
            "{w}ed until",
            "date",
            "{e} can be {w}ed until {v}. / Until {v} you may {w} {e}.",
            "Until when can {e} be {w}ed? / Until when may I {w} {e}? / What is the last day to {w} {e}?",
        ),
        relation(
            "{w}ed after",
            "measure",
            "{e} is {w}ed after {v}. / After {v} {e} is {w}ed. / {e} {w}s within {v}.",
            "After how long is {e} {w}ed? / How soon does {e} {w}?",
        ),
        relation(
            "to {w}",
            "phrase",
            "To {w} {e} you need {v}. / {w}ing {e} takes {v}. / Without {v} you cannot {w} {e}.",
            "What do I need to {w} {e}? / What does {w}ing {e} take? / What is needed for {w}ing {e}?",
        ),
        relation(
            "why {w}",
            "state",
            "{e} {w}s because {v}. / The reason why {e} {w}s is that {v}. / {e} {w}s when {v}.",
            "Why does {e} {w}? / What makes {e} {w}? / For what reason does {e} {w}?",
        ),
        relation(
            "{j}",
            "state",
            "{e} is {j} when {v}. / {e} gets {j} if {v}.",
            "When is {e} {j}? / Why is {e} {j}? / When does {e} get {j}?",
        ),
        relation(
            "how {j}",
            "measure",
            "{e} is {v} {j}. / {e} is up to {v} {j}.",
            "How {j} is {e}? / How {j} can {e} be?",
        ),
        relation(
            "what {w}s it",
            "phrase",
            "{e} is {w}ed by {v}. / What {w}s {e} is {v}.",
            "What {w}s {e}? / What is {e} {w}ed by?",
        ),
        relation(
            "before {w}ing",
            "action",
            "Before you {w} {e}, {v}. / First {v}, then {w} {e}.",
            "What do I do before I {w} {e}? / What comes before {w}ing {e}? / What must be done first to {w} {e}?",
        ),
        relation(
            "after {w}ing",
            "action",
            "After you {w} {e}, {v}. / Once {e} is {w}ed, {v}. / When {e} has {w}ed, {v}.",
            "What do I do after {w}ing {e}? / What comes once {e} is {w}ed? / {e} has {w}ed. What next?",
        ),
        relation(
            "to {w} write to",
            "contact",
            "To {w} {e}, write to {v}. / Ask {v} to {w} {e}.",
            "Whom do I ask to {w} {e}? / Where do I write to {w} {e}?",
        ),
        relation(
            "{w}s these",
            "list",
            "{e} {w}s {v}. / {e} can {w} these: {v}.",
            "What things does {e} {w}? / Which things can {e} {w}?",
        ),
        relation(
            "{w}s as",
            "role",
            "{e} {w}s as {v}. / {e} is {w}ed as {v}.",
            "As what does {e} {w}? / What is {e} {w}ed as?",
        ),
        relation(
            "colour when {w}ed",
            "colour",
            "{e} turns {v} when it {w}s. / {w}ing makes {e} {v}.",
            "What colour does {e} turn when it {w}s? / Which colour does {w}ing make {e}?",
        ),
        relation(
            "code to {w}",
            "code",
            "The code to {w} {e} is {v}. / You {w} {e} with {v}.",
            "What is the code to {w} {e}? / Which code {w}s {e}? / With which code do I {w} {e}?",
        ),
    ),
    openers=lines(
        """
        Note that
        In short,
        As far as we know,
        According to {e},
        For every {j} {n},
        After the {n},
        Since the last {n},
        In spite of the {n},
        To be {j},
        As {e} says,
        Whether {j} or not,
        This year
        By the way,
        You should know that
        On this page:
        """
    ),
    closers=lines(
        """
        , as {e} says
        , whatever the {n}
        , by the way
        for now
        in most cases
        , and the {n} knows it
        because of the {n}
        since the {j} {n} came
        , which is {j}
        , so be {j}
        while the {n} is {j}
        unless {e} says no
        , not counting the {n}
        , as you can see
        again
        , it seems
        (see the {n})
        """
    ),
    question_openers=lines(
        """
        Excuse me,
        Please tell me:
        One more thing:
        Hello,
        I have a {n}.
        My {n} is {j}.
        {e} wants to know:
        Before I go,
        According to the {n},
        In the {n},
        Sorry,
        Quick question:
        I would like to know:
        """
    ),
    question_closers=lines(
        """
        Thank you.
        Please be {j}.
        Do you know?
        I need it for the {n}.
        Please.
        """
    ),
    copulas=phrases(
        "is, was, equals, reads, remains, stays, stands at, is given as, comes to, counts as, became, means, has been, turned out to be, is only"
    ),
    loose_words=phrases(
        """a, about, above, after, again, all, also, always, among, and, any, are, as, at, be, because, been, before, being,
        between, both, but, by, can, could, do, does, down, during, each, else, even, ever, every, few, first, for, from,
        further, get, give, given, had, has, have, having, here, how, if, in, indeed, into, it, its, just, kind, know, last,
        let, like, look, made, make, many, may, me, might, more, most, much, must, my, need, never, new, next, no, nor, not,
        now, of, off, often, on, once, one, only, or, other, our, out, over, own, page, part, people, per, perhaps, please,
        quite, rather, really, right, said, same, say, see, should, show, since, so, some, still, such, take, tell, than, that,
        the, their, them, then, there, these, they, thing, this, those, through, thus, time, to, today, together, too, two,
        under, until, up, upon, us, use, very, want, was, way, we, well, were, what, when, where, whether, which, while, who,
        whole, whose, why, will, with, within, without, word, would, year, yes, yet, you, your"""
    ),
)

FRAMES = Path(__file__).parent / "frames"
FRAME_FILES = tuple(sorted(path.stem for path in FRAMES.glob("*.yaml")))


@cache
def wide_phrasing(files: tuple[str, ...] = FRAME_FILES) -> Phrasing:
    """``PHRASING`` and the frames of some of the files in ``frames/``: with all of them, several times as many."""
    return PHRASING.joined(read_phrasing(FRAMES / f"{name}.yaml") for name in files)
