"""Other words and sentences, looked at while the teaching text is widened: what reading is improved with."""

from __future__ import annotations

from training.pretrain.lexicon import Lexicon, phrases, words
from training.pretrain.phrasing import Phrasing, lines, relation

LEXICON = Lexicon(
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


PHRASING = Phrasing(
    attribute_statements=lines(
        """
        As for {e}, its {a} stands at {v}.
        {e} can boast {v} for a {a}.
        Records give {v} as the {a} of {e}.
        Regarding the {a} of {e}, the answer has long been {v}.
        Ask anybody: the {a} of {e} remains {v}.
        """
    ),
    attribute_questions=lines(
        """
        Could you say which {a} {e} has?
        I wonder what the {a} of {e} might be.
        Regarding {e}, what would be its {a}?
        The {a} of {e} is what?
        Give me {e} and its {a}, please.
        """
    ),
    relations=(
        relation(
            "repaired by",
            "person",
            "{e} was repaired by {v}. / {v} has repaired {e}.",
            "Who repaired {e}? / Which person repaired {e}?",
        ),
        relation(
            "hidden",
            "place",
            "{e} was hidden {v}. / Somebody hid {e} {v}.",
            "Where was {e} hidden? / In what spot was {e} hidden?",
        ),
        relation(
            "painted",
            "colour",
            "{e} was painted {v}. / They painted {e} {v}.",
            "Which colour was {e} painted? / How was {e} painted?",
        ),
        relation(
            "leaves",
            "time",
            "{e} leaves at {v}. / The departure of {e}: it leaves at {v}.",
            "At which hour does {e} leave? / When will {e} leave?",
        ),
        relation(
            "feeds on",
            "phrase",
            "{e} feeds on {v}. / All day {e} feeds on {v}.",
            "What does {e} feed on? / On what does {e} feed?",
        ),
        relation(
            "unlock",
            "action",
            "To unlock {e}, {v}. / {e} unlocks once you {v}.",
            "How can I unlock {e}? / In what way do I unlock {e}?",
        ),
        relation(
            "frozen",
            "action",
            "Whenever {e} is frozen, {v}. / {e} may be frozen: then {v}.",
            "What helps if {e} is frozen? / {e} has frozen, what helps?",
        ),
        relation(
            "sold for",
            "money",
            "{e} was sold for {v}. / Somebody bought {e}, sold for {v}.",
            "For how much was {e} sold? / {e} was sold at what sum?",
        ),
    ),
    fillers=lines(
        """
        Few would {w} such a {j} {n} alone.
        Beyond the {n} lies another {n3}.
        Rumour has it that the {n} grew {j}.
        Kindly {w} your {n} elsewhere.
        """
    ),
    personas=lines(
        """
        Imagine being the voice of {e}.
        Serve whoever asks about {e}, and stay {j}.
        """
    ),
)
