"""What one answer is worth: the domain's success metric and its parts."""

from dataclasses import dataclass
from typing import Final

from eval.answers import Answer
from eval.questions import Question
from tandem.measures import abstains, citation_precision, citation_recall, cites_rightly, keeps_style
from tandem.settings import SuccessConfig, Task
from tandem.worth import WORTH

PARTS: Final = (
    "success",
    "correct",
    "style",
    "citation",
    "citation_precision",
    "citation_recall",
    "abstains_rightly",
    "abstains_wrongly",
)
"""The fields of `Scores`."""


@dataclass(frozen=True)
class Scores:
    """Each between 0 and 1; None where a measure says nothing of the question, which its mean then leaves out."""

    success: float
    """The weighted sum of correct, style and citation."""
    correct: float
    style: float
    citation: float
    citation_precision: float | None
    """None for an answer that cites nothing."""
    citation_recall: float | None
    """None for a question that no document answers."""
    abstains_rightly: float | None
    """None for an answerable question."""
    abstains_wrongly: float | None
    """None for an unanswerable question."""


def score(question: Question, answer: Answer, success: SuccessConfig, task: Task = "answers") -> Scores:
    """The scores of an answer; one that failed is worth 0 in everything that counts. The task says what is correct."""
    failed = answer.error is not None
    abstained = not failed and abstains(answer.text)
    # An abstention has no form to keep; where there is an answer, giving none earns nothing for style either.
    withheld = abstained and question.is_answerable
    correct = 0.0 if failed else WORTH[task](answer.text, question.answers)
    style = 0.0 if failed or withheld else keeps_style(answer.text, [rule.pattern for rule in success.style_rules])
    citation = 0.0 if failed else cites_rightly(answer.cited, question.documents)
    return Scores(
        success=success.correct * correct + success.style * style + success.citation * citation,
        correct=correct,
        style=style,
        citation=citation,
        citation_precision=citation_precision(answer.cited, question.documents),
        citation_recall=citation_recall(answer.cited, question.documents),
        abstains_rightly=None if question.is_answerable else float(abstained),
        abstains_wrongly=float(abstained) if question.is_answerable else None,
    )
