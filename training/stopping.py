"""When training ends: a trainer's history, a list of what it logged, decides alone."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

History = Sequence[Mapping[str, Any]]


def evaluations(history: History, name: str) -> list[tuple[int, float]]:
    """Step and loss of each evaluation of the watched rows called `name`, oldest first."""
    key = f"eval_{name}_loss"
    return [(int(entry["step"]), float(entry[key])) for entry in history if key in entry]


def best_evaluation(history: History, name: str) -> tuple[int, float]:
    """Step and loss of the evaluation with the lowest loss, the first of equals. Raises ValueError without any."""
    return min(evaluations(history, name), key=lambda found: (found[1], found[0]))


def is_out_of_patience(history: History, name: str, patience: int) -> bool:
    """Whether the last `patience` evaluations were no better than the best before them."""
    losses = [loss for _, loss in evaluations(history, name)]
    return bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


def losses_at(history: History, step: int, watched: Sequence[str]) -> dict[str, float]:
    """The losses after `step` steps: `train` (the mean over the epoch that ended there) and those of watched rows."""
    entries = [entry for entry in history if entry.get("step") == step]
    keys = {"train": "loss", **{name: f"eval_{name}_loss" for name in watched}}
    return {name: float(entry[key]) for name, key in keys.items() for entry in entries if key in entry}


def are_finite(losses: Mapping[str, float]) -> bool:
    """Whether all losses are numbers."""
    return all(math.isfinite(loss) for loss in losses.values())
