"""Words renamed by chance: within one lesson, some of its words become other words of the vocabulary throughout.

What a lesson teaches is where things stand, not what they are called. Renaming makes every token of the vocabulary a
name, an attribute, a value and a word of a question in turn, so that reading does not hang on the words of a list. The
words that carry a sentence (``when``, ``of``, ``not``) stay, as do the prompt's own.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from tokenizers import Tokenizer

from tandem.prompt import ABSTENTION, Passage, build_messages
from training.pretrain.lexicon import words
from training.pretrain.teaching import PHRASING

_WORD = re.compile(r"Ġ?[A-Za-z]+")

CARRYING = frozenset(
    words(
        """is was were been am s long far high tall much many old heavy big often soon early late year day hour colour
        name where who whom whose which what when why how"""
    )
)
"""Words beside ``Phrasing.loose_words`` that say what a question is after."""

Form = tuple[bool, bool]
"""How a piece of a word stands: with a blank before it, with a large first letter."""


class Renaming:
    """Draws renamings for a tokenizer; the same seed draws the same ones.

    ``share`` of the lessons are renamed; ``forbidden`` words are never a new name. The forms of a piece (`` bell``,
    `` Bell``, ``bell``) are renamed together, to a piece that has the same forms.
    """

    def __init__(self, tokenizer: Tokenizer, share: float, seed: int, forbidden: Collection[str] = ()) -> None:
        self.share, self.random = share, random.Random(seed)
        prompt = build_messages("", [Passage("", "")], "") + build_messages("", [], "")
        texts = [f"{message['role']}\n{message['content']}" for message in prompt] + ["assistant", f" {ABSTENTION}"]
        kept = {token for text in texts for token in tokenizer.encode(text).ids}
        loose = {*PHRASING.loose_words, *CARRYING}
        self.forms: dict[str, dict[Form, int]] = defaultdict(dict)
        self.pieces: dict[int, tuple[str, Form]] = {}
        for token, number in sorted(tokenizer.get_vocab().items()):
            letters = token.lstrip("Ġ")
            piece = letters.lower()
            if _WORD.fullmatch(token) and number not in kept and piece not in loose:
                form = (token != letters, letters[0].isupper())
                self.pieces[number] = piece, form
                self.forms[piece][form] = number
        self.names = [piece for piece in sorted(self.forms) if piece not in forbidden]

    def draw(self, tokens: Iterable[int], kept: Collection[int] = ()) -> dict[int, int]:
        """New tokens for some of ``tokens``, those of a lesson; {} where nothing is renamed. ``kept`` ones stay."""
        if self.random.random() >= self.share:
            return {}
        part = self.random.choice((0.25, 0.5, 0.75, 1.0))
        present: dict[str, set[Form]] = defaultdict(set)
        for token in sorted(set(tokens)):
            if token in self.pieces:
                piece, form = self.pieces[token]
                present[piece].add(form)
        fixed = {self.pieces[token][0] for token in kept if token in self.pieces}
        free = [name for name in self.names if name not in present]
        self.random.shuffle(free)
        renamed: dict[int, int] = {}
        for piece, forms in present.items():
            if piece in fixed or self.random.random() >= part:
                continue
            name = next((name for name in free if forms <= self.forms[name].keys()), None)
            if name is not None:
                free.remove(name)
                renamed |= {self.forms[piece][form]: self.forms[name][form] for form in forms}
        return renamed
