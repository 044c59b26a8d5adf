"""Measures of one answer against its references, without a judge."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from tandem.prompt import find_markers, is_abstention

_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)

_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_WITHIN_NUMBER: Final = re.compile(r"(?<=\d)[.,:/](?=\d)")
_MINUS: Final = re.compile(r"(?<![\w)\]])[-\N{MINUS SIGN}](?=\d)")
_KEPT_POINT: Final = "\N{DOT ABOVE}"
"""Stands for a sign inside a number; Unicode does not call it punctuation, so it survives."""

LENGTH_FACTOR: Final = 4
LENGTH_ALLOWANCE: Final = 12
"""An answer of more than LENGTH_FACTOR x the reference's words + LENGTH_ALLOWANCE is no answer but a recital."""


def normalise(text: str) -> str:
    """Lower case, no punctuation, no English articles, single spaces (the official SQuAD v1.1 script's rules)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 when the normalised prediction equals a normalised reference, else 0.0; no references: 0.0."""
    return float(any(normalise(prediction) == normalise(answer) for answer in answers))


def token_f1(prediction: str, answers: Sequence[str]) -> float:
    """The best F1 over references of the normalised tokens in common, between 0 and 1; no references: 0.0."""
    return max((_pair_f1(normalise(prediction).split(), normalise(answer).split()) for answer in answers), default=0.0)


def without_markers(answer: str) -> str:
    """An answer without its citation markers `[n]` and the blanks before them."""
    text, position = "", 0
    for marker in find_markers(answer):
        text += answer[position : marker.start].rstrip(" ")
        position = marker.end
    return (text + answer[position:]).strip()


def value_words(text: str) -> list[str]:
    """The normalised words of a value; unlike SQuAD's rules they keep 1.2 from 12, 11:00 from 1100 and -18 from 18.

    Typographic punctuation goes like the typewriter's, and a comma that parts thousands goes too.
    """
    text = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text))
    text = _MINUS.sub("\N{MINUS SIGN}", _WITHIN_NUMBER.sub(_KEPT_POINT, text))
    return normalise("".join(sign for sign in text if not unicodedata.category(sign).startswith("P"))).split()


def abstains(answer: str) -> bool:
    """Whether an answer, its markers aside, says that it is not known."""
    return is_abstention(without_markers(answer))


def holds(answer: str, reference: str) -> bool:
    """Whether the reference's words stand in the answer one after the other, as whole words; never an empty one."""
    said, wanted = value_words(without_markers(answer)), value_words(reference)
    return bool(wanted) and any(said[start : start + len(wanted)] == wanted for start in range(len(said)))


def is_correct(answer: str, references: Sequence[str]) -> float:
    """1.0 when the answer holds a reference and is not much longer than it; without references when it abstains."""
    if not references:
        return float(abstains(answer))
    length = len(value_words(without_markers(answer)))
    return float(any(holds(answer, reference) and length <= _longest(reference) for reference in references))


def keeps_style(answer: str, patterns: Sequence[str]) -> float:
    """1.0 when every pattern is found in the answer (its markers taken out), or the answer abstains."""
    text = without_markers(answer)
    return float(is_abstention(text) or all(re.search(pattern, text) for pattern in patterns))


def citation_precision(cited: Collection[str], documents: Collection[str]) -> float | None:
    """The share of cited documents that hold the answer; None when nothing is cited."""
    return len(set(cited) & set(documents)) / len(set(cited)) if cited else None


def citation_recall(cited: Collection[str], documents: Collection[str]) -> float | None:
    """The share of documents that hold the answer and are cited; None when no document holds it."""
    return len(set(cited) & set(documents)) / len(set(documents)) if documents else None


def cites_rightly(cited: Collection[str], documents: Collection[str]) -> float:
    """1.0 when something is cited and only what holds the answer; where no document holds it, when nothing is."""
    return float(bool(cited) and set(cited) <= set(documents)) if documents else float(not cited)


def _longest(reference: str) -> int:
    return LENGTH_FACTOR * len(value_words(reference)) + LENGTH_ALLOWANCE


def _pair_f1(predicted: list[str], reference: list[str]) -> float:
    """Harmonic mean of precision and recall over the multiset of tokens in common."""
    common = sum((Counter(predicted) & Counter(reference)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(reference)
    return 2 * precision * recall / (precision + recall)
