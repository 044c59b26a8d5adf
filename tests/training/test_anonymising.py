"""Personal data leaves no trace in a dataset, and what is left stays true."""

import dataclasses
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.errors import ConfigError
from tandem.settings import Config
from tandem.training_settings import AnonymiseConfig
from tandem.workspace import Workspace
from tests.training.helpers import example, kettle_config, kettle_documents, kettle_rows, write_lines
from tests.training.personal_sentences import HARD, PERSONAL, TEMPLATES, fill, sentences
from training.anonymising import Anonymiser, anonymise, at_odds
from training.dataset import Dataset
from training.personal_data import KINDS
from training.prepare import prepare, summary
from training.pseudonyms import KEY, OURS, Masks, Pseudonyms

KEYED = Pseudonyms(b"a key that is used in tests only", random=False)
SETTINGS = AnonymiseConfig(mode="pseudonym")
ANONYMISERS = [Anonymiser(SETTINGS, KEYED), Anonymiser(SETTINGS, Masks())]
IDS = ["pseudonym", "mask"]

LEAST_RECALL = {
    "email": 1.0, "card": 1.0, "iban": 1.0, "ip": 1.0, "id": 1.0, "address": 1.0, "phone": 0.85, "name": 0.7
}  # fmt: skip
"""Exact spans of `sentences(7, 20)`; the measured values are in docs/decisions/0012-anonymising.md."""

seeded = st.builds(
    lambda template, chance: fill(template, chance).text, st.sampled_from(TEMPLATES + HARD), st.randoms()
)
texts = st.lists(seeded | st.text(max_size=40), min_size=1, max_size=4).map(" ".join)


def anonymised(anonymiser: Anonymiser, text: str) -> str:
    return anonymiser.replace([text])[0][0]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv(KEY, "0123456789abcdef-test")
    return Workspace.open(tmp_path / "home")


def test_each_kind_is_found_as_often_as_the_decision_says_and_nothing_else_is() -> None:
    right: Counter[str] = Counter()
    there: Counter[str] = Counter()
    false = []
    for sentence in sentences(7, 20):
        found = ANONYMISERS[0].spans(sentence.text)
        there.update(span.kind for span in sentence.spans)
        right.update(span.kind for span in found if span in sentence.spans)
        false += [(sentence.text, span) for span in found if span not in sentence.spans]
    assert set(there) == set(KINDS)
    assert {kind: right[kind] / there[kind] for kind in KINDS if right[kind] / there[kind] < LEAST_RECALL[kind]} == {}
    assert false == []


@pytest.mark.parametrize("anonymiser", ANONYMISERS, ids=IDS)
@given(text=texts)
@with_example(text="Dear Anna Moreau, call me on +44 7400 123456. Kind regards,\nPeter Brandt")
@settings(deadline=None)
def test_replacing_twice_is_replacing_once(anonymiser: Anonymiser, text: str) -> None:
    once = anonymised(anonymiser, text)
    assert anonymised(anonymiser, once) == once


@given(text=texts)
@settings(deadline=None)
def test_spans_never_overlap_and_lie_in_the_text(text: str) -> None:
    spans = ANONYMISERS[0].spans(text)
    assert all(left.end <= right.start for left, right in pairwise(spans))
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


@with_example(text="Serial SN-1120-1200-1000 is printed below.")
@with_example(text="The IBAN DE00929390114065692252 was refused.")
@given(text=st.sampled_from(HARD).flatmap(lambda hard: st.randoms().map(lambda chance: fill(hard, chance).text)))
@settings(deadline=None)
def test_a_text_without_personal_data_stays_as_it_is(text: str) -> None:
    assert [anonymised(anonymiser, text) for anonymiser in ANONYMISERS] == [text, text]


@given(kind=st.sampled_from(sorted(PERSONAL)), chance=st.randoms())
@settings(deadline=None)
def test_a_pseudonym_is_the_same_for_the_same_value_and_key_and_is_never_found_again(kind: str, chance: Any) -> None:
    kind, value = PERSONAL[kind](chance)
    pseudonym = KEYED.replacement(kind, value)
    assert KEYED.replacement(kind, f" {value} ".upper() if kind == "email" else value) == pseudonym != value
    assert OURS.fullmatch(pseudonym)
    assert anonymised(ANONYMISERS[0], f"My name is {pseudonym}") == f"My name is {pseudonym}"
    assert Pseudonyms(b"another key", random=False).replacement("email", value) != KEYED.replacement("email", value)


