"""ROUGE-L and chrF: how much a text has in common with its references, each between 0 and 1."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

_NOT_WORD: Final = re.compile(r"[^\w]+|_+")
LONGEST: Final = 6
"""Of the runs of characters that chrF counts."""
BETA: Final = 2.0
"""chrF's recall counts so many times as much as its precision."""


def rouge_l(text: str, references: Sequence[str]) -> float:
    """The best F1 over references of the longest common subsequence of words (Lin 2004), case and marks aside.

    Words of every script count, where the first implementation knows a-z and 0-9 only; nothing is stemmed.
    """
    return max((_pair_rouge(_words(text), _words(reference)) for reference in references), default=0.0)


def chrf(text: str, references: Sequence[str]) -> float:
    """The best chrF2 over references: runs of 1 to 6 characters, blanks left out (Popović 2015; sacreBLEU's chrF2)."""
    return max((_pair_chrf(text, reference) for reference in references), default=0.0)


def _words(text: str) -> list[str]:
    return _NOT_WORD.sub(" ", text.lower()).split()


def _pair_rouge(said: list[str], wanted: list[str]) -> float:
    common = _common(said, wanted)
    return 2 * common / (len(said) + len(wanted)) if common else 0.0


def _common(left: list[str], right: list[str]) -> int:
    """The length of the longest common subsequence; time len(left) x len(right)."""
    lengths = [0] * (len(right) + 1)
    for word in left:
        before = 0
        for place, other in enumerate(right, 1):
            lengths[place], before = (
                (before + 1 if word == other else max(lengths[place], lengths[place - 1])),
                lengths[place],
            )
    return lengths[-1]


def _pair_chrf(text: str, reference: str) -> float:
    precisions, recalls = [], []
    for length in range(1, LONGEST + 1):
        said, wanted = _runs(text, length), _runs(reference, length)
        common = sum((said & wanted).values())
        # A length that one of the two has no run of says nothing.
        if said and wanted:
            precisions.append(common / sum(said.values()))
            recalls.append(common / sum(wanted.values()))
    if not precisions:
        return 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    factor = BETA**2
    return (1 + factor) * precision * recall / (factor * precision + recall) if precision + recall else 0.0


def _runs(text: str, length: int) -> Counter[str]:
    text = "".join(text.split())
    return Counter(text[place : place + length] for place in range(len(text) - length + 1))
