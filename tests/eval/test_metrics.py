"""The SQuAD measures, by hand and against a published system's published scores."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics import exact_match, normalise, token_f1

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
