"""A second held-out set, for the final measurement only: other words and other sentences than those of the teaching text
and of the development set (``lexicon.HELD_OUT``). Nobody tunes against it, and nobody reads it while widening the text.
"""

from __future__ import annotations

from training.pretrain.lexicon import Lexicon, phrases, words
from training.pretrain.phrasing import Phrasing, lines, relation

LEXICON = Lexicon(
    onsets=words("spl spr scr shr thr squ chr phl gy ky ry ly hy"),
    vowels=words("a e i o u ie ue ay"),
    codas=(*words("m n c ph ld mb nch lt sh rk rp ct"), "", "", ""),
    kinds=phrases(
        """
        accordion, armchair, balcony, ballet, barge, brochure, bungalow, bunker, canteen, caravan, cathedral, cello,
        chandelier, cinema, compass, concert, crane, cruise, dairy, dictionary, embassy, escalator, flute, fortress,
        grinder, harp, helicopter, jetty, kennel, kiln, lawnmower, leaflet, lounge, memorial, monastery, opera,
        orchestra, pavilion, pergola, pier, podcast, railway, reef, sanctuary, sauna, sawmill, stapler, submarine,
        terrace, thermostat, tournament, trolley, walkway, waterfall, windmill, yacht"""
    ),
    attributes=phrases(
        """
        admission, aim, ambassador, ancestor, anthem, architect, aroma, assistant, attendance, auditor, backup,
        beneficiary, birthplace, catchphrase, circumference, commander, commission, competitor, creator, critic,
        debt, density, deputy, destination, dialect, donor, exemption, fragrance, gradient, heir, humidity, incline,
        investor, keyword, longitude, mortgage, narrator, occupancy, organiser, patron, payload, penalty, postage,
        predecessor, preservative, president, proprietor, purity, shareholder, shortcut, spokesperson, steward,
        strategy, subtitle, surname, sweetener, template, timetable, turnover, username, velocity, venue, warden,
        workload"""
    ),
    adjectives=phrases(
        """
        abrupt, ambitious, anonymous, attractive, bald, bold, chilly, coarse, crisp, curly, drowsy, dull, edible,
        elderly, elegant, enormous, faithful, fluffy, foggy, generous, graceful, grateful, greasy, hasty, humble,
        loyal, medieval, miniature, modest, muddy, mysterious, precious, rapid, rectangular, reliable, robust,
        rural, shabby, slender, slim, slippery, tender, timid, unique, upright, vague, vertical, vivid"""
    ),
    nouns=phrases(
        """
        almond, apron, ashtray, awning, axle, balloon, banner, belt, boulder, cabbage, cactus, candy, cherry, clove,
        coconut, cot, cracker, crutch, cube, diary, easel, fern, ginger, grape, hairpin, hamper, handkerchief,
        honey, hoop, jelly, jewel, ladle, lemon, mallet, marmalade, meadow, melon, mushroom, notebook, onion,
        parachute, peach, pearl, pickle, pineapple, postcard, potato, pudding, pumpkin, puppet, raisin, reed,
        sausage, sieve, skirt, spatula, spool, sweater, teapot, toy, tulip, urn, wreath, yarn"""
    ),
    verbs=phrases(
        """
        align, attach, clip, decorate, dig, discard, disconnect, donate, drag, drain, engrave, evaluate, fetch,
        flip, hoist, illuminate, insert, insulate, interrupt, knead, knock, mend, navigate, nominate, obtain, peel,
        postpone, praise, purify, quote, recycle, refill, relocate, renew, restrict, revise, rotate, scratch,
        sketch, split, spray, squeeze, strip, suspend, swap, thaw, toss, verify"""
    ),
    colours=phrases(
        """
        apricot, burgundy, charcoal, emerald, indigo, lavender, lime, magenta, ochre, salmon, tan, violet"""
    ),
    materials=phrases(
        """
        birch, cardboard, ceramic, denim, flannel, fleece, foam, limestone, maple, nickel, plywood, polyester,
        sandstone, satin, silicone, slate, titanium, vinyl"""
    ),
    places=phrases(
        """
        against the railings, along the riverbank, at the crossroads, at the junction, at the waterfront, at
        turnstile 8, behind the shed, beside the fireplace, between the pillars, beyond the footbridge, by the
        letterbox, in bay 14, in booth 6, in the conservatory, in the foyer, in the hayloft, in the pantry, near the
        quay, on the pavement, on the verge, on the windowsill, opposite the bandstand, under the skylight,
        underneath the porch"""
    ),
    roles=phrases(
        """
        accountant, athlete, biologist, blacksmith, bricklayer, butcher, butler, chauffeur, chef, chemist, courier,
        detective, diplomat, firefighter, goldsmith, journalist, locksmith, magician, midwife, optician,
        photographer, poet, professor, receptionist, shepherd, soldier, tutor, umpire"""
    ),
    units=phrases(
        """
        amps, bytes, calories, decibels, dozen, gigabytes, hertz, laps, megabytes, milligrams, millimetres,
        milliseconds, newtons, pixels, rows, semesters, tablespoons, teaspoons"""
    ),
    months=words("Frostane Budril Haymore Gleanten Mistober"),
    days=words("Firday Tambersday Quillday"),
)

