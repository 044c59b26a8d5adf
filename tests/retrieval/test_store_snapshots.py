"""Kept snapshots: searched and read as they were, less what was deleted by name since."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from retrieval import rows
from retrieval.documents import Document
from retrieval.index import DATABASE_NAME
from tandem.errors import Conflict, NotFound, UserError
from tests.retrieval.helpers import SMALL, documents, open_index
from tests.retrieval.test_store_purge import found_on_disk

pytestmark = pytest.mark.usefixtures("store")


def found(index, query: str, **options) -> list[tuple[str, str, float]]:
    return [(hit.document, hit.text, hit.score) for hit in index.search(query, k=50, **options).hits]


def test_a_kept_snapshot_answers_as_it_did_then(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(20))
        then = {1: found(index, "the word3 of number"), "even": found(index, "word3", filter={"even": True})}
        index.add([Document("d3", "New", "something else", {"even": True}), Document("d99", "t", "the word3")])
        then[2] = found(index, "the word3 of number")
        index.add(documents(4))
        assert found(index, "the word3 of number") not in (then[1], then[2])
        for _ in range(2):
            assert found(index, "the word3 of number", snapshot=1) == then[1]
            assert found(index, "the word3 of number", snapshot=2) == then[2]
        assert found(index, "word3", filter={"even": True}, snapshot=1) == then["even"]
        assert index.search("word3", snapshot=2).snapshot == 2
    with open_index(tmp_path) as index:
        assert found(index, "the word3 of number", snapshot=1) == then[1]


def test_a_kept_snapshot_reads_only_what_has_changed_since(tmp_path: Path, monkeypatch) -> None:
    read: list[int] = []

    def noted(connection: sqlite3.Connection, numbers: Sequence[int]) -> Iterator[rows.StoredPassage]:
        # What another thread reads, it reads to purge.
        if threading.current_thread() is threading.main_thread():
            read.extend(numbers)
        return passages_numbered(connection, numbers)

    passages_numbered = rows.passages_numbered
    with open_index(tmp_path) as index:
        index.add(documents(50))
        then = found(index, "the word3 of number")
        index.add([Document("d3", "New", "something else"), Document("d4", "New", "of something else")])
    with open_index(tmp_path) as index:
        monkeypatch.setattr(rows, "passages_numbered", noted)
        assert found(index, "the word3 of number", snapshot=1) == then
        index.delete(["d7"])
        assert found(index, "the word3 of number", snapshot=1)[0] == then[0]
        # Before it is closed, which purges, too.
        assert 0 < len(set(read)) <= 4


def test_an_old_citation_can_be_shown(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add([Document("k", "Kettle", "The kettle boils in five minutes.", {"edition": 1})])
        hit = index.search("kettle boils").hits[0]
        index.add([Document("k", "Kettle", "Another edition of the text.", {"edition": 2})])
        old = index.document("k", snapshot=1)
        assert old.text[hit.start : hit.end] == hit.text
        assert old.metadata == {"edition": 1}
        assert index.document("k").metadata == {"edition": 2}
        assert [info.metadata for info in index.documents(snapshot=1)] == [{"edition": 1}]


def test_what_sync_removes_stays_in_the_snapshots_before(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("First text.")
    (folder / "b.md").write_text("Second text.")
    with open_index(tmp_path / "index") as index:
        index.sync([folder])
        (folder / "a.md").unlink()
        index.sync([folder])
        assert {document for document, *_ in found(index, "text")} == {"b.md"}
        assert {document for document, *_ in found(index, "text", snapshot=1)} == {"a.md", "b.md"}


def test_deletion_by_name_reaches_into_every_kept_snapshot(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(10, lambda number: f"remarkable{number}word"))
        index.add([Document("d3", "t", "replacing3word")])
        assert "d3" in {document for document, *_ in found(index, "remarkable3word", snapshot=1)}
        index.delete(["d3"])
        for snapshot in (1, 2, 3, None):
            assert "d3" not in {document for document, *_ in found(index, "remarkable3word", snapshot=snapshot)}
            with pytest.raises(NotFound):
                index.document("d3", snapshot=snapshot)
        index._purger.purge()
        assert found_on_disk(tmp_path, ["remarkable3word", "replacing3word"]) == []
        assert len(found(index, "remarkable", snapshot=1)) == 9


def test_a_document_that_only_old_snapshots_have_can_still_be_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("remarkable")
    (folder / "b.md").write_text("Second text.")
    with open_index(tmp_path / "index") as index:
        index.sync([folder])
        (folder / "a.md").unlink()
        index.sync([folder])
        assert index.delete(["a.md"]).removed == ["a.md"]
        assert {document for document, *_ in found(index, "text", snapshot=1)} == {"b.md"}


@pytest.mark.parametrize("snapshot", [4, -1, True, "1", 10**30])
def test_an_unknown_snapshot_is_named_with_those_that_are_kept(tmp_path: Path, snapshot: object) -> None:
    with open_index(tmp_path) as index:
        for number in range(3):
            index.add([Document("d", "t", f"text {number}")])
        with pytest.raises(NotFound, match="kept are 0 to 3") as caught:
            index.search("text", snapshot=snapshot)  # type: ignore[arg-type]
        assert (caught.value.code, caught.value.details["oldest"]) == ("unknown_snapshot", 0)
        with pytest.raises(Conflict, match="Snapshot 0 of the index holds no documents"):
            index.search("text", snapshot=0)


def test_collected_snapshots_are_refused_and_their_texts_leave_the_disk(tmp_path: Path) -> None:
    settings = SMALL.model_copy(update={"keep_snapshots": 2})
    with open_index(tmp_path, settings=settings) as index:
        for number in range(6):
            index.add([Document("d", "t", f"remarkable{number}word")])
        assert index.stats().oldest_snapshot == 4
        with pytest.raises(Conflict, match="kept are 4 to 6") as caught:
            index.search("text", snapshot=3)
        assert (caught.value.code, caught.value.details["oldest"]) == ("collected_snapshot", 4)
        assert [text for _, text, _ in found(index, "word", snapshot=4)] == ["remarkable3word"]
        assert index.collect() == 2
        texts = [f"remarkable{number}word" for number in range(6)]
        assert found_on_disk(tmp_path, texts) == ["remarkable5word"]
        with pytest.raises(Conflict, match="only 6 is kept"):
            index.document("d", snapshot=5)
        with pytest.raises(UserError):
            index.collect(-1)
    old = sqlite3.connect(tmp_path / DATABASE_NAME)
    for table in ("documents", "passages", "attributes"):
        assert old.execute(f"SELECT count(*) FROM old_{table}").fetchone() == (0,)
