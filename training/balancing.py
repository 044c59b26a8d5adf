"""Rare languages, labels or groups seen more often: examples repeated within an epoch, none left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tandem.training_settings import BalanceConfig
from training.diversity import largest_first, shown
from training.examples import Example
from training.languages import UNDETERMINED, detect_languages
from training.rows import Row
from training.sampling import tempered, times_each
from training.strata import labels


@dataclass(frozen=True)
class Balanced:
    """How often each example is seen in an epoch, and the counts of each kind."""

    times: dict[str, int]
    """Example → times."""
    before: dict[str, int]
    after: dict[str, int]
    """In the same order, largest first; examples of no kind are in neither."""

    def repeat(self, rows: Sequence[Row]) -> list[Row]:
        """Rows of the examples, each as often as its example is seen, the repeats right behind the first."""
        return [row for row in rows for _ in range(self.times[row.example])]

    @property
    def line(self) -> str:
        """What changed, for people."""
        return shown([f"{kind} {count} → {self.after[kind]}" for kind, count in self.before.items()])


def balance_examples(examples: Sequence[Example], settings: BalanceConfig, seed: int) -> Balanced:
    """Repeat examples so that each kind has the rows of `training.sampling.tempered`.

    What belongs to no kind stays as it is, and nothing is seen more than `settings.repeats` times.
    """
    kinds = kinds_of(examples, settings)
    before = largest_first(Counter(kind for kind in kinds if kind is not None))
    times = [1] * len(examples)
    for kind, rows in tempered(before, settings.temperature).items():
        positions = [position for position, other in enumerate(kinds) if other == kind]
        wanted = round(min(rows, settings.repeats * len(positions)))
        for position, number in zip(positions, times_each(len(positions), wanted, f"{seed}:{kind}"), strict=True):
            times[position] = number
    after = Counter(kind for kind, number in zip(kinds, times, strict=True) for _ in range(number))
    seen = {example.id: number for example, number in zip(examples, times, strict=True)}
    return Balanced(seen, before, {kind: after[kind] for kind in before})


def kinds_of(examples: Sequence[Example], settings: BalanceConfig) -> list[str | None]:
    """The kind of each example, by `settings.by`; None of what has none, or where nothing is to be balanced."""
    match settings.by:
        case "language":
            languages = detect_languages(examples)
            return [None if languages[e.id] == UNDETERMINED else languages[e.id] for e in examples]
        case "label":
            return labels(examples)
        case "group":
            return [example.group for example in examples]
    return [None] * len(examples)