PHRASING = Phrasing(
    attribute_statements=lines(
        """
        Checking {e}, I found its {a} to be {v}.
        The {a} we agreed on for {e} happens to be {v}.
        Under {a}, the entry for {e} reads {v}.
        Anyone asking about {e} is told that {v} is its {a}.
        {e} differs from the rest in its {a}: {v}.
        As regards {a}, {e} settles for {v}.
        They have picked {v} to serve as {a} for {e}.
        Concerning {e}, we can confirm {v} as the {a}.
        So far, {v} has been recorded as the {a} belonging to {e}.
        {e} relies on {v}, its usual {a}.
        The {a} printed on {e} says {v}.
        Looking up {e}, one finds {v} entered beside {a}.
        """
    ),
    attribute_questions=lines(
        """
        May I ask about the {a} that goes with {e}?
        What have you got on record as the {a} of {e}?
        Can anybody say what {e} has for its {a}?
        Check {e} and say what its {a} is.
        What would I find listed under {a} for {e}?
        I cannot recall which {a} is right for {e}.
        What did they decide on as the {a} for {e}?
        Concerning {e}, which {a} applies?
        Somebody wants the {a} of {e}; what do I tell them?
        How is the {a} of {e} given?
        Out of curiosity, what {a} are we using for {e}?
        Has anybody recorded the {a} of {e}, and what is it?
        """
    ),
    relations=(
        relation(
            "rescued by",
            "person",
            "{e} owes its rescue to {v}. / Had it not been for {v}, nobody would have rescued {e}.",
            "To whom does {e} owe its rescue? / Who came to the rescue of {e}?",
        ),
        relation(
            "buried",
            "place",
            "As far as anyone can tell, {e} is buried {v}. / Years ago someone buried {e} {v}.",
            "Where exactly is {e} buried? / In which spot did someone bury {e}?",
        ),
        relation(
            "glow",
            "colour",
            "Switched on, {e} glows {v}. / In the dark, {e} has a glow that is {v}.",
            "What colour does {e} glow? / The glow of {e} has what colour?",
        ),
        relation(
            "docks",
            "time",
            "Unless delayed, {e} docks at {v}. / It is {v} by the time {e} docks.",
            "By what time will {e} dock? / At what hour are we to expect that {e} docks?",
        ),
        relation(
            "attracts",
            "phrase",
            "{e} tends to attract {v}. / Over the years {e} has attracted {v}.",
            "By its nature, what is {e} likely to attract? / What sort of thing does {e} tend to attract?",
        ),
        relation(
            "assembly",
            "action",
            "Assembling {e} is simple: {v}. / Anyone about to assemble {e} should first {v}.",
            "What are the steps for assembling {e}? / How does one assemble {e}?",
        ),
        relation(
            "overheating",
            "action",
            "Once {e} overheats, {v}. / In the event that {e} is overheating, {v}.",
            "{e} overheats again and again. What is advised? / What is the right response once {e} overheats?",
        ),
        relation(
            "auction",
            "money",
            "At auction, {e} fetched {v}. / Bidders made {e} fetch {v} in the end.",
            "What sum did {e} fetch at auction? / What did {e} fetch once the bidding was over?",
        ),
        relation(
            "consumption",
            "measure",
            "{e} consumes {v} in all. / A total of {v} is consumed by {e}.",
            "How much is consumed by {e}? / What amount does {e} consume?",
        ),
        relation(
            "inaugurated",
            "date",
            "{e} has been in use since it was inaugurated on {v}. / On {v} a small ceremony inaugurated {e}.",
            "What was the date on which {e} was inaugurated? / When was the ceremony that inaugurated {e}?",
        ),
        relation(
            "supervised by",
            "role",
            "{e} is under {v}, who supervises it. / From day to day, {v} will supervise {e}.",
            "Who has to supervise {e}? / Who has been told to supervise {e}?",
        ),
        relation(
            "bundled with",
            "list",
            "Bundled with {e} are {v}. / Every order of {e} is bundled with {v}.",
            "What is bundled with {e}? / Which extras are bundled with {e}?",
        ),
        relation(
            "twinned with",
            "name",
            "By agreement, {e} and {v} are twinned. / For many years {v} has been twinned with {e}.",
            "With what is {e} twinned? / Who or what is {e} twinned with?",
        ),
        relation(
            "maturing",
            "duration",
            "{e} is left to mature for {v}. / Give it {v}, and {e} will have matured.",
            "How much time does {e} spend maturing? / How long is it before {e} has matured?",
        ),
        relation(
            "rehearses",
            "weekday",
            "The day on which {e} rehearses is {v}. / On a {v}, {e} is sure to rehearse.",
            "On which weekday does {e} rehearse? / Which day of the week is set aside for {e} to rehearse?",
        ),
        relation(
            "proves",
            "state",
            "{e} goes to prove that {v}. / It was proved by {e} that {v}.",
            "What fact is proved by {e}? / What can one prove by means of {e}?",
        ),
        relation(
            "demolished",
            "year",
            "Workers demolished {e} in {v}. / The year {v} saw {e} demolished.",
            "In what year did they demolish {e}? / What year saw {e} demolished?",
        ),
        relation(
            "ignites",
            "temperature",
            "{e} ignites at about {v}. / Above {v}, {e} could ignite.",
            "How hot must it become before {e} ignites? / At which temperature would {e} ignite?",
        ),
    ),
    fillers=lines(
        """
        Every so often, the {r} has to {w} the {n}.
        Between the {n} and the {n3} there is hardly any gap.
        The {n} of last season looked {j}.
        Feel free to {w} whatever {n} seems {j}.
        Apart from one {j} {n}, the place is empty.
        Nothing was said concerning the {n3}.
        Bring along your own {n}, ideally something {j}.
        Our thanks go to the {r} who lent us the {n}.
        Opinions differ on how {j} the {n} ought to be.
        Later chapters describe how to {w} or {w2} it.
        """
    ),
    personas=lines(
        """
        Act as the front desk of {e}.
        People who contact {e} talk to you; sound {j} but {j2}.
        Reply the way the {r} of {e} would.
        Your task is to guide newcomers around {e}.
        """
    ),
)
