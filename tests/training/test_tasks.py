"""Tasks: what their examples have to be, how they are split, and what an adapter learns of them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.adapters import read_adapter
from tandem.config import load_config
from tandem.errors import ConfigError, UserError
from tandem.settings import Config
from tandem.training_settings import TrainingConfig
from tandem.workspace import Workspace
from tests.training.helpers import TINY, example, write_lines
from training.dataset import QUESTIONS, Dataset, read_dataset
from training.examples import read_source
from training.prepare import prepare, summary
from training.stratified import stratified
from training.tasks import TaskRules
from training.train import train

WORDS = {"card": ("card", "plastic", "chip"), "money": ("transfer", "cash", "coins"), "code": ("pin", "number", "lock")}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "guests": {"type": "integer"}},
    "required": ["city", "guests"],
    "additionalProperties": False,
}


def labelled(count: int = 8) -> list[dict[str, str]]:
    """`count` texts of each label of `WORDS`, all different."""
    places = ("shop", "station", "bank", "market", "hotel", "ferry", "office", "school", "harbour", "museum")
    return [
        {"text": f"What about my {words[number % 3]} at the {places[number % 10]}{number // 10 or ''}?", "label": label}
        for label, words in WORDS.items()
        for number in range(count)
    ]


def classifying(folder: Path, rows: list[dict[str, str]] | None = None, training: Any = None, **domain: Any) -> Config:
    """A configuration whose domain `desk` classifies."""
    examples = write_lines(folder / "train.jsonl", rows or labelled())
    values = {"task": "classification", "examples": examples, "system_prompt": "Sort the message.", **domain}
    training = {"epochs": 2, "batch_size": 4, "rank": 8, "validation_share": 0.25, **(training or {})}
    path = folder / "tandem.yaml"
    return Config.model_validate(
        {"base_model": str(TINY), "domains": {"desk": values}, "training": training, "path": path}
    )


def prepared(folder: Path, **settings: Any) -> tuple[Config, Workspace, Dataset]:
    config, workspace = classifying(folder, **settings), Workspace.open(folder / "home")
    return config, workspace, prepare(config, workspace, "desk")


def labels_in(examples: Any) -> Counter[str]:
    return Counter(one.answer for one in examples)


def test_texts_with_labels_become_examples_with_their_own_ids(tmp_path: Path) -> None:
    read = read_source(write_lines(tmp_path / "a.jsonl", labelled(1)), "classification")
    assert read.shape == "text/label"
    assert (read.examples[0].question, read.examples[0].answer) == ("What about my card at the shop?", "card")
    assert len({one.id for one in read.examples}) == 3


def test_a_row_of_classification_without_label_is_named_by_its_line(tmp_path: Path) -> None:
    rows = [{"text": "a"}, {"text": "b", "label": "x"}, {"text": "c", "label": 3}, {"text": "d", "label": " "}]
    with pytest.raises(UserError) as error:
        read_source(write_lines(tmp_path / "a.jsonl", rows), "classification")
    assert [line.partition("a.jsonl:")[2] for line in str(error.value).splitlines()] == [
        "1: `label` is missing",
        "3: `label` should be a valid string, and is 3",
        "4: `label` is empty",
    ]


def test_a_label_that_is_not_listed_is_named_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"jsonl:17: the label 'code' is none of those that `labels` lists: card, mon"):
        prepared(tmp_path, labels=["card", "money"])


def test_each_label_has_its_share_in_each_part(tmp_path: Path) -> None:
    _, workspace, dataset = prepared(tmp_path, training={"test_share": 0.25})
    parts = dataset.split
    assert [labels_in(part) for part in (parts.train, parts.validation, parts.test)] == [
        dict.fromkeys(WORDS, 4),
        dict.fromkeys(WORDS, 2),
        dict.fromkeys(WORDS, 2),
    ]
    assert "labels: 3; the rarest has 8 examples, the commonest 8" in summary(dataset.report)
    questions = [json.loads(line) for line in (dataset.folder / QUESTIONS).read_text().splitlines()]
    assert [(row["question"], row["answers"]) for row in questions] == [(e.question, [e.answer]) for e in parts.test]
    assert read_dataset(workspace, "desk") == dataset


def test_the_order_of_the_file_decides_nothing(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    _, _, one = prepared(tmp_path / "a")
    _, _, other = prepared(tmp_path / "b", rows=labelled()[::-1])
    ids = [{e.id for e in dataset.split.validation} for dataset in (one, other)]
    assert ids[0] == ids[1]


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=80), st.floats(0.05, 0.45), st.integers(0, 99))
def test_a_label_is_never_missing_from_training_and_near_its_share_in_validation(
    labels: list[str], share: float, seed: int
) -> None:
    examples = [example(f"e{number}", answer=label) for number, label in enumerate(labels)]
    counts = Counter(labels)
    if max(counts.values()) < 2:
        with pytest.raises(UserError, match="Nothing of"):
            stratified(examples, share, seed)
        return
    parts = stratified(examples, share, seed)
    assert sorted([*parts.train, *parts.validation], key=str) == sorted(examples, key=str)
    for label, count in counts.items():
        held = labels_in(parts.validation)[label]
        assert held < count
        assert abs(held - (max(1.0, share * count) if count > 1 else 0.0)) <= 0.5


def test_examples_of_one_document_stay_in_one_part() -> None:
    examples = [example(f"e{n}", answer="ab"[n % 2], documents=[f"d{n // 4}"]) for n in range(40)]
    parts = stratified(examples, 0.2, 1)
    assert len(parts.validation) == 8
    assert not {e.documents for e in parts.train} & {e.documents for e in parts.validation}


def test_the_adapter_carries_its_task_and_labels(tmp_path: Path) -> None:
    config, workspace, _ = prepared(tmp_path)
    adapter = train(config, workspace, "desk", "closed-book", None, lambda _line: None, lambda *_: None)
    card = read_adapter(workspace, "desk", adapter.version).card
    assert (card.task, card.labels) == ("classification", ("card", "code", "money"))
    assert set(card.losses) == {"train", "unseen_texts"}


def test_a_reading_adapter_of_a_task_is_refused_before_anything_long(tmp_path: Path) -> None:
    config, workspace, _ = prepared(tmp_path)
    with pytest.raises(UserError, match="desk has the task classification, .* `--kind closed-book`"):
        train(config, workspace, "desk", "reading", None, print, lambda *_: None)


def test_labels_that_changed_after_preparing_are_refused_before_training(tmp_path: Path) -> None:
    _, workspace, _ = prepared(tmp_path)
    changed = classifying(tmp_path, labels=["card", "money"])
    with pytest.raises(UserError, match=r"labels that `labels` does not list \(code\): prepare it again"):
        train(changed, workspace, "desk", "closed-book", None, print, lambda *_: None)


def test_answers_of_extraction_are_checked_and_written_as_the_engine_writes_them(tmp_path: Path) -> None:
    rules = TaskRules("extraction", json_schema=SCHEMA)
    good = example("a", answer='{"guests":2,\n "city": "Orlé"}')
    assert rules.problems(good) == []
    assert rules.written(good).answer == '{"city": "Orlé", "guests": 2}'
    assert "is not JSON" in rules.problems(example("a", answer="Orlé"))[0]
    wrong = {what.partition("schema: ")[2] for what in rules.problems(example("a", answer='{"city": 3}'))}
    assert wrong == {"'guests' is a required property", "`city` 3 is not of type 'string'"}


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ({"labels": ["a"]}, "labels are for `task: classification`"),
        ({"task": "classification", "labels": ["a", "a"]}, "names one label twice"),
        ({"task": "extraction"}, "json_schema belongs to `task: extraction`"),
        ({"task": "translation", "documents": "."}, "leave out documents"),
        ({"task": "clasification"}, "`domains.x.task` should be 'answers'"),
        ({"task": "extraction", "json_schema": "none.json"}, "none.json does not exist"),
    ],
)
def test_a_task_that_contradicts_its_settings_is_refused_by_name(
    tmp_path: Path, domain: dict[str, Any], message: str
) -> None:
    (tmp_path / "tandem.yaml").write_text(json.dumps({"base_model": str(TINY), "domains": {"x": domain}}))
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "tandem.yaml")


def test_a_test_share_is_taken_off_before_validation() -> None:
    examples = [example(f"e{n}", answer="ab"[n % 2]) for n in range(100)]
    settings = TrainingConfig(test_share=0.3, validation_share=0.2)
    parts = TaskRules("classification").split(examples, settings, {})
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [50, 20, 30]
    parts = TaskRules("translation").split(examples, settings, {})
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [50, 20, 30]
