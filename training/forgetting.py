"""The forgetting check: what a parent was validated on, under the parent and under the version that goes on from it.

Both answer the same rows, so what is judged is the difference on each row, with a bootstrap interval of its mean
(`tandem.statistics`).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from tandem.statistics import estimate
from training.base import Base
from training.publishing import load_adapter
from training.references import BATCH, answer_greedily, log_probabilities
from training.rows import Row

MOST_ROWS: Final = 200
"""Of each set; of larger ones so many are drawn."""


@dataclass(frozen=True)
class Scored:
    """Rows under one adapter; one value for each row."""

    losses: list[float]
    """Mean negative log-probability of the answer's tokens, in nats."""
    exact: list[float]
    """1 where the greedy answer is the expected one, letter for letter; else 0."""


@dataclass(frozen=True)
class Change:
    """A mean before and after, and the mean of the paired differences (after less before) with its 95 % interval."""

    before: float
    after: float
    change: float
    low: float | None
    """None, as `high`, for losses that all differ by the same: a bootstrap has nothing to draw from."""
    high: float | None


@dataclass(frozen=True)
class Forgetting:
    """The check on one set of the parent's rows."""

    rows: int
    loss: Change
    exact: Change

    @property
    def is_worse(self) -> bool:
        """Whether an interval lies wholly on the side of having forgotten."""
        lost = self.loss.low is not None and self.loss.low > 0
        return lost or (self.exact.high is not None and self.exact.high < 0)


def check_forgetting(
    base: Base, tokenizer: Any, parent: Path, child: Path, watched: Mapping[str, Sequence[Row]], seed: int
) -> dict[str, Forgetting]:
    """Score each set of the parent's validation rows under both adapters' folders."""
    chosen = {name: _at_most(rows, seed) for name, rows in watched.items()}
    before, after = (
        {name: score(model, tokenizer, base, rows) for name, rows in chosen.items()}
        for model in (load_adapter(base, folder) for folder in (parent, child))
    )
    return {name: compare(before[name], after[name]) for name in chosen}


def score(model: Any, tokenizer: Any, base: Base, rows: Sequence[Row]) -> Scored:
    """Rows under a PEFT model in float32 that is ready to answer."""
    ends = base.end_tokens(tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(ends)
    losses = [-fmean(log_probabilities(model, row.tokens.prompt_ids, row.tokens.completion_ids)) for row in rows]
    exact = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        longest = max(len(row.tokens.completion_ids) for row in batch)
        answers = answer_greedily(model, [row.tokens.prompt_ids for row in batch], ends, pad, longest)
        for row, answer in zip(batch, answers, strict=True):
            texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in (answer, row.tokens.completion_ids)]
            exact.append(float(texts[0].strip() == texts[1].strip()))
    return Scored(losses, exact)


def compare(before: Scored, after: Scored) -> Forgetting:
    """Two scores of the same rows."""
    return Forgetting(
        len(before.losses),
        _change(before.losses, after.losses, None),
        _change(before.exact, after.exact, (-1.0, 1.0)),
    )


def forgetting_lines(found: Mapping[str, Forgetting]) -> list[str]:
    """The check for people."""
    lines = []
    for name, one in found.items():
        loss, exact = one.loss, one.exact
        lines.append(
            f"the parent's {name.replace('_', ' ')} ({one.rows} rows): loss {loss.before:.4f} → {loss.after:.4f}, "
            f"{loss.change:+.4f}{_interval(loss, 1, '.4f')}; exact answers {exact.before:.1%} → {exact.after:.1%}, "
            f"{100 * exact.change:+.1f} points{_interval(exact, 100, '.1f')}"
        )
    if worse := [name.replace("_", " ") for name, one in found.items() if one.is_worse]:
        lines.append(
            f"it forgot: worse than its parent on {' and '.join(worse)}; a higher `training.replay` or a lower "
            "`training.learning_rate` keeps more"
        )
    return lines


def forgetting_values(found: Mapping[str, Forgetting]) -> dict[str, Any]:
    """The check for the card."""
    return {name: asdict(one) | {"worse": one.is_worse} for name, one in found.items()}


def _change(before: Sequence[float], after: Sequence[float], bounds: tuple[float, float] | None) -> Change:
    differences = [new - old for old, new in zip(before, after, strict=True)]
    if bounds is None and len(set(differences)) == 1:
        return Change(fmean(before), fmean(after), differences[0], None, None)
    found = estimate(differences, bounds or (0.0, 0.0))
    return Change(fmean(before), fmean(after), found.mean, found.low, found.high)


def _interval(change: Change, scale: int, form: str) -> str:
    if change.low is None or change.high is None:
        return ""
    return f" [{scale * change.low:+{form}}, {scale * change.high:+{form}}]"


def _at_most(rows: Sequence[Row], seed: int) -> list[Row]:
    return list(rows) if len(rows) <= MOST_ROWS else random.Random(seed).sample(list(rows), MOST_ROWS)
