"""Training and validation without a document in common."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tandem.errors import UserError
from training.examples import Example


@dataclass(frozen=True)
class Split:
    """The parts, each in the order of the input; only a task has test examples."""

    train: list[Example]
    validation: list[Example]
    test: list[Example] = field(default_factory=list)


def split(examples: Sequence[Example], validation_share: float, seed: int) -> Split:
    """Keep about `validation_share` of the examples for validation, whole groups that share documents.

    Raises UserError when all examples hang together by their documents, so that nothing can be kept apart.
    """
    groups = connected(examples)
    if len(groups) < 2:
        raise UserError(
            f"All {len(examples)} examples hang together by the documents they name, and validation needs documents "
            "that training never sees: add examples of another document.",
            code="cannot_split",
        )
    # Sorted by id first, so that the order of the file does not decide.
    groups.sort(key=lambda group: min(examples[position].id for position in group))
    random.Random(seed).shuffle(groups)
    target = max(1.0, validation_share * len(examples))
    kept: set[int] = set()
    for group in groups:
        # Taken where it brings the size nearer to the target.
        if abs(len(kept) + len(group) - target) < abs(len(kept) - target):
            kept |= set(group)
    kept = kept or set(sorted(groups, key=len)[0])
    return Split(
        [example for position, example in enumerate(examples) if position not in kept],
        [example for position, example in enumerate(examples) if position in kept],
    )


def connected(examples: Sequence[Example]) -> list[list[int]]:
    """Positions of examples in groups: those that share a document, directly or through others, are in one.

    An example without documents is a group of its own.
    """
    parent = list(range(len(examples)))

    def root(position: int) -> int:
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    first: dict[str, int] = {}
    for position, example in enumerate(examples):
        for document in example.documents:
            parent[root(position)] = root(first.setdefault(document, position))
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for position in range(len(examples)):
        groups[root(position)].append(position)
    return list(groups.values())
