"""Scores of tasks, held against scikit-learn, sacreBLEU, rouge-score and a simulation."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from eval.answers import Answer
from eval.classification import by_label, overall
from eval.questions import Question
from eval.scores import score
from eval.tasks import Judging, task_result
from tandem import cli
from tandem.settings import SuccessConfig
from tandem.texts import chrf, rouge_l
from tandem.worth import field_accuracy
from tests.eval.gateway import gateway, say, write_rows

LABELS = st.sampled_from(["card", "cash", "pin", "top_up"])
ASKED = {"q0": "card", "q1": "card", "q2": "cash", "q3": "pin"}


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60))
def test_scores_of_labels_are_those_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    right, said = [list(side) for side in zip(*pairs, strict=True)]
    names = sorted({*right, *said})
    theirs = precision_recall_fscore_support(right, said, labels=names, zero_division=0)
    ours = by_label(right, said)
    assert [row.label for row in ours] == names
    for place, row in enumerate(ours):
        expected = [column[place] for column in theirs]
        assert [row.precision, row.recall, row.f1, row.support] == pytest.approx(expected)


def test_macro_averages_count_every_label_alike_and_no_answer_as_a_miss() -> None:
    found = overall(["a", "a", "a", "b"], ["a", "a", None, "a"])
    assert found["accuracy"].mean == 0.5
    assert found["macro_precision"].mean == pytest.approx((2 / 3 + 0) / 2)
    assert found["macro_recall"].mean == pytest.approx((2 / 3 + 0) / 2)
    with pytest.raises(ValueError, match="cannot be compared"):
        overall([], [])


def test_an_interval_of_macro_f1_holds_the_true_value_about_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three labels of 50, 30 and 20 %; each is told rightly in 80 % of its texts, and else one of the others."""
    monkeypatch.setattr("eval.classification.DRAWS", 300)
    shares, generator = np.array([0.5, 0.3, 0.2]), np.random.default_rng(3)
    confusion = np.full((3, 3), 0.1) + 0.7 * np.eye(3)
    joint = shares[:, None] * confusion
    truth = np.mean(2 * joint.diagonal() / (joint.sum(0) + joint.sum(1)))
    held = 0
    for _ in range(100):
        cells = generator.choice(9, 300, p=joint.ravel())
        f1 = overall([f"{cell // 3}" for cell in cells], [f"{cell % 3}" for cell in cells])["macro_f1"]
        held += f1.low <= truth <= f1.high
    assert 88 <= held <= 99


@pytest.mark.parametrize(
    ("text", "reference", "points"),
    [
        ("The cat sat on the mat.", "The cat is on the mat.", 67.17273492330233),
        ("Guten Morgen, Frau Orlé", "Guten Tag, Frau Orlé!", 55.822746100925634),
        ("abc", "abcdef", 43.72623574144487),
        ("xyz", "abc", 0.0),
        ("Der Zug fährt um acht Uhr ab.", "Der Zug fährt erst um neun Uhr.", 47.13290965549593),
    ],
)
def test_chrf_is_that_of_sacrebleu(text: str, reference: str, points: float) -> None:
    """The numbers are those of sacreBLEU 2.6.0, CHRF().sentence_score."""
    assert 100 * chrf(text, ["", reference]) == pytest.approx(points, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "reference", "f1"),
    [
        ("The cat sat on the mat.", "The cat is on the mat.", 0.8333333333333334),
        ("The shop opens at nine and closes at six.", "It closes at six; the shop opens at nine.", 0.5555555555555556),
        ("a b c", "x y z", 0.0),
        ("Two guests arrive on Monday", "On Monday two guests arrive by train", 0.5),
    ],
)
def test_rouge_is_that_of_rouge_score(text: str, reference: str, f1: float) -> None:
    """The numbers are those of rouge-score 0.1.2, rougeL without stemming."""
    assert rouge_l(text, [reference]) == pytest.approx(f1)


