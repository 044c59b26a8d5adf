"""Which variant to use, in one sentence, by rules that are declared before any answer is seen.

1. The best variant is the one of the highest mean success; of equals the cheaper (`COSTS`: base < rag < finetuned <
   hybrid; naive costs as much as hybrid).
2. Where the best cannot be told apart from cheaper ones (corrected p of at least 0.05), the cheapest of them is
   recommended.
3. The sentence then says which it was: the difference is small for certain (its whole interval is within
   NEGLIGIBLE), or the questions are too few to tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from eval.plan import COSTS
from tandem.statistics import ALPHA, Estimate

NEGLIGIBLE: Final = 0.05
"""Differences of success below this do not pay for the dearer variant."""

Grounds = Literal["clear", "cheaper", "cannot tell", "only one"]


@dataclass(frozen=True)
class Comparison:
    """The paired difference `first` - `second` of success, from the view of `first`; interval of 95 %."""

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    """Two-sided, of the sign-flip test."""
    exact: bool
    """Whether `p` went through all sign flips."""
    p_corrected: float
    """After Holm over all pairs of variants."""
    deviation: float
    """Standard deviation of the differences."""
    detectable: float | None
    """The smallest true difference that so many questions show with 80 % power; None when they can show none."""
    questions_needed: int | None
    """How many questions would show the difference that was seen; None for none."""

    @property
    def is_distinct(self) -> bool:
        """Whether the difference can be told from chance."""
        return self.p_corrected < ALPHA

    def seen_from(self, variant: str) -> "Comparison":
        """The same with `variant` first; ValueError when it is neither."""
        if variant == self.first:
            return self
        if variant != self.second:
            raise ValueError(f"{variant!r} is not in {self.first!r} - {self.second!r}")
        values = {**vars(self), "first": self.second, "second": self.first}
        return Comparison(**{**values, "difference": -self.difference, "low": -self.high, "high": -self.low})


@dataclass(frozen=True)
class Recommendation:
    """`variant` is what to use, `best` what scored highest."""

    variant: str
    best: str
    grounds: Grounds
    sentence: str


def recommend(success: Mapping[str, Estimate], comparisons: Sequence[Comparison], questions: int) -> Recommendation:
    """The recommendation for variants whose mean success is known, and which were all compared with each other."""
    ranking = sorted(success, key=lambda name: (-round(success[name].mean, 12), COSTS[name], name == "naive"))
    best, *others = ranking
    to_best = [_between(comparisons, best, other) for other in others]
    cheaper = [pair for pair in to_best if COSTS[pair.second] < COSTS[best] and not pair.is_distinct]
    if not others:
        only = (
            f"Only {best} was evaluated: {show_points(success[best].mean)} points of success on {questions} questions."
        )
        return Recommendation(best, best, "only one", only)
    if not cheaper:
        grounds: Grounds = "clear" if to_best[0].is_distinct else "cheaper"
        return Recommendation(best, best, grounds, _best(success[best], to_best[0], questions))
    pair = min(cheaper, key=lambda pair: (COSTS[pair.second], -success[pair.second].mean))
    if pair.high <= NEGLIGIBLE:
        return Recommendation(pair.second, best, "cheaper", _small(pair))
    return Recommendation(pair.second, best, "cannot tell", _cannot_tell(pair, questions))


def _between(comparisons: Sequence[Comparison], first: str, second: str) -> Comparison:
    pair = next(pair for pair in comparisons if {pair.first, pair.second} == {first, second})
    return pair.seen_from(first)


def _best(best: Estimate, next_best: Comparison, questions: int) -> str:
    name, other = next_best.first, next_best.second
    scored = f"Use {name}: it scored {show_points(best.mean)} points of success on {questions} questions"
    if next_best.is_distinct:
        more = show_points(next_best.difference)
        return f"{scored}, {more} more than {other}, the next best ({_evidence(next_best)})."
    price = "costs more" if COSTS[other] > COSTS[name] else "costs as much"
    return f"{scored}, and {other}, which {price}, cannot be told apart from it ({_evidence(next_best)})."


def _small(pair: Comparison) -> str:
    return (
        f"Use {pair.second}: {pair.first} scored {show_points(pair.difference)} points more, at most "
        f"{show_points(pair.high)} by the 95 % interval, and {pair.second} is cheaper."
    )


def _cannot_tell(pair: Comparison, questions: int) -> str:
    needed = f", and this one would take about {pair.questions_needed:,}" if pair.questions_needed else ""
    unseen = "no difference can be seen"
    if pair.detectable is not None:
        unseen = f"differences under {show_points(pair.detectable)} points cannot be seen{needed}"
    return (
        f"Use {pair.second} for now: {pair.first} scored {show_points(pair.difference)} points more, but we cannot "
        f"tell with {questions} questions whether that is chance ({unseen}), and {pair.second} is cheaper."
    )


def _evidence(pair: Comparison) -> str:
    low, high = show_points(pair.low), show_points(pair.high)
    return f"95 % interval {low} to {high}, corrected p {show_p(pair.p_corrected)}"


def show_p(p: float) -> str:
    """A p-value for people: `< 0.0001`, `= 0.0312`."""
    return "< 0.0001" if p < 0.0001 else f"= {p:.4f}"


def show_points(value: float) -> str:
    """Success in points of 100, with a true minus sign."""
    return f"{100 * value:.1f}".replace("-", "\N{MINUS SIGN}").replace("\N{MINUS SIGN}0.0", "0.0")
