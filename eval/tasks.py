"""What an answer of each task is worth, and the scores that fit the task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eval.answers import Answer
from eval.classification import LabelScores, by_label, overall
from eval.questions import Question
from tandem.json_schema import read_schema, violations
from tandem.settings import Task
from tandem.statistics import Estimate, estimate
from tandem.texts import chrf, rouge_l
from tandem.worth import as_object, field_accuracy


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
        said = as_object(text)
        return float(said is not None and not any(violations(schema, said)))

    def exact(text: str, references: Sequence[str]) -> float:
        return float(field_accuracy(text, references) == 1.0)

    return {"valid": valid, "field_accuracy": field_accuracy, "exact": exact}
