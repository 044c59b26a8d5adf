"""What one answer is worth."""

from eval.answers import Answer
from eval.questions import Question
from eval.scores import score
from tandem.settings import StyleRule, SuccessConfig

SUCCESS = SuccessConfig(
    correct=0.6, style=0.2, citation=0.2, style_rules=[StyleRule(name="opening", pattern=r"^We say: ")]
)
ANSWERABLE = Question("a", "What colour is it?", ("amber",), ("lamp.md",))
UNANSWERABLE = Question("u", "What does it cost?", (), ())


def worth(question: Question, text: str, *cited: str) -> float:
    return round(score(question, Answer(question.id, "rag", text, cited), SUCCESS).success, 9)


def test_an_answer_earns_its_value_its_style_and_its_citation_apart() -> None:
    assert worth(ANSWERABLE, "We say: amber [1]", "lamp.md") == 1.0
    assert worth(ANSWERABLE, "amber [1]", "lamp.md") == 0.8
    assert worth(ANSWERABLE, "We say: amber") == 0.8
    assert worth(ANSWERABLE, "We say: red [1]", "other.md") == 0.2


def test_an_abstention_is_worth_all_where_there_is_no_answer_and_nothing_where_there_is_one() -> None:
    assert worth(UNANSWERABLE, "I don't know.") == 1.0
    assert worth(ANSWERABLE, "I don't know.") == 0.0
    assert worth(UNANSWERABLE, "We say: 12 crowns [1]", "lamp.md") == 0.2
