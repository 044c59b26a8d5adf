"""What one answer to each task is worth, 0 to 1; training and evaluation score alike."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tandem.measures import is_correct
from tandem.settings import Task
from tandem.texts import chrf, rouge_l


def field_accuracy(text: str, references: Sequence[str]) -> float:
    """The share of the fields of both objects that have the same value; the best reference counts; no JSON is 0."""
    said = as_object(text)
    return max((_shared(said, wanted) for wanted in map(as_object, references) if wanted is not None), default=0.0)


def exact_label(text: str, references: Sequence[str]) -> float:
    """1.0 when the answer is the label, to the letter."""
    return float(text.strip() in references)


WORTH: Final[Mapping[Task, Callable[[str, Sequence[str]], float]]] = {
    "answers": is_correct,
    "classification": exact_label,
    "extraction": field_accuracy,
    "summarisation": rouge_l,
    "translation": chrf,
}
"""Task → how right an answer is, 0 to 1: the part `correct` of success."""

NAMES: Final[Mapping[Task, str]] = {
    "answers": "correct",
    "classification": "accuracy",
    "extraction": "field accuracy",
    "summarisation": "ROUGE-L",
    "translation": "chrF",
}
"""Task → what that is called in tables."""


def as_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _shared(said: dict[str, Any] | None, wanted: dict[str, Any]) -> float:
    if said is None:
        return 0.0
    keys = said.keys() | wanted.keys()
    same = sum(key in said and key in wanted and _same(said[key], wanted[key]) for key in keys)
    return same / len(keys) if keys else 1.0


def _same(left: Any, right: Any) -> bool:
    """As JSON: true is not 1."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
