"""Paired statistics: every variant answers the same questions, so what is judged is the difference on each question.

All draws come from a seed, so the same answers always give the same numbers. Differences are arrays of shape
`(questions,)` of numbers between -1 and 1.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

SEED: Final = 20261122
RESAMPLES: Final = 10_000
"""Draws of the bootstrap."""
SIGN_FLIPS: Final = 100_000
"""Draws of the test where there are too many ways to flip signs to go through all."""
EXACT_LIMIT: Final = 1_000_000
"""Up to so many distinct outcomes of flipping signs all are gone through."""
CONFIDENCE: Final = 0.95
ALPHA: Final = 0.05
POWER: Final = 0.8

_BLOCK: Final = 2_000_000
"""Numbers drawn at once, so that memory stays bounded (16 MB)."""
_NORMAL: Final = NormalDist()

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over `count` questions with its interval; all in the unit of the values."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class PValue:
    """Two-sided; `exact` when all ways to flip signs were gone through."""

    value: float
    exact: bool


def estimate(
    values: ArrayLike, bounds: tuple[float, float] = (0.0, 1.0), *, seed: int = SEED, resamples: int = RESAMPLES
) -> Estimate:
    """The mean of `values`, shape `(questions,)`, and its 95 % interval; ValueError when there are none.

    The interval is the bias-corrected and accelerated bootstrap (Efron 1987, Better bootstrap confidence intervals).
    Values that are all equal give the bootstrap nothing to draw from; then the interval says how far the mean can be
    off when a share of questions that n draws miss with a probability of 2.5 % lay at either one of the `bounds`.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"expected at least one value in one dimension, not shape {array.shape}")
    mean = float(array.mean())
    if np.ptp(array) == 0:
        unseen = 1 - ((1 - CONFIDENCE) / 2) ** (1 / array.size)
        return Estimate(mean, mean - unseen * (mean - bounds[0]), mean + unseen * (bounds[1] - mean), array.size)
    low, high = _bca(array, resampled_means(array, seed, resamples))
    return Estimate(mean, low, high, array.size)


def resampled_means(values: Array, seed: int, resamples: int) -> Array:
    """Means of `resamples` samples drawn with replacement; shape `(resamples,)`."""
    random = np.random.default_rng(seed)
    drawn = [
        values[random.integers(0, values.size, (rows, values.size))].mean(axis=1)
        for rows in _blocks(resamples, values.size)
    ]
    return np.concatenate(drawn)


def sign_flip_test(differences: ArrayLike, *, seed: int = SEED, resamples: int = SIGN_FLIPS) -> PValue:
    """How probable so large a mean difference is when each question's difference might as well have the other sign.

    Questions with equal differences are interchangeable, so only how many of each size flip is gone through: exact up
    to EXACT_LIMIT outcomes. Beyond it signs are drawn, and the drawn share counts the observed outcome too (Phipson
    and Smyth 2010, Permutation p-values should never be zero).
    """
    array = np.asarray(differences, dtype=np.float64)
    sizes, counts = np.unique(np.abs(array[array != 0]).round(12), return_counts=True)
    observed = abs(float(array.sum())) - 1e-9
    if math.prod(int(count) + 1 for count in counts) <= EXACT_LIMIT:
        sums, chances = _all_sums(sizes, counts)
        return PValue(min(1.0, float(chances[np.abs(sums) >= observed].sum())), exact=True)
    random = np.random.default_rng(seed)
    as_large = 0
    for rows in _blocks(resamples, sizes.size):
        sums = (counts - 2 * random.binomial(counts, 0.5, (rows, sizes.size))) @ sizes
        as_large += int((np.abs(sums) >= observed).sum())
    return PValue((as_large + 1) / (resamples + 1), exact=False)


def can_differ(questions: int, alpha: float = ALPHA) -> bool:
    """Whether so many questions can show any difference: two of the 2^n ways to flip signs are the most extreme."""
    return 2.0 ** (1 - questions) < alpha


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for there being several (Holm 1979), in the order given; each is at least what it was."""
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[position]))
        corrected[position] = largest
    return corrected


def detectable_difference(deviation: float, questions: int, *, power: float = POWER, alpha: float = ALPHA) -> float:
    """The smallest true mean difference that so many questions show with probability `power` at level `alpha`.

    `deviation` is the standard deviation of the paired differences. By the normal approximation, so a little too good
    where differences have one size only, in which the sign-flip test keeps its promise with room to spare.
    """
    return _both_errors(power, alpha) * deviation / math.sqrt(questions)


def questions_needed(deviation: float, difference: float, *, power: float = POWER, alpha: float = ALPHA) -> int | None:
    """How many questions show a true mean difference of this size; at least 1, and None for no difference."""
    if difference == 0:
        return None
    return max(1, math.ceil((_both_errors(power, alpha) * deviation / difference) ** 2))


def _both_errors(power: float, alpha: float) -> float:
    return _NORMAL.inv_cdf(1 - alpha / 2) + _NORMAL.inv_cdf(power)


def _bca(values: Array, means: Array) -> tuple[float, float]:
    observed = values.mean()
    # Ties count half: means of a few grades of success are often equal to the observed one.
    below = ((means < observed).mean() + (means <= observed).mean()) / 2
    bias = _NORMAL.inv_cdf(float(np.clip(below, 0.5 / means.size, 1 - 0.5 / means.size)))
    deviations = observed - values
    # Leaving one question out moves the mean against that question's deviation, hence the closed form.
    acceleration = -float((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))

    def level(normal: float) -> float:
        moved = bias + normal
        return _NORMAL.cdf(bias + moved / (1 - acceleration * moved))

    tail = _NORMAL.inv_cdf((1 - CONFIDENCE) / 2)
    low, high = np.quantile(means, [level(tail), level(-tail)])
    return float(low), float(high)


def _all_sums(sizes: Array, counts: NDArray[np.int64]) -> tuple[Array, Array]:
    """Every sum that flipped signs give, and its probability; two arrays of shape `(outcomes,)`."""
    sums, chances = np.zeros(1), np.ones(1)
    for size, count in zip(sizes, counts.tolist(), strict=True):
        flipped = np.arange(count + 1)
        sums = np.add.outer(sums, size * (count - 2 * flipped)).ravel()
        chances = np.multiply.outer(chances, _binomial(count)).ravel()
    return sums, chances


def _binomial(count: int) -> Array:
    """Probabilities of 0 to `count` heads of a fair coin; shape `(count + 1,)`."""
    logarithms = [
        math.lgamma(count + 1) - math.lgamma(heads + 1) - math.lgamma(count - heads + 1) for heads in range(count + 1)
    ]
    return np.exp(np.array(logarithms) - count * math.log(2))


def _blocks(rows: int, width: int) -> Iterator[int]:
    """`rows` in portions whose numbers fit into one block."""
    portion = max(1, _BLOCK // max(1, width))
    yield from (min(portion, rows - start) for start in range(0, rows, portion))
