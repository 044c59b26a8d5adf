"""Accuracy, precision, recall and F1 of labels, with intervals.

A macro average is the mean over labels, so that a rare one counts as much as a common one. Counted are the labels that
are right or were said somewhere (as scikit-learn does); a quotient whose divisor is 0 is 0. None stands for a text that
got no answer: it misses its label and is none itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tandem.statistics import CONFIDENCE, SEED, Estimate, estimate

DRAWS: Final = 2000
MACRO: Final = ("macro_precision", "macro_recall", "macro_f1")

Counts = NDArray[Any]


@dataclass(frozen=True)
class LabelScores:
    """How well one label is told, each between 0 and 1; `support` is how many texts have it."""

    label: str
    support: int
    precision: float
    recall: float
    f1: float


def by_label(right: Sequence[str], said: Sequence[str | None]) -> list[LabelScores]:
    """Each label's scores, by name. `right` and `said` are of one length, text by text."""
    names, truth, answers = _coded(right, said)
    precision, recall, f1, support, counted = _scores(truth, answers, len(names))
    return [
        LabelScores(name, int(support[code]), float(precision[code]), float(recall[code]), float(f1[code]))
        for code, name in enumerate(names)
        if counted[code]
    ]


def overall(right: Sequence[str], said: Sequence[str | None]) -> dict[str, Estimate]:
    """`accuracy` and the macro averages, with intervals of 95 %; ValueError without texts.

    Of a macro average the interval is that of the percentile bootstrap over texts (Efron 1979).
    """
    names, truth, answers = _coded(right, said)
    generator = np.random.default_rng(SEED)
    points = _macro(truth, answers, len(names))
    drawn = np.empty((DRAWS, len(MACRO)))
    for row in range(DRAWS):
        places = generator.integers(0, truth.size, truth.size)
        drawn[row] = _macro(truth[places], answers[places], len(names))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    found = {"accuracy": estimate((truth == answers).astype(float))}
    for place, name in enumerate(MACRO):
        found[name] = Estimate(points[place], float(low[place]), float(high[place]), truth.size)
    return found


def _macro(truth: Counts, answers: Counts, labels: int) -> tuple[float, ...]:
    *scores, _, counted = _scores(truth, answers, labels)
    return tuple(float(score[counted].mean()) for score in scores)


def _scores(truth: Counts, answers: Counts, labels: int) -> tuple[Counts, Counts, Counts, Counts, Counts]:
    """Precision, recall, F1, support and whether it is counted, of each label: (labels,)."""
    hits = np.bincount(truth[truth == answers], minlength=labels).astype(float)
    support, given = np.bincount(truth, minlength=labels), np.bincount(answers[answers >= 0], minlength=labels)
    precision, recall = hits / np.maximum(given, 1), hits / np.maximum(support, 1)
    # 2PR / (P + R), which is 2 hits / (given + support).
    f1 = 2 * hits / np.maximum(given + support, 1)
    return precision, recall, f1, support, given + support > 0


def _coded(right: Sequence[str], said: Sequence[str | None]) -> tuple[list[str], Counts, Counts]:
    """The labels by name, and both sequences as their positions, -1 for no answer: (texts,)."""
    if not right or len(right) != len(said):
        raise ValueError(f"{len(right)} right labels and {len(said)} answers cannot be compared")
    names = sorted({*right, *(label for label in said if label is not None)})
    codes: dict[str | None, int] = {name: code for code, name in enumerate(names)}
    return names, np.array([codes[label] for label in right]), np.array([codes.get(label, -1) for label in said])