@given(st.text(max_size=30), st.text(max_size=30))
def test_scores_of_texts_are_shares_and_whole_for_the_text_itself(text: str, other: str) -> None:
    for measure in (rouge_l, chrf, field_accuracy):
        assert 0.0 <= measure(text, [other]) <= 1.0
        assert measure(text, []) == 0.0
    assert chrf(text, [text]) == pytest.approx(float(bool(text.split())))
    assert rouge_l("Größe: zwölf", ["größe zwölf"]) == 1.0


def test_fields_count_as_json_says() -> None:
    wanted = ['{"city": "Orlé", "guests": 2}']
    assert field_accuracy('{"guests":2,"city":"Orl\\u00e9"}', wanted) == 1.0
    assert field_accuracy('{"city": "Orlé", "guests": "2"}', wanted) == 0.5
    assert field_accuracy('{"city": "Orlé", "guests": 2, "more": 1}', wanted) == pytest.approx(2 / 3)
    assert field_accuracy('{"guests": true}', ['{"guests": 1}']) == 0.0
    assert field_accuracy("Orlé, two", wanted) == field_accuracy("[1]", wanted) == 0.0


def test_a_label_counts_to_the_letter_only() -> None:
    question, weights = Question("a", "?", ("card",), ()), SuccessConfig()
    worth = [
        score(question, Answer("a", "base", text), weights, "classification").success for text in ("card", "cards")
    ]
    assert worth == [1.0, 0.0]
    assert score(question, Answer("a", "base", "card it is"), weights).success == 1.0


def test_extraction_counts_what_keeps_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text('{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}')
    questions = [Question(f"q{n}", "?", ('{"city": "Orlé"}',), ()) for n in range(4)]
    said = ['{"city": "Orlé"}', '{"city": "Bar"}', '{"city": 3}', "no"]
    answers = [Answer(f"q{n}", "base", text) for n, text in enumerate(said)]
    result = task_result(Judging("extraction", path), questions, answers)
    assert result is not None
    assert {name: value.mean for name, value in result.scores.items()} == {
        "valid": 0.5,
        "field_accuracy": 0.25,
        "exact": 0.25,
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TANDEM_HOME", "TANDEM_CONFIG", "TANDEM_URL", "TANDEM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    rows = [{"id": name, "question": name, "answers": [label], "documents": []} for name, label in ASKED.items()]
    write_rows(tmp_path / "questions.jsonl", rows)
    domain = {"task": "classification", "questions": "questions.jsonl"}
    (tmp_path / "tandem.yaml").write_text(json.dumps({"base_model": "some/model", "domains": {"desk": domain}}))
    return tmp_path


def right_but_for_cash(request: dict[str, Any]) -> Any:
    label = ASKED[request["question"]]
    return say("pin" if label == "cash" or request["variant"] == "base" else label)


def test_tandem_eval_shows_the_scores_of_the_task(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with gateway(right_but_for_cash) as server:
        assert cli.run(["eval", "desk", "--url", server.url]) == 0
    shown = capsys.readouterr().out
    assert "Scores of classification" in shown
    assert "accuracy" in shown
    assert {body["variant"] for body in server.seen} == {"base", "finetuned"}
    (folder,) = (project / ".tandem" / "verdicts").glob("desk-*")
    verdict = json.loads((folder / "verdict.json").read_bytes())
    scores = verdict["task_scores"]["finetuned"]
    assert verdict["task"] == "classification"
    assert math.isclose(scores["scores"]["accuracy"]["mean"], 0.75)
    assert math.isclose(scores["scores"]["macro_f1"]["mean"], (1 + 0 + 2 / 3) / 3)
    assert [(row["label"], row["support"], row["recall"]) for row in scores["labels"]] == [
        ("card", 2, 1.0),
        ("cash", 1, 0.0),
        ("pin", 1, 1.0),
    ]
    page = (folder / "verdict.html").read_text()
    assert "macro f1" in page
    assert "Each label as finetuned tells it" in page