def test_pseudonyms_keep_the_shape_of_what_they_replace() -> None:
    assert re.fullmatch(r"person-[0-9a-f]{10}@example\.com", KEYED.replacement("email", "anna@firma.at"))
    assert re.fullmatch(r"\+1 \d{3} 555 01\d\d", KEYED.replacement("phone", "+49 30 1234567"))
    assert KEYED.replacement("ip", "81.2.3.4").startswith("198.1")
    assert KEYED.replacement("name", "Anna Moreau").split()[1] == KEYED.replacement("name", "Moreau")


def test_a_name_is_replaced_where_nothing_announces_it_when_it_is_known_from_elsewhere() -> None:
    rows = [
        example("a", "My name is Ngozi Okafor. Is my kettle ready?"),
        example("b", "Did Ngozi Okafor call?"),
        example("c", "Hello Ngozi, hot?", answer="It is, Ngozi."),
        example("d", "Is Ngozi in?"),
        example("e", "Hello Rose, a rose?", answer="Yes, Rose."),
        example("f", "Is it Rose?"),
    ]
    done, _ = anonymise(rows, AnonymiseConfig(mode="mask"))
    assert [(row.question, row.answer) for row in done.examples] == [
        ("My name is [NAME]. Is my kettle ready?", "It is red."),
        ("Did [NAME] call?", "It is red."),
        ("Hello [NAME], hot?", "It is, [NAME]."),
        ("Is [NAME] in?", "It is red."),
        ("Hello [NAME], a rose?", "Yes, [NAME]."),
        ("Is it Rose?", "It is red."),  # written small elsewhere, so it may be a word
    ]


def test_an_operators_words_and_patterns_are_replaced_and_what_is_allowed_stays() -> None:
    own = AnonymiseConfig(
        mode="mask", words=["Wotan"], patterns=[r"\bCU-\d{4}\b"], allow=["*@wendlemark.eu", "+44 20 7946 1234"]
    )
    rows = [example("a", "Is WOTAN CU-1234 help@wendlemark.eu or me@firma.at or +44 20 7946 1234?")]
    done, _ = anonymise(rows, own)
    assert done.examples[0].question == "Is [OWN] [OWN] help@wendlemark.eu or [EMAIL] or +44 20 7946 1234?"
    assert (done.allowed, done.found) == (2, {"own": 2, "email": 1})


def test_only_the_kinds_that_are_asked_for_are_replaced() -> None:
    done, _ = anonymise([example("a", "Is it me@firma.at or 81.2.3.4?")], AnonymiseConfig(mode="mask", kinds=["ip"]))
    assert done.examples[0].question == "Is it me@firma.at or [IP]?"


def test_an_example_that_would_say_what_no_document_says_is_left_out_unless_it_is_allowed() -> None:
    hotline = {"answer": "Call +44 20 7123 4567.", "documents": ["a.md"]}
    rows = [
        example("value", "Hotline?", value="+44 20 7123 4567", **hotline),
        example("answer", "Number?", **hotline),
        example("greeting", "Colour?", answer="Dear Anna, it is red.", documents=["a.md"], value="red"),
    ]
    done, _ = anonymise(rows, AnonymiseConfig(mode="mask"))
    assert [(item.id, item.kinds, item.reason) for item in done.left_out] == [
        ("value", ["phone"], "its value is personal data"),
        ("answer", ["phone"], "its answer from documents holds personal data (phone)"),
    ]
    assert [(row.answer, row.value) for row in done.examples] == [("Dear [NAME], it is red.", "red")]
    allowed, _ = anonymise(rows, AnonymiseConfig(mode="mask", allow=["+44 20 7123 4567"]))
    assert not allowed.left_out
    assert allowed.examples[:2] == rows[:2]


def test_examples_that_lose_what_their_document_says_are_named() -> None:
    rows = [example("a", "Is Anna Moreau in?", ["a.md"]), example("b", "Is Peter Brandt in?", ["a.md"])]
    done, _ = anonymise(rows, AnonymiseConfig(mode="mask"))
    assert at_odds(done, done.examples, {"a.md": "Anna Moreau leads the shop."}.get) == ["a"]


def test_ids_are_renamed_and_ids_of_documents_are_reported() -> None:
    rows = [example("me@firma.at", "Red?", ["you@firma.at.md"]), example("example-1", "Blue?")]
    done, _ = anonymise(rows, AnonymiseConfig(mode="mask"))
    assert [row.id for row in done.examples] == ["example-1-", "example-1"]
    assert done.renamed == 1
    assert done.document_ids == ["example-1-"]


