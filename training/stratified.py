"""A split in which each label has its share in both parts."""

from collections import Counter
from collections.abc import Sequence

from tandem.errors import UserError
from training.examples import Example
from training.splitting import Split, connected, shuffle


def stratified(examples: Sequence[Example], share: float, seed: int) -> Split:
    """Keep about `share` of each label's examples for validation, whole groups that share documents.

    A label of two examples or more has one or more in each part, as far as groups allow; of a single one, it is trained
    on. Raises UserError when no label has two examples that may be parted.
    """
    wanted = {
        label: max(1.0, share * count) if count > 1 else 0.0
        for label, count in Counter(example.answer for example in examples).items()
    }
    total = Counter(example.answer for example in examples)
    kept: set[int] = set()
    have: Counter[str] = Counter()
    groups = connected(examples)
    shuffle(groups, examples, seed)
    for group in groups:
        labels = Counter(examples[position].answer for position in group)
        nearer = sum(
            abs(have[label] - wanted[label]) - abs(have[label] + n - wanted[label]) for label, n in labels.items()
        )
        # A label's last group stays in training.
        if nearer > 0 and all(have[label] + count < total[label] for label, count in labels.items()):
            kept |= set(group)
            have += labels
    if not kept:
        raise UserError(
            f"Nothing of {len(examples)} examples can be kept apart: no label has two examples of different documents; "
            "add examples.",
            code="cannot_split",
        )
    return Split(
        [example for position, example in enumerate(examples) if position not in kept],
        [example for position, example in enumerate(examples) if position in kept],
    )
