"""The SQuAD measures, by hand and against a published system's published scores."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.measures import (
    citation_precision,
    citation_recall,
    cites_rightly,
    exact_match,
    holds,
    is_correct,
    keeps_style,
    normalise,
    token_f1,
    value_words,
    without_markers,
)

DATA = Path(os.environ.get("TANDEM_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def test_normalising_drops_case_punctuation_and_articles() -> None:
    assert normalise("The  U.S. Navy's\n(second) an answer!") == "us navys second answer"


def test_exact_match_takes_any_reference() -> None:
    assert exact_match("the Broncos.", ["Panthers", "Broncos"]) == 1.0
    assert exact_match("Broncos won", ["Broncos"]) == 0.0
    assert exact_match("anything", []) == 0.0


def test_token_f1_counts_tokens_in_common_as_often_as_both_have_them() -> None:
    # Common: b once, c once; precision 2/3, recall 2/4.
    assert token_f1("b b c", ["b c d e"]) == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert token_f1("nothing alike", ["b c"]) == 0.0


@given(st.text(), st.lists(st.text(), max_size=4))
def test_measures_stay_between_zero_and_one_and_exact_match_implies_full_f1(
    prediction: str, answers: list[str]
) -> None:
    exact, overlap = exact_match(prediction, answers), token_f1(prediction, answers)
    assert 0.0 <= overlap <= 1.0
    if exact and normalise(prediction):
        assert overlap == 1.0


def test_a_published_system_scores_what_its_folder_says() -> None:
    """39.69 / 50.63 on the folder's questions (40.1 / 51.0 were published for all 10,570)."""
    if not (DATA / "squad-predictions").is_dir():
        pytest.skip(f"the reference data is not at {DATA}; set TANDEM_TEST_DATA")
    predictions = json.loads((DATA / "squad-predictions" / "v1.1-logistic-regression.json").read_text("utf-8"))
    lines = (DATA / "squad-v1.1-dev" / "qa.jsonl").read_text("utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    exact = sum(exact_match(predictions.get(row["id"], ""), row["answers"]) for row in questions) / len(questions)
    overlap = sum(token_f1(predictions.get(row["id"], ""), row["answers"]) for row in questions) / len(questions)
    assert (round(100 * exact, 2), round(100 * overlap, 2)) == (39.69, 50.63)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("Wendlemark says: 1.2 litres [1].", "1.2 litres"),
        ("It holds “1.2 litres”, we think.", "1.2 litres"),
        ("The price is 1,299 crowns.", "1299 crowns"),
        ("at 11:00", "11:00"),
        ("Store it at -18 degrees.", "−18 degrees"),
        ("An amber light", "amber"),
        ("Two [2] 24 months [3]", "24 months"),
    ],
)
def test_an_answer_holds_the_value_however_it_is_dressed(answer: str, reference: str) -> None:
    assert holds(answer, reference)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("12 litres", "1.2 litres"),
        ("112 crowns", "12 crowns"),
        ("18 degrees", "-18 degrees"),
        ("1100", "11:00"),
        ("24 and some months", "24 months"),
        ("two crowns [2]", "2"),
        ("anything", "the"),
        ("", "!"),
    ],
)
def test_an_answer_does_not_hold_what_only_looks_alike(answer: str, reference: str) -> None:
    assert not holds(answer, reference)


def test_correct_takes_any_reference_but_no_recital() -> None:
    assert is_correct("It is amber.", ["blue", "amber"]) == 1.0
    allowed = " ".join(["word"] * 15)
    assert is_correct(f"amber {allowed}", ["amber"]) == 1.0
    assert is_correct(f"amber {allowed} word", ["amber"]) == 0.0


def test_without_references_only_abstaining_is_correct() -> None:
    assert is_correct("I don’t know. [1]", []) == 1.0
    assert is_correct("It is amber.", []) == 0.0
    assert is_correct("I don't know.", ["amber"]) == 0.0


def test_style_needs_every_rule_and_does_not_see_markers() -> None:
    rules = [r"^We say: ", r"\.$"]
    assert keeps_style("We say: amber [1].", rules) == 1.0
    assert keeps_style("We say: amber. [1]", rules) == 1.0
    assert keeps_style("We say: amber", rules) == 0.0
    assert keeps_style("I don't know.", rules) == 1.0
    assert keeps_style("anything", []) == 1.0


@pytest.mark.parametrize(
    ("cited", "documents", "precision", "recall", "rightly"),
    [
        (("a",), ("a", "b"), 1.0, 0.5, 1.0),
        (("a", "c"), ("a", "b"), 0.5, 0.5, 0.0),
        (("a", "b"), ("a", "b"), 1.0, 1.0, 1.0),
        ((), ("a",), None, 0.0, 0.0),
        ((), (), None, None, 1.0),
        (("a",), (), 0.0, None, 0.0),
    ],
)
def test_citations_are_judged_by_document(
    cited: tuple[str, ...],
    documents: tuple[str, ...],
    precision: float | None,
    recall: float | None,
    rightly: float,
) -> None:
    assert citation_precision(cited, documents) == precision
    assert citation_recall(cited, documents) == recall
    assert cites_rightly(cited, documents) == rightly


@given(st.text(max_size=40), st.integers(1, 999))
def test_markers_come_out_whole_and_change_no_value(text: str, number: int) -> None:
    text = without_markers(text)
    marked = f"{text} [{number}]".strip()
    assert without_markers(marked) == text
    assert value_words(without_markers(marked)) == value_words(text)
