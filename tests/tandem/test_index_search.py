"""`tandem index search`: the options of a search on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from tandem import cli
from tandem.commands.search import read_filter
from tandem.config import load_config
from tandem.errors import UserError
from tandem.workspace import Workspace

DOCUMENTS = [
    Document("desk.md", "Desk", "The desk opens at nine. " * 30, {"floor": 1, "open": True}),
    Document("copy.md", "Desk", "The desk opens at nine. " * 30, {"floor": 2, "open": True}),
    Document("board.md", "Board", "The board meets at noon.", {"floor": 3}, allow=("board",)),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("retrieval.embedder.load_embedder", lambda name: HashEmbedder())
    (tmp_path / "tandem.yaml").write_text(
        "base_model: a/b\ndomains: {office: {}}\nretrieval: {passage_tokens: 30, overlap_tokens: 5}\n"
    )
    settings = load_config(tmp_path / "tandem.yaml")
    folder = Workspace.open(tmp_path / ".tandem").index_folder("office")
    with Index.open(folder, HashEmbedder(), settings.retrieval) as index:
        index.add(DOCUMENTS)
    return tmp_path


def found(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert cli.run(["index", "search", "office", "When does the desk open?", "--json", "-k", "50", *options]) == 0
    hits: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["hits"]
    return hits


def documents(hits: list[dict[str, Any]]) -> set[str]:
    return {hit["document"] for hit in hits}


def test_filters_are_key_and_value(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert documents(found(capsys)) == {"desk.md", "copy.md", "board.md"}
    assert documents(found(capsys, "--filter", "floor=1")) == {"desk.md"}
    assert documents(found(capsys, "--filter", "floor=1", "--filter", "floor=3")) == {"desk.md", "board.md"}
    assert documents(found(capsys, "--filter", "open=true", "--filter", "document=copy.md")) == {"copy.md"}
    assert cli.run(["index", "search", "office", "x", "--filter", "floor"]) == 2
    assert "'floor' is not of the form KEY=VALUE" in capsys.readouterr().err


def test_as_shows_what_these_names_may_see(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert documents(found(capsys, "--as", "ana")) == {"desk.md", "copy.md"}
    assert documents(found(capsys, "--as", "ana", "--as", "board")) == {"desk.md", "copy.md", "board.md"}


def test_neighbours_collapse_and_least_similarity_are_taken(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = found(capsys)
    assert len({hit["similarity"] for hit in plain}) > 1
    least = sorted(hit["similarity"] for hit in plain)[-2]
    assert len(found(capsys, "--min-similarity", str(least))) < len(plain)
    assert any(hit["after"] for hit in found(capsys, "--neighbours", "1"))
    collapsed = found(capsys, "--collapse", "0.99")
    assert len(collapsed) < len(plain)
    assert any(hit["collapsed"] for hit in collapsed)


def test_a_person_sees_neighbours_and_what_says_the_same(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["index", "search", "office", "desk", "--neighbours", "1", "--collapse", "0.99"]) == 0
    shown = capsys.readouterr().out
    assert "says the same: " in shown
    assert "  ↓ " in shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a=1"], {"a": [1]}),
        (["a=x=y", "a=true", 'b="3"'], {"a": ["x=y", True], "b": ["3"]}),
        (["a=", "b=[1]", "c=null"], {"a": [""], "b": ["[1]"], "c": ["null"]}),
    ],
)
def test_values_of_a_filter_are_json_where_they_can_be(words: list[str], expected: dict[str, list[Any]]) -> None:
    assert read_filter(words) == expected


@pytest.mark.parametrize("word", ["a", "=1", ""])
def test_a_filter_without_a_key_or_value_is_refused(word: str) -> None:
    with pytest.raises(UserError, match="not of the form KEY=VALUE"):
        read_filter([word])
