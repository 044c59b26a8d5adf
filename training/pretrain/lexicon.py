"""The words that text is made of.

Names are made of syllables, so there is no end of them, and no name of a real thing has to be known to read about it.
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
