"""What an answer of each task is worth, and the scores that fit the task."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from eval.answers import Answer
from eval.classification import LabelScores, by_label, overall
from eval.metrics import is_correct
from eval.questions import Question
from eval.texts import chrf, rouge_l
from tandem.json_schema import read_schema, violations
from tandem.settings import Task
from tandem.statistics import Estimate, estimate


@dataclass(frozen=True)
class Judging:
    """By what a domain's answers are judged."""

    task: Task = "answers"
    json_schema: Path | None = None


@dataclass(frozen=True)
class TaskResult:
    """A task's own scores of one variant; each between 0 and 1."""

    scores: Mapping[str, Estimate]
    labels: tuple[LabelScores, ...] = field(default_factory=tuple)
    """Of classification, by name."""


def field_accuracy(text: str, references: Sequence[str]) -> float:
    """The share of the fields of both objects that have the same value; the best reference counts; no JSON is 0."""
    said = _object(text)
    return max((_shared(said, wanted) for wanted in map(_object, references) if wanted is not None), default=0.0)


def exact_label(text: str, references: Sequence[str]) -> float:
    """1.0 when the answer is the label, to the letter."""
    return float(text.strip() in references)


WORTH: Final[Mapping[Task, Callable[[str, Sequence[str]], float]]] = {
    "answers": is_correct,
    "classification": exact_label,
    "extraction": field_accuracy,
    "summarisation": rouge_l,
    "translation": chrf,
}
"""Task → how right an answer is, 0 to 1: the part `correct` of success."""

NAMES: Final[Mapping[Task, str]] = {
    "answers": "correct",
    "classification": "accuracy",
    "extraction": "field accuracy",
    "summarisation": "ROUGE-L",
    "translation": "chrF",
}
"""Task → what that is called in tables."""


def task_result(judging: Judging, questions: Sequence[Question], answers: Sequence[Answer]) -> TaskResult | None:
    """The task's own scores of a variant's answers, in the order of the questions; None where there are no others."""
    if judging.task == "answers":
        return None
    if judging.task == "classification":
        right = [question.answers[0] if question.answers else "" for question in questions]
        said = [None if answer.error is not None else answer.text.strip() for answer in answers]
        return TaskResult(overall(right, said), tuple(by_label(right, said)))
    measures = _measures(judging)
    return TaskResult(
        {
            name: estimate(
                [
                    0.0 if answer.error is not None else measure(answer.text, question.answers)
                    for question, answer in zip(questions, answers, strict=True)
                ]
            )
            for name, measure in measures.items()
        }
    )


def _measures(judging: Judging) -> dict[str, Callable[[str, Sequence[str]], float]]:
    if judging.task != "extraction":
        return {"rouge_l": rouge_l, "chrf": chrf}
    assert judging.json_schema is not None, "the settings ask for it"
    schema = read_schema(judging.json_schema)

    def valid(text: str, _: Sequence[str]) -> float:
        said = _object(text)
        return float(said is not None and not any(violations(schema, said)))

    def exact(text: str, references: Sequence[str]) -> float:
        return float(field_accuracy(text, references) == 1.0)

    return {"valid": valid, "field_accuracy": field_accuracy, "exact": exact}


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _shared(said: dict[str, Any] | None, wanted: dict[str, Any]) -> float:
    if said is None:
        return 0.0
    keys = said.keys() | wanted.keys()
    same = sum(key in said and key in wanted and _same(said[key], wanted[key]) for key in keys)
    return same / len(keys) if keys else 1.0


def _same(left: Any, right: Any) -> bool:
    """As JSON: true is not 1."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
