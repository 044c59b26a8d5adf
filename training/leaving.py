"""Examples that leave on the way to a dataset: none does so without being counted and named."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

OUTDATED: Final = "outdated_drafts"
EMPTY: Final = "empty"
PERSONAL: Final = "personal_data"
PERMISSION: Final = "without_permission"
LANGUAGE: Final = "other_languages"
EXACT: Final = "exact_duplicates"
CONTRADICTION: Final = "contradictions"
NEAR: Final = "near_duplicates"
LEAKED: Final = "leaked"

STEPS: Final = (OUTDATED, EMPTY, PERSONAL, PERMISSION, LANGUAGE, EXACT, CONTRADICTION, NEAR, LEAKED)
"""In the order in which they are taken."""

REASONS: Final = {
    EMPTY: "after cleaning nothing is left of its question or its answer",
    EXACT: "an earlier example has the same question and answer",
    CONTRADICTION: "an earlier example answers the same question otherwise",
    NEAR: "an earlier example with the same answer has nearly the same words",
}
"""Step → the reason of all that leave in it; the other steps have one for each example."""


@dataclass(frozen=True)
class Leaving:
    """An example that leaves; `step` is one of the names above, `reason` a clause for a person."""

    id: str
    step: str
    reason: str


def leaving(step: str, ids: Iterable[str]) -> list[Leaving]:
    """What leaves in a step that has one reason."""
    return [Leaving(name, step, REASONS[step]) for name in ids]
