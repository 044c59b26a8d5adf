"""Made-up worlds: entities that resemble one another, and facts about them.

Near-misses are the point. Entities of one world share a kind or a part of their name, and attributes recur from one
entity to the next, so that only the whole of a question tells which sentence answers it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from training.pretrain.lexicon import Lexicon
from training.pretrain.phrasing import Phrasing, Relation

NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "thirty")


@dataclass(frozen=True)
class Entity:
    """What facts are about: its full name in a sentence (``the Tarn lamp``) and as a title (``Tarn lamp``)."""

    name: str
    title: str
    pronoun: str


@dataclass(frozen=True)
class Fact:
    """One attribute of one entity. ``relation`` is None for facts that are stated through a noun (``label``)."""

    entity: Entity
    label: str
    value: str
    relation: Relation | None


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def article(word: str) -> str:
    return "an" if word[:1].lower() in "aeiou" else "a"


def inflected(frame: str, verb: str, place: str = "w") -> str:
    """A frame with a verb in its place, regularly inflected where an ending stands behind it: ``{w}ed``, ``{w}s``."""
    hissing = verb.endswith(("s", "x", "z", "ch", "sh"))
    turning = verb.endswith("y") and verb[-2:-1] not in "aeiou"
    short = verb[:-1] if verb.endswith("e") else verb
    forms = {
        "ing": f"{short}ing",
        "ed": f"{verb[:-1]}ied" if turning else f"{short}ed",
        "er": f"{verb[:-1]}ier" if turning else f"{short}er",
        "s": f"{verb[:-1]}ies" if turning else f"{verb}es" if hissing else f"{verb}s",
        "": verb,
    }
    for ending, form in forms.items():
        frame = frame.replace(f"{{{place}}}{ending}", form)
    return frame


class World:
    """Draws entities, values and facts from a lexicon; the same seed gives the same world."""

    def __init__(self, lexicon: Lexicon, phrasing: Phrasing, draw: random.Random) -> None:
        self.lexicon, self.phrasing, self.draw = lexicon, phrasing, draw

    def proper(self) -> str:
        return capitalised(self.lexicon.invented(self.draw))

    def person(self) -> str:
        title = self.draw.choice(("", "", "", "", "Dr. ", "Mrs. ", "Mr. "))
        return f"{title}{self.proper()} {self.proper()}"

    def code(self) -> str:
        letters = "".join(self.draw.choice("ABCDEFGHKLMNPRSTVXZ") for _ in range(self.draw.choice((1, 1, 2))))
        return f"{letters}{self.draw.choice(('', '', '-'))}{self.draw.randint(1, self.draw.choice((9, 99, 999)))}"

    def number(self) -> str:
        top = self.draw.choice((9, 20, 99, 99, 500, 9999))
        number = self.draw.randint(1, top)
        return self.draw.choice((f"{number}", f"{number}", f"{number}", f"{number}.{self.draw.randint(1, 9)}"))

    def word(self, listed: tuple[str, ...]) -> str:
        """One of the listed words or, now and then, a made-up one in its place: what is copied is any word."""
        if self.draw.random() < self.lexicon.unlisted:
            return self.lexicon.invented(self.draw)
        return self.draw.choice(listed)

    def phrase(self) -> str:
        lexicon, draw = self.lexicon, self.draw
        noun = self.word(lexicon.nouns)
        adjective = self.word(lexicon.adjectives)
        return draw.choice((f"a {adjective} {noun}", f"the {adjective} {noun}", f"{adjective} {noun}", noun)).replace(
            "a " + adjective, article(adjective) + " " + adjective
        )

    def action(self) -> str:
        lexicon, draw = self.lexicon, self.draw
        verb, thing = self.word(lexicon.verbs), f"{self.word(lexicon.adjectives)} {self.word(lexicon.nouns)}"
        tail = draw.choice(("", "", f" for {self.number()} {self.word(lexicon.units)}", f" with {self.phrase()}"))
        second = f" and {self.word(lexicon.verbs)} it" if draw.random() < 0.2 else ""
        return f"{verb} the {thing}{tail or second}"

    def place(self) -> str:
        """Where something is; the last word of the listed place may be another."""
        listed = self.draw.choice(self.lexicon.places)
        first, _, last = listed.rpartition(" ")
        return f"{first} {self.word((last,))}"

    def measure(self) -> str:
        """An amount with its unit; the numbers of small amounts are sometimes words."""
        draw = self.draw
        number = draw.choice(NUMBER_WORDS) if draw.random() < 0.15 else self.number()
        if draw.random() < 0.08:
            number = f"{draw.choice(('up to', 'at least', 'about', 'less than', 'more than'))} {number}"
        elif draw.random() < 0.06:
            number = f"{draw.randint(1, 9)} to {draw.randint(10, 60)}"
        return f"{number} {self.word(self.lexicon.units)}"

    def date(self) -> str:
        day, month = self.draw.randint(1, 30), self.word(self.lexicon.months)
        return self.draw.choice((f"{day} {month}", f"{month} {day}", f"{day} {month} {self.year()}"))

    def year(self) -> str:
        return str(self.draw.randint(1200, 2080))

    def time(self) -> str:
        hour, minute = self.draw.randint(0, 23), self.draw.choice((0, 15, 30, 45, self.draw.randint(0, 59)))
        return self.draw.choice((f"{hour}:{minute:02d}", f"{hour % 12 + 1} {self.draw.choice(('am', 'pm'))}"))

    def money(self) -> str:
        amount = self.draw.randint(1, self.draw.choice((20, 200, 3000)))
        return self.draw.choice(
            (f"{amount} euros", f"${amount}", f"{amount}.{self.draw.randint(10, 99)} dollars", f"{amount} coins")
        )

    def contact(self) -> str:
        name = self.lexicon.invented(self.draw)
        digits = "".join(str(self.draw.randint(0, 9)) for _ in range(self.draw.randint(4, 7)))
        return self.draw.choice(
            (
                f"{name}@{self.lexicon.invented(self.draw)}.org",
                f"{digits[:3]} {digits[3:]}",
                f"{name}.net/{self.lexicon.invented(self.draw)}",
            )
        )

    def draw_value(self, kind: str) -> str:
        """A value of a kind: ``measure``, ``person``, ``place``, ``action`` and so on; ``any`` draws the kind too."""
        lexicon, draw = self.lexicon, self.draw
        makers: dict[str, Callable[[], str]] = {
            "measure": self.measure, "duration": self.measure, "hours": lambda: f"from {self.time()} to {self.time()}",
            "temperature": lambda: f"{draw.randint(1, 99)} degrees",
            "money": self.money, "person": self.person, "date": self.date, "year": self.year, "time": self.time,
            "name": lambda: self.proper() if draw.random() < 0.6 else f"{self.proper()} {self.proper()}",
            "colour": lambda: self.word(lexicon.colours), "material": lambda: self.word(lexicon.materials),
            "place": self.place, "role": lambda: f"the {self.word(lexicon.roles)}",
            "weekday": lambda: self.word(lexicon.days), "code": self.code, "phrase": self.phrase, "action": self.action,
            "state": lambda: f"the {self.word(lexicon.nouns)} is {self.word(lexicon.adjectives)}",
            "list": lambda: f"{self.word(lexicon.nouns)}, {self.word(lexicon.nouns)} and {self.word(lexicon.nouns)}",
            "contact": self.contact, "invented": lambda: lexicon.invented(draw), "number": self.number,
            "unlisted": lambda: " ".join(lexicon.invented(draw) for _ in range(draw.choice((1, 1, 2, 3)))),
        }  # fmt: skip
        if kind == "any":
            kind = "unlisted" if draw.random() < lexicon.unlisted else draw.choice(sorted(makers))
        return makers[kind]()

    def entity(self, kind: str | None = None, stem: str | None = None) -> Entity:
        """An entity; ``kind`` and ``stem`` (its made-up word) may be given, to make it resemble another."""
        draw, lexicon = self.draw, self.lexicon
        kind, stem = kind or draw.choice(lexicon.kinds), stem or self.proper()
        shape = draw.random()
        if shape < 0.12:
            name = f"{stem} {self.proper()}" if draw.random() < 0.7 else self.person()
            return Entity(name, name, draw.choice(("He", "She")))
        if shape < 0.62:
            inner = draw.choice(
                (
                    f"{stem} {kind}",
                    f"{stem} {self.code()}",
                    f"{stem} {self.code()} {kind}",
                    f"{stem} {kind} {self.code()}",
                )
            )
            name = f"the {inner}" if inner.endswith(kind) else inner
            return Entity(name, inner, "It")
        if shape < 0.78:
            inner = f"{draw.choice(lexicon.adjectives)} {kind}"
            return Entity(f"the {inner}", inner, "It")
        if shape < 0.88:
            inner = f"{kind} {draw.choice((self.code(), str(draw.randint(1, 99))))}"
            return Entity(inner, inner, "It")
        inner = f"{kind} of {stem}" if shape < 0.95 else f"{draw.choice(lexicon.nouns)} {kind}"
        return Entity(f"the {inner}", inner, "It")

    def entities(self, count: int) -> list[Entity]:
        """Entities with different names, most of which share a kind or a made-up word with another."""
        draw = self.draw
        kind, stem = draw.choice(self.lexicon.kinds), self.proper()
        found: dict[str, Entity] = {}
        while len(found) < count:
            chance = draw.random()
            entity = self.entity(kind if chance < 0.55 else None, stem if 0.4 < chance < 0.8 else None)
            found.setdefault(entity.title.lower(), entity)
        return list(found.values())

    def attribute(self) -> tuple[str, Relation | None]:
        """A label and, for half of them, the relation that states it; one label in four is a made-up word."""
        draw = self.draw
        if draw.random() < 0.5:
            made_up = self.phrasing.patterns and draw.random() < 0.5
            relation = self.made_up_relation() if made_up else draw.choice(self.phrasing.relations)
            return relation.label, relation
        if draw.random() < 0.3:
            first = self.lexicon.invented(draw)
            return draw.choice(
                (first, f"{first} {draw.choice(self.lexicon.nouns)}", f"{draw.choice(self.lexicon.adjectives)} {first}")
            ), None
        if draw.random() < 0.25:
            return f"{draw.choice(self.lexicon.nouns)} {draw.choice(self.lexicon.attributes)}", None
        return draw.choice(self.lexicon.attributes), None

    def made_up_relation(self) -> Relation:
        """A pattern with a verb, a preposition, an adjective and a noun filled in."""
        draw, pattern = self.draw, self.draw.choice(self.phrasing.patterns)
        verb = self.word(self.lexicon.verbs)
        adjective = self.word(self.lexicon.adjectives)
        preposition = draw.choice(("on", "at", "with", "for", "about", "over", "into", "to", "from", "under"))
        noun = self.word(self.lexicon.nouns) if "{n}" in pattern.statements[0] else ""

        def fill(frame: str) -> str:
            return inflected(frame, verb).replace("{p}", preposition).replace("{j}", adjective).replace("{n}", noun)

        return Relation(
            fill(pattern.label),
            pattern.value,
            tuple(map(fill, pattern.statements)),
            tuple(map(fill, pattern.questions)),
        )

    def aside(self, frames: tuple[str, ...]) -> str:
        """One of the frames with any noun, adjective and name in it."""
        draw, lexicon = self.draw, self.lexicon
        return draw.choice(frames).format(
            n=draw.choice(lexicon.nouns), j=draw.choice(lexicon.adjectives), e=self.proper()
        )

    def loose_words(self, most: int) -> str:
        """Up to so many function words in no order, a blank behind each."""
        count = self.draw.randint(0, most)
        return "".join(self.draw.choice(self.phrasing.loose_words) + " " for _ in range(count))

    def attributes(self, count: int) -> list[tuple[str, Relation | None]]:
        found: dict[str, tuple[str, Relation | None]] = {}
        while len(found) < count:
            label, relation = self.attribute()
            found.setdefault(label, (label, relation))
        return list(found.values())

    def fact(self, entity: Entity, attribute: tuple[str, Relation | None]) -> Fact:
        label, relation = attribute
        return Fact(entity, label, self.draw_value(relation.value if relation else "any"), relation)

    def filler(self) -> str:
        """A sentence that states no fact that is asked for."""
        draw, lexicon = self.draw, self.lexicon
        nouns = draw.sample(lexicon.nouns, 3)
        adjectives = draw.sample(lexicon.adjectives, 2)
        frame = inflected(draw.choice(self.phrasing.fillers), draw.choice(lexicon.verbs))
        return inflected(frame, draw.choice(lexicon.verbs), "w2").format(
            n=nouns[0],
            n2=nouns[1],
            n3=nouns[2],
            j=adjectives[0],
            j2=adjectives[1],
            r=draw.choice(lexicon.roles),
        )

    def persona(self) -> str:
        draw, lexicon = self.draw, self.lexicon
        adjectives = draw.sample(lexicon.adjectives, 2)
        return draw.choice(self.phrasing.personas).format(
            e=self.entity().name, j=adjectives[0], j2=adjectives[1], r=draw.choice(lexicon.roles)
        )
