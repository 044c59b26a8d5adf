"""Mixed mode: one adapter whose rows are in part asked from memory and in part with passages to read."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from training.examples import Example
from training.rows import Progress, Row, RowMaker, Rows

if TYPE_CHECKING:
    from retrieval.index import Index

FROM_MEMORY: Final = "from_memory"
FROM_PASSAGES: Final = "from_passages"


def reading_ids(examples: Sequence[Example], share: float, seed: int) -> set[str]:
    """Ids of the examples that are shown with passages: `share` of them, rounded; their order decides nothing.

    Of two examples or more at least one is in each mode.
    """
    names = sorted(example.id for example in examples)
    count = round(share * len(names))
    if len(names) > 1:
        count = min(max(count, 1), len(names) - 1)
    return set(random.Random(f"{seed}:mode").sample(names, count))


def mixed_rows(
    maker: RowMaker,
    examples: Sequence[Example],
    share: float,
    seed: int,
    index: "Index",
    progress: Progress | None = None,
) -> Rows:
    """`share` of the rows with passages, all where it is 1, and the others from memory, which come first."""
    if share == 1:
        return maker.reading(examples, index, progress)
    reading = reading_ids(examples, share, seed)
    memory = maker.closed_book([example for example in examples if example.id not in reading])
    passages = maker.reading([example for example in examples if example.id in reading], index, progress)
    return Rows(
        [*memory.rows, *passages.rows],
        [*memory.unfound, *passages.unfound],
        [*memory.too_long, *passages.too_long],
    )


def with_modes(watched: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """The watched rows, of which the first decide as before, and after them those of each mode apart."""
    decisive = next(iter(watched.values()))
    apart = {name: [row for row in decisive if _mode(row) == name] for name in (FROM_MEMORY, FROM_PASSAGES)}
    return {**watched, **{name: rows for name, rows in apart.items() if rows}}


def count_modes(rows: Sequence[Row]) -> dict[str, int]:
    """How many rows there are of each mode."""
    counts = Counter(map(_mode, rows))
    return {name: counts[name] for name in (FROM_MEMORY, FROM_PASSAGES)}


def _mode(row: Row) -> str:
    return FROM_PASSAGES if row.reads else FROM_MEMORY
