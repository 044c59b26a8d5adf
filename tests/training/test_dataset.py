"""Prepared datasets: named by their content, written whole, read only when unchanged."""

import json
from pathlib import Path
from typing import Any

import pytest

from tandem.errors import ConfigError, Conflict, NotFound, UserError
from tandem.settings import Config
from tandem.workspace import Workspace
from tests.training.helpers import kettle_config, kettle_index, kettle_rows, write_lines
from training import prepare as preparing
from training.dataset import read_dataset
from training.prepare import prepare, summary


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "home")


def test_the_same_examples_and_seed_are_the_same_dataset(workspace: Workspace, tmp_path: Path) -> None:
    first = prepare(kettle_config(tmp_path), workspace, "shop")
    again = prepare(kettle_config(tmp_path), workspace, "shop")
    other = prepare(kettle_config(tmp_path, seed=5), workspace, "shop")
    assert first.digest == again.digest != other.digest
    assert first.folder.name == f"shop-{first.name}"
    assert sorted(path.name for path in first.folder.iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
        "train.parquet",
        "validation.parquet",
    ]
    assert sorted(path.name for path in workspace.datasets_folder.iterdir() if path.name != ".lock") == sorted(
        [first.folder.name, other.folder.name]
    )


def test_a_dataset_is_read_as_it_was_prepared_and_the_last_one_by_default(workspace: Workspace, tmp_path: Path) -> None:
    first = prepare(kettle_config(tmp_path), workspace, "shop")
    other = prepare(kettle_config(tmp_path, seed=5), workspace, "shop")
    assert read_dataset(workspace, "shop", first.name) == first
    assert read_dataset(workspace, "shop") == other
    prepare(kettle_config(tmp_path), workspace, "shop")
    assert read_dataset(workspace, "shop").name == first.name


def test_changed_files_are_refused_and_prepared_anew(workspace: Workspace, tmp_path: Path) -> None:
    dataset = prepare(kettle_config(tmp_path), workspace, "shop")
    (dataset.folder / "train.parquet").write_bytes((dataset.folder / "validation.parquet").read_bytes())
    with pytest.raises(Conflict, match="were changed after they were written"):
        read_dataset(workspace, "shop", dataset.name)
    assert prepare(kettle_config(tmp_path), workspace, "shop").split == dataset.split


@pytest.mark.parametrize("name", ["../../etc", "", "ABCDEFABCDEF"])
def test_what_is_no_digest_never_becomes_a_path(workspace: Workspace, name: str) -> None:
    with pytest.raises(UserError, match="is no dataset"):
        read_dataset(workspace, "shop", name)


def test_a_missing_dataset_says_how_to_make_one(workspace: Workspace) -> None:
    for name in (None, "0123456789ab"):
        with pytest.raises(NotFound, match="`tandem prepare shop`"):
            read_dataset(workspace, "shop", name)


def test_a_domain_without_examples_is_told_which_key_to_set(workspace: Workspace, tmp_path: Path) -> None:
    config = Config.model_validate({"base_model": "x", "domains": {"shop": {}}, "path": tmp_path / "tandem.yaml"})
    with pytest.raises(ConfigError, match=r"set `domains\.shop\.examples` in .*tandem\.yaml"):
        prepare(config, workspace, "shop")


def with_questions(config: Config, path: Path) -> Config:
    values = config.model_dump()
    values["domains"]["shop"]["questions"] = write_lines(path, [{"id": "q1", "question": "who designed the ARLO"}])
    return Config.model_validate(values)


def test_the_report_says_what_is_stale_and_what_leaks(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_questions(kettle_config(tmp_path), tmp_path / "questions.jsonl")
    dataset = prepare(config, workspace, "shop")
    assert dataset.report["stale"] is None
    assert [(item["example"], item["question"]) for item in dataset.report["contamination"]["exact"]] == [
        ("Arlo-3", "q1")
    ]
    index = kettle_index(workspace.index_folder("shop"), config.retrieval)
    index.delete(["vela.md"])
    monkeypatch.setattr(preparing, "open_index", lambda *_: index)
    again = prepare(config, workspace, "shop")
    assert again.digest == dataset.digest
    assert [item["id"] for item in again.report["stale"]] == ["Vela-1", "Vela-2"]
    assert "stale: 2 examples" in "\n".join(summary(again.report))
    assert "Vela-1: there is no document vela.md" in (again.folder / "report.md").read_text()


def test_the_counts_add_up(workspace: Workspace, tmp_path: Path) -> None:
    config = kettle_config(tmp_path)
    rows: list[dict[str, Any]] = [*kettle_rows(), {**kettle_rows()[0], "id": "again"}]
    write_lines(tmp_path / "train.jsonl", rows)
    dataset = prepare(config, workspace, "shop")
    counts = json.loads((dataset.folder / "report.json").read_text())["counts"]
    assert counts["read"] == 19
    assert counts["kept"] == counts["train"] + counts["validation"] == 18
    assert counts["abstentions"] == 6
    assert dataset.report["removed"]["exact_duplicates"] == ["again"]
