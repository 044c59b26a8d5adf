"""Training and validation without a document or a group in common, and of the same kinds where that can be."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from tandem.errors import UserError
from training.examples import Example


@dataclass(frozen=True)
class Split:
    """The parts, each in the order of the input; only a task has test examples."""

    train: list[Example]
    validation: list[Example]
    test: list[Example] = field(default_factory=list)


def split(
    examples: Sequence[Example], validation_share: float, seed: int, strata: Sequence[Hashable] | None = None
) -> Split:
    """Keep about `validation_share` of the examples for validation, whole groups that share documents or a `group`.

    `strata` says of each example which kind it is of: where the drawn validation has of some kind less than half of
    its share or more than one and a half times, another one is drawn that counts the kinds, and the nearer one stays.

    Raises UserError when all examples hang together by their documents, so that nothing can be kept apart.
    """
    groups = connected(examples)
    if len(groups) < 2:
        raise UserError(
            f"All {len(examples)} examples hang together by the documents or the `group` they name, and validation "
            "needs some that training never sees: add examples of another document or group.",
            code="cannot_split",
        )
    shuffle(groups, examples, seed)
    one_kind = [None] * len(examples)
    # Never all of them: the last group would lead away from a share below a half.
    kept = _draw(groups, one_kind, {None: max(1.0, validation_share * len(examples))})
    kinds = _large_enough(strata or one_kind, validation_share)
    if _is_uneven(kept, kinds, validation_share):
        counted = _draw(groups, kinds, _quotas(kinds, validation_share))
        nearer = _distance(counted, kinds, validation_share) < _distance(kept, kinds, validation_share)
        kept = counted if nearer and len(counted) < len(examples) else kept
    return Split(
        [example for position, example in enumerate(examples) if position not in kept],
        [example for position, example in enumerate(examples) if position in kept],
    )


def shuffle(groups: list[list[int]], examples: Sequence[Example], seed: int) -> None:
    """Order groups of positions by chance: the seed and the ids decide, the order of the file does not."""
    groups.sort(key=lambda group: min(examples[position].id for position in group))
    random.Random(seed).shuffle(groups)


def _draw(groups: Sequence[Sequence[int]], kinds: Sequence[Hashable], wanted: Mapping[Hashable, float]) -> set[int]:
    """Positions for validation: a group is taken where it brings the counts of the kinds nearer to what is wanted."""
    have: Counter[Hashable] = Counter()
    kept: set[int] = set()
    for group in groups:
        more = Counter(kinds[position] for position in group)
        # The sum is exact, so that the order of the kinds does not decide.
        change = math.fsum(
            abs(have[kind] + count - wanted[kind]) - abs(have[kind] - wanted[kind]) for kind, count in more.items()
        )
        if change < 0:
            kept.update(group)
            have += more
    return kept or set(sorted(groups, key=len)[0])


def _quotas(kinds: Sequence[Hashable], share: float) -> dict[Hashable, float]:
    """Whole examples of each kind for validation, by the largest remainder, so that they sum to the whole share."""
    counts = Counter(kinds)
    quotas = {kind: math.floor(share * count) for kind, count in counts.items()}
    by_remainder = sorted(counts, key=lambda kind: (quotas[kind] - share * counts[kind], repr(kind)))
    missing = math.ceil(max(1.0, share * len(kinds)) - 0.5) - sum(quotas.values())
    return {kind: float(quotas[kind] + (place < missing)) for place, kind in enumerate(by_remainder)}


def _large_enough(kinds: Sequence[Hashable], share: float) -> list[Hashable]:
    """The kinds, those as one of which validation cannot have a whole example."""
    counts = Counter(kinds)
    return [kind if counts[kind] * share >= 1 else None for kind in kinds]


def _is_uneven(kept: set[int], kinds: Sequence[Hashable], share: float) -> bool:
    """Whether some kind has less than half of its share, or more than one and a half times; one example is no fault."""
    have = Counter(kinds[position] for position in kept)
    wanted = {kind: share * count for kind, count in Counter(kinds).items()}
    return len(wanted) > 1 and any(abs(have[kind] - want) > max(1.0, want / 2) + 1e-9 for kind, want in wanted.items())


def _distance(kept: set[int], kinds: Sequence[Hashable], share: float) -> float:
    """By how many examples, over all kinds, validation is away from its share."""
    have = Counter(kinds[position] for position in kept)
    return math.fsum(abs(have[kind] - share * count) for kind, count in Counter(kinds).items())


def connected(examples: Sequence[Example]) -> list[list[int]]:
    """Positions of examples in groups: those that share a document or a `group`, also through others, are in one.

    An example with neither is a group of its own.
    """
    parent = list(range(len(examples)))

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    first: dict[tuple[str, str], int] = {}
    for position, example in enumerate(examples):
        links = [("document", document) for document in example.documents]
        for link in [*links, ("group", example.group)] if example.group is not None else links:
            parent[root(position)] = root(first.setdefault(link, position))
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for position in range(len(examples)):
        groups[root(position)].append(position)
    return list(groups.values())
