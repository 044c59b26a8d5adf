"""The verdict: what every variant is worth on the same questions, and which one to use.

`verdict.json` is the dataclass `Verdict` below as one JSON object, field by field:

    schema            1
    domain, split     texts
    created           ISO 8601, UTC
    questions         how many
    success           {"correct", "style", "citation": weights, "style_rules": [{"name", "pattern"}]}
    recommendation    {"variant", "best", "grounds": "clear" | "cheaper" | "cannot tell" | "only one", "sentence"}
    variants          [{"name", "variant", "version", "cost", "failed", "seconds", "tokens", "versions": [{…}],
                        "parts": {part: {"mean", "low", "high", "count"} | null}}]; parts are eval.scores.PARTS
    groups            [{"dimension", "value", "questions", "parts": {variant: {"success" | "correct": estimate}}}]
    comparisons       [{"first", "second", "difference", "low", "high", "p", "exact", "p_corrected", "deviation",
                        "detectable", "questions_needed"}]; one for each pair, `first` - `second`
    left_out          {variant: why it was not asked}
    warnings          [sentence]
    examples          [{"id", "question", "answers", "documents", "group",
                        "said": [{"variant", "text", "cited", "error", "success", "correct", "style", "citation"}]}]
    task              of the domain; it says what `correct` is: right, accuracy, field accuracy, ROUGE-L or chrF
    task_scores       {variant: {"scores": {name: estimate}, "labels": [{"label", "support", "precision", "recall",
                        "f1"}]}}; macro averages of classification are over labels, the others over questions
    method            seeds, numbers of draws, digests and versions: what it takes to compute it again

All scores, differences and intervals are between 0 and 1 (differences between -1 and 1), intervals hold 95 %.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from eval.recommendation import Comparison, Recommendation
from eval.tasks import TaskResult
from tandem.files import write_atomic
from tandem.settings import SuccessConfig, Task
from tandem.statistics import Estimate

SCHEMA: Final = 1
VERDICT: Final = "verdict.json"


@dataclass(frozen=True)
class VariantResult:
    """One variant; `parts` holds None for a measure that none of its answers has."""

    name: str
    variant: str
    version: str | None
    cost: int
    """Rank, 0 is the cheapest."""
    failed: int
    """Questions without an answer; each counts as 0."""
    seconds: float | None
    """Median time of an answer."""
    tokens: float | None
    """Mean of prompt and answer together."""
    versions: tuple[Mapping[str, Any], ...]
    """What made the answers: base model, adapter, snapshot, prompt; more than one when something changed meanwhile."""
    parts: Mapping[str, Estimate | None]


@dataclass(frozen=True)
class GroupResult:
    """The questions of which `dimension` is `value`."""

    dimension: str
    value: str
    questions: int
    parts: Mapping[str, Mapping[str, Estimate]]
    """Variant → `success` and `correct`."""


@dataclass(frozen=True)
class Said:
    """One variant's answer in an example."""

    variant: str
    text: str
    cited: tuple[str, ...]
    error: str | None
    success: float
    correct: float
    style: float
    citation: float


@dataclass(frozen=True)
class Example:
    """A question with all its answers."""

    id: str
    question: str
    answers: tuple[str, ...]
    documents: tuple[str, ...]
    group: Mapping[str, str]
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Verdict:
    """The result of an evaluation; the module's docstring has its JSON."""

    domain: str
    split: str
    created: str
    questions: int
    success: SuccessConfig
    recommendation: Recommendation
    variants: tuple[VariantResult, ...]
    groups: tuple[GroupResult, ...]
    comparisons: tuple[Comparison, ...]
    left_out: Mapping[str, str]
    warnings: tuple[str, ...]
    examples: tuple[Example, ...]
    method: Mapping[str, Any]
    task: Task = "answers"
    task_scores: Mapping[str, TaskResult] = field(default_factory=dict)
    """Variant → the scores that its task has of its own; empty for `answers`."""
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """As JSON's types."""
        return {**asdict(self), "success": self.success.model_dump(mode="json")}

    def write(self, folder: Path) -> None:
        """Write verdict.json, whole or not at all."""
        write_atomic(folder / VERDICT, json.dumps(self.to_json(), ensure_ascii=False, indent=2).encode() + b"\n")
