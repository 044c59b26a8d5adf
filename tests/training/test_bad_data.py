"""Bad data of many kinds: no traceback, no silent drop; what is read is kept or is listed with its reason."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tandem.errors import UserError
from tandem.settings import Config
from tandem.workspace import Workspace
from tests.training.helpers import TINY, write_lines
from training.leaving import STEPS
from training.prepare import prepare

BASE = {"answer": "It is in the kitchen on the left.", "licence": "own", "basis": "contract"}
BAD: dict[str, dict[str, Any]] = {
    "fine": {"question": "Where is the red kettle of the house?"},
    "fine too": {"question": "Which colour has the new lamp in the hall?", "answer": "It is a bright green."},
    "exact duplicate": {"question": "where is the RED kettle of the house"},
    "contradiction": {"question": "Where is the red kettle of the house?", "answer": "In the cellar."},
    "near duplicate": {"question": " ".join(["please", *(f"word{c}" for c in "abcdefghijklmnopqrstuvw")])},
    "its original": {"question": " ".join(f"word{c}" for c in "abcdefghijklmnopqrstuvw")},
    "control characters only": {"question": "\x00\x07\x1b"},
    "control characters": {"question": "How\x00 much\x07 is the kettle?\r\n"},
    "marks only": {"question": "?!"},
    "no licence": {"question": "How heavy is the kettle?", "licence": None},
    "no basis": {"question": "How old is the kettle?", "basis": None},
    "another language": {
        "question": "Wo steht der rote Wasserkocher in diesem Haus?",
        "answer": "Er steht in der Küche.",
    },
    "too short to tell": {"question": "12", "answer": "13"},
    "asks the evaluation": {"question": "Who made the blue fan?", "answer": "Ada made it."},
    "runs with the evaluation": {"question": "Tell me how many litres of hot water does it hold today"},
    "personal value": {
        "question": "Where may I write to?",
        "answer": "To anna@wendlemark.com.",
        "value": "anna@wendlemark.com",
    },
    "personal licence": {"question": "Who has the kettle now?", "licence": "by Dr. Anna Smith, anna@wendlemark.com"},
    "right to left": {"question": "أين الغلاية الحمراء في هذا البيت؟", "answer": "هي في المطبخ."},
    "decomposed letters": {"question": "Is the cafe\u0301 open on Monday?"},
    "zero width": {"question": "Is the\u200b kettle\ufeff hot?"},
    "half a pair": {"question": "Is the \ud800 kettle hot now?"},
    "half a pair in a licence": {"question": "Is the kettle cold now?", "licence": "\ud800"},
    "half a pair in a group": {"question": "Is the kettle warm now?", "group": "\udfff"},
    "markup": {"question": "<script>alert(1)</script> What is the kettle?", "source": "<b>x</b>", "group": "<i>"},
    "very long": {"question": "word " * 5000},
    "number as text": {"question": 7},
    "empty": {"question": " "},
    "marker": {"question": "Where is it?", "answer": "Here [1]."},
    "unknown key": {"question": "Where is it?", "wher": "x"},
    "list as group": {"question": "Where is it then?", "group": ["a"]},
}
REFUSED = (
    "number as text",
    "empty",
    "marker",
    "unknown key",
    "list as group",
    "half a pair",
    "half a pair in a licence",
    "half a pair in a group",
)
"""What makes the whole source be refused, with its line."""
KINDS = sorted(set(BAD) - set(REFUSED))
DOCUMENTS = st.sampled_from([None, "a", "b"])
SOFT = st.lists(st.tuples(st.sampled_from(KINDS), DOCUMENTS), min_size=1, max_size=24)
ROWS = SOFT | SOFT | st.lists(st.tuples(st.sampled_from(sorted(BAD)), DOCUMENTS), min_size=1, max_size=6)
QUESTIONS = [
    {"id": "q1", "question": "Who made the blue fan?"},
    {"id": "q2", "question": "how many litres of hot water does it hold"},
]


def configured(folder: Path, rows: list[dict[str, Any]], mode: str) -> Config:
    shop = {
        "examples": write_lines(folder / "train.jsonl", rows),
        "questions": write_lines(folder / "questions.jsonl", QUESTIONS),
        "permissions": ["licence", "basis"],
    }
    training = {
        "remove_leaks": ["exact", "near", "overlap"],
        "languages": {"allowed": ["en"]},
        "anonymise": {"mode": mode},
    }
    return Config.model_validate({"base_model": str(TINY), "domains": {"shop": shop}, "training": training})


def row(number: int, kind: str, document: str | None) -> dict[str, Any]:
    documents = {"documents": [document]} if document else {}
    values = {"id": f"{number} {kind}", **BASE, **documents, **BAD[kind]}
    return {key: value for key, value in values.items() if value is not None}


@hypothesis_settings(max_examples=60)
@given(ROWS, st.sampled_from(["off", "mask"]))
def test_every_row_is_kept_or_listed_with_its_reason(drawn: list[tuple[str, str | None]], mode: str) -> None:
    rows = [row(number, *item) for number, item in enumerate(drawn)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            dataset = prepare(configured(folder, rows, mode), Workspace.open(folder / "home"), "shop")
        except UserError as error:
            # Nothing is written of what is refused as a whole, and each fault is named.
            named = error.details.get("problems") or error.details.get("left") or error.code == "cannot_split"
            if named and not list((folder / "home").glob("datasets/shop-*")):
                return
            raise
        report = json.loads((dataset.folder / "report.json").read_text())
        pages = [(dataset.folder / file).read_text() for file in ("report.md", "report.html")]
    kept = [example.id for part in (dataset.split.train, dataset.split.validation) for example in part]
    left = [item["id"] for item in report["left"]]
    assert sorted([*kept, *left]) == sorted(row["id"] for row in rows)
    assert report["counts"]["read"] == len(rows) == report["counts"]["kept"] + len(left)
    assert all(item["reason"] and item["step"] in STEPS for item in report["left"])
    assert {step: len(ids) for step, ids in report["removed"].items() if ids} == {
        step: sum(item["step"] == step for item in report["left"]) for step in {i["step"] for i in report["left"]}
    }
    assert all(name in page for name in left for page in pages)
    never = ("no licence", "no basis", "another language", "asks the evaluation", "control characters only")
    assert not [name for name in kept if name.split(" ", 1)[1] in never]
    assert "<script>alert" not in pages[1]


def test_each_kind_of_bad_row_leaves_in_its_step(tmp_path: Path) -> None:
    rows = [{**row(0, kind, None), "id": kind} for kind in BAD if kind in KINDS]
    report = prepare(configured(tmp_path, rows, "mask"), Workspace.open(tmp_path / "home"), "shop").report
    assert {item["id"]: item["step"] for item in report["left"]} == {
        "another language": "other_languages",
        "asks the evaluation": "leaked",
        "contradiction": "contradictions",
        "control characters only": "empty",
        "exact duplicate": "exact_duplicates",
        "its original": "near_duplicates",
        "no basis": "without_permission",
        "no licence": "without_permission",
        "personal value": "personal_data",
        "right to left": "other_languages",
        "runs with the evaluation": "leaked",
    }


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_example_at_all_is_refused_by_its_line(tmp_path: Path, kind: str) -> None:
    rows = [row(number, kind, None) for number, kind in enumerate(["fine", kind, "fine too"])]
    with pytest.raises(UserError, match=r"train\.jsonl:2: `|train\.jsonl:2: unknown key") as caught:
        prepare(configured(tmp_path, rows, "off"), Workspace.open(tmp_path / "home"), "shop")
    assert len(caught.value.details["problems"]) == 1
