"""Words and sentences of a text with their places, for finding what an answer says in a passage."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# "3.5", "10-20", "support@maker.example" and "don't" are one word each; signs that carry meaning are words too.
WORD: Final = re.compile(r"[^\W_]+(?:[.,:'’/@_-][^\W_]+)*|[%$€£°]")
# A single line end before a small letter is a wrapped line, not an end.
SENTENCE_END: Final = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\s*\n\s*\n\s*|[^\S\n]*\n[^\S\n]*(?![^\S\n]|[a-zß-öø-ÿ])")
# Words that carry no value of their own: an answer of only these says nothing a passage could hold.
FILLERS: Final = frozenset(
    re.findall(
        r"\w+",
        "a an the is are was were be been has have had do does did it its this that these those there "
        "of to in on at by for from with and or as per which who what when where how yes no not",
    )
)


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of a text; `word` is what they say, case folded (empty for a sentence)."""

    start: int
    end: int
    word: str = ""


def words(text: str) -> list[Span]:
    """The words of `text` in order."""
    return [Span(match.start(), match.end(), match[0].casefold()) for match in WORD.finditer(text)]


def sentences(text: str) -> list[Span]:
    """The sentences and lines of `text` in order, without the blank space around them; none is empty."""
    bounds = [0, *(place for match in SENTENCE_END.finditer(text) for place in match.span()), len(text)]
    spans = []
    for start, end in zip(bounds[::2], bounds[1::2], strict=True):
        piece = text[start:end]
        if piece.strip():
            spans.append(Span(start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())))
    return spans


def find_words(wanted: Sequence[str], within: Sequence[Span]) -> Span | None:
    """Where `wanted` stands word for word, first; None when it does not, or is empty."""
    size = len(wanted)
    for position in range(len(within) - size + 1 if size else 0):
        if all(within[position + offset].word == word for offset, word in enumerate(wanted)):
            return Span(within[position].start, within[position + size - 1].end)
    return None


def new_runs(claim: Sequence[Span], known: frozenset[str]) -> list[tuple[str, ...]]:
    """What `claim` says beyond `known`: its runs of words, trimmed of fillers at both ends."""
    runs: list[list[str]] = [[]]
    for span in claim:
        if span.word in known and span.word not in FILLERS:
            runs.append([])
        else:
            runs[-1].append(span.word)
    return [trimmed for run in runs if (trimmed := _trim(run))]


def _trim(run: Sequence[str]) -> tuple[str, ...]:
    content = [position for position, word in enumerate(run) if word not in FILLERS]
    return tuple(run[content[0] : content[-1] + 1]) if content else ()
