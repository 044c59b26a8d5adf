"""Measures of one answer against its references, without a judge."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Final

_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower case, no punctuation, no English articles, single spaces (the official SQuAD v1.1 script's rules)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 when the normalised prediction equals a normalised reference, else 0.0; no references: 0.0."""
    return float(any(normalise(prediction) == normalise(answer) for answer in answers))


def token_f1(prediction: str, answers: Sequence[str]) -> float:
    """The best F1 over references of the normalised tokens in common, between 0 and 1; no references: 0.0."""
    return max((_pair_f1(normalise(prediction).split(), normalise(answer).split()) for answer in answers), default=0.0)


def _pair_f1(predicted: list[str], reference: list[str]) -> float:
    """Harmonic mean of precision and recall over the multiset of tokens in common."""
    common = sum((Counter(predicted) & Counter(reference)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(reference)
    return 2 * precision * recall / (precision + recall)