def personal_config(folder: Path, **anonymise: Any) -> Config:
    config = kettle_config(folder, anonymise={"mode": "pseudonym", **anonymise})
    rows = kettle_rows()
    for number, sentence in enumerate(sentences(3, 2)):
        row = {"id": f"p{number}", "question": f"{number}: {sentence.text}", "answer": sentence.text, "licence": "CC0"}
        rows.append(row)
    write_lines(folder / "train.jsonl", rows)
    return config


def everything_written(dataset: Dataset) -> str:
    files = [path.read_bytes().decode("utf-8", "ignore") for path in dataset.folder.iterdir()]
    parts = [dataclasses.astuple(row) for row in [*dataset.split.train, *dataset.split.validation]]
    return "\n".join(files) + repr(parts)


@pytest.mark.parametrize("mode", ["mask", "pseudonym"])
def test_nothing_that_was_found_is_in_the_folder_of_the_dataset(
    workspace: Workspace, tmp_path: Path, mode: str
) -> None:
    config = personal_config(tmp_path, mode=mode)
    original = (tmp_path / "train.jsonl").read_text()
    values = {
        sentence.text[span.start : span.end]
        for sentence in sentences(3, 2)
        for span in ANONYMISERS[0].spans(sentence.text)
    }
    written = everything_written(prepare(config, workspace, "shop"))
    assert len(values) > 30
    assert all(value.split("\n")[0] in original for value in values)
    assert [value for value in values if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", written)] == []


def test_the_same_key_gives_the_same_dataset_and_another_key_another(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = personal_config(tmp_path)
    first = prepare(config, workspace, "shop")
    assert prepare(config, workspace, "shop").digest == first.digest
    monkeypatch.delenv(KEY)
    unkeyed = prepare(config, workspace, "shop")
    assert unkeyed.digest != first.digest
    assert "under a key for this run only" in "\n".join(summary(unkeyed.report))
    assert "for this run only" not in (first.folder / "report.md").read_text()


def test_switched_off_the_dataset_is_what_it_was(workspace: Workspace, tmp_path: Path) -> None:
    dataset = prepare(kettle_config(tmp_path, anonymise={"mode": "off"}), workspace, "shop")
    assert dataset.digest == prepare(kettle_config(tmp_path), workspace, "shop").digest
    assert "anonymised" not in dataset.report


def test_the_report_counts_by_kind_and_sees_leaks_through_pseudonyms(workspace: Workspace, tmp_path: Path) -> None:
    config = kettle_config(tmp_path, anonymise={"mode": "pseudonym"})
    question = "My name is Anna Moreau, me@firma.at. Red?"
    write_lines(tmp_path / "train.jsonl", [*kettle_rows(), {"id": "x", "question": question, "answer": "Yes."}])
    values = config.model_dump()
    values["domains"]["shop"]["questions"] = write_lines(tmp_path / "q.jsonl", [{"id": "q", "question": question}])
    dataset = prepare(Config.model_validate(values), workspace, "shop")
    assert dataset.report["anonymised"]["replaced"] == {"email": 1, "name": 1}
    assert [(item["example"], item["question"]) for item in dataset.report["contamination"]["exact"]] == [("x", "q")]
    assert "personal data (pseudonym): 1 email, 1 name; 1 examples changed" in "\n".join(summary(dataset.report))


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({KEY: "short"}, "has 5 characters, and pseudonyms need at least 16"),
        ({KEY: "x" * 16, f"{KEY}_FILE": "y"}, "keep one"),
        ({f"{KEY}_FILE": "/nowhere/key"}, "names /nowhere/key, which cannot be read"),
    ],
)
def test_a_bad_key_is_one_sentence(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        Pseudonyms.from_environment(environment)
    assert "short" not in caught.value.message


def test_a_key_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("0123456789abcdef\n")
    assert Pseudonyms.from_environment({f"{KEY}_FILE": str(file)}) == Pseudonyms(b"0123456789abcdef", random=False)


def test_the_kettles_hold_no_personal_data() -> None:
    assert [document.id for document in kettle_documents() if ANONYMISERS[0].spans(document.text)] == []


def test_a_long_word_of_many_parts_takes_no_time() -> None:
    # Each part could once be read in two ways, and all ways were tried.
    assert len(ANONYMISERS[0].spans("Dear A" + "b-C" * 500 + " x")) <= 1
