"""The permission ledger: where an example comes from and why it may be trained on."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from training.diversity import largest_first
from training.examples import Example
from training.leaving import PERMISSION, Leaving

KEYS: Final = ("source", "licence", "basis")


def permitted(examples: Sequence[Example], demanded: Sequence[str], domain: str) -> tuple[list[Example], list[Leaving]]:
    """The examples that name all of `demanded` (of `KEYS`), and those that leave as they do not."""
    kept: list[Example] = []
    refused: list[Leaving] = []
    for example in examples:
        missing = [key for key in KEYS if key in demanded and not (getattr(example, key) or "").strip()]
        if missing:
            reason = f"it names no {' and no '.join(missing)}, which `domains.{domain}.permissions` demands"
            refused.append(Leaving(example.id, PERMISSION, reason))
        else:
            kept.append(example)
    return kept, refused


def ledger(examples: Sequence[Example], demanded: Sequence[str]) -> dict[str, Any]:
    """The ledger of what is kept: examples by source, licence and basis, and how many name none; largest first."""
    return {
        "demanded": [key for key in KEYS if key in demanded],
        "named": {
            key: largest_first(Counter(value for example in examples if (value := getattr(example, key)) is not None))
            for key in KEYS
        },
        "unnamed": {key: sum(getattr(example, key) is None for example in examples) for key in KEYS},
    }
