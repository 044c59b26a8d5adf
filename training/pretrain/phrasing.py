"""How facts are said and asked for: sentence frames.

In a frame ``{e}`` is the entity, ``{a}`` the attribute and ``{v}`` the value. A ``Relation`` is a fact whose verb says
what the attribute is; ``value`` names the kind of value that fits it (see ``world.draw_value``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from training.pretrain.lexicon import phrases


def lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines() if line.strip())


@dataclass(frozen=True)
class Relation:
    """One way of being related: a label for lists, what kind of value it takes, how it is stated and asked."""

    label: str
    value: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Phrasing:
    """All sentence frames of one kind of text."""

    attribute_statements: tuple[str, ...]
    attribute_questions: tuple[str, ...]
    relations: tuple[Relation, ...]
    fillers: tuple[str, ...]
    personas: tuple[str, ...]
    patterns: tuple[Relation, ...] = ()
    """Relations for any verb: ``{w}`` is the verb, ``{p}`` a preposition, ``{j}`` an adjective, ``{n}`` a noun."""
    openers: tuple[str, ...] = ()
    """What may stand before a sentence; ``{n}`` and ``{j}`` are any noun and adjective, ``{e}`` any name."""
    closers: tuple[str, ...] = ()
    """What may stand behind a value at the end of a sentence."""
    question_openers: tuple[str, ...] = ()
    question_closers: tuple[str, ...] = ()
    copulas: tuple[str, ...] = ()
    """Words between an attribute and its value, for sentences with any other words in them."""
    loose_words: tuple[str, ...] = ()

    def joined(self, others: Iterable[Phrasing]) -> Phrasing:
        """These frames and those of the others, in their order."""
        parts = (self, *others)
        return Phrasing(
            *(tuple(item for part in parts for item in getattr(part, field.name)) for field in fields(self))
        )


def read_phrasing(path: Path) -> Phrasing:
    """The frames of a YAML file whose keys are the fields of ``Phrasing``; relations are mappings of their own fields."""
    given: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    related = {
        group: tuple(
            Relation(item["label"], item["value"], tuple(item["statements"]), tuple(item["questions"]))
            for item in given.pop(group)
        )
        for group in ("relations", "patterns")
    }
    return Phrasing(**related, **{group: tuple(frames) for group, frames in given.items()})


def relation(label: str, value: str, statements: str, questions: str) -> Relation:
    return Relation(label, value, tuple(statements.split(" / ")), tuple(questions.split(" / ")))


LIST_TITLES = phrases("List of {a}, Table: {a}, {a} of all, {a}, All about {a}, {a} by name")
NOTE_TITLES = phrases(
    "Notes, Overview, General information, Details, What to know, Questions, Summary, Good to know, Facts"
)
