"""Backups while others write, and restorations that a kill cannot halve."""

import contextlib
import threading
from pathlib import Path

import pytest

from retrieval import copies
from retrieval.check import verify
from retrieval.copies import restore
from retrieval.documents import Document
from retrieval.switch import job_lock
from tandem.errors import ConfigError, Unavailable
from tandem.files import locked
from tests.retrieval.helpers import documents, open_index

pytestmark = pytest.mark.usefixtures("store")


def texts(folder: Path) -> dict[str, str]:
    with open_index(folder) as index:
        return {info.id: index.document(info.id).text for info in index.documents()}


def test_a_backup_taken_during_commits_is_one_of_their_states(tmp_path: Path) -> None:
    stop = threading.Event()
    with open_index(tmp_path / "index") as index:

        def write() -> None:
            turn = 0
            while not stop.is_set():
                turn += 1
                index.add([Document(name, "t", f"turn {turn}") for name in "abc"])

        thread = threading.Thread(target=write)
        thread.start()
        snapshots = [index.backup(tmp_path / f"{number}.db") for number in range(4)]
        stop.set()
        thread.join()
    assert snapshots == sorted(snapshots)
    for number, snapshot in enumerate(snapshots):
        restore(tmp_path / f"restored{number}", tmp_path / f"{number}.db")
        assert set(texts(tmp_path / f"restored{number}").values()) <= {f"turn {snapshot}"}


def test_what_was_deleted_and_added_again_since_is_not_restored_in_its_old_form(tmp_path: Path) -> None:
    with open_index(tmp_path / "index") as index:
        index.add(documents(4))
        index.add([Document("d1", "t", "the first edition")])
        index.backup(tmp_path / "copy.db")
        index.delete(["d1", "d2"])
        index.add([Document("d2", "t", "another text")])
    restored = restore(tmp_path / "index", tmp_path / "copy.db")
    assert restored.deleted == ["d1", "d2"]
    assert sorted(texts(tmp_path / "index")) == ["d0", "d3"]
    with open_index(tmp_path / "index") as index, pytest.raises(Exception, match="no document 'd1'"):
        index.document("d1", snapshot=1)
    again = restore(tmp_path / "index", tmp_path / "copy.db")
    assert again.deleted == ["d1", "d2"]


def test_whoever_has_the_replaced_index_open_is_told_and_loses_nothing_silently(tmp_path: Path) -> None:
    with open_index(tmp_path / "index") as index:
        index.add(documents(4))
        index.backup(tmp_path / "copy.db")
        restore(tmp_path / "index", tmp_path / "copy.db")
        for work in (lambda: index.search("word"), lambda: index.add(documents(6)), lambda: index.delete(["d1"])):
            with pytest.raises(Unavailable, match="took the place") as caught:
                work()
            assert caught.value.code == "index_replaced"
    assert len(texts(tmp_path / "index")) == 4


def test_a_new_connection_of_a_replaced_index_does_not_read_the_one_in_its_place(tmp_path: Path) -> None:
    with open_index(tmp_path / "index") as index:
        index.add(documents(4))
        index.backup(tmp_path / "copy.db")
        with contextlib.ExitStack() as busy:
            while index._store._idle.qsize():  # so that the search has to make another
                busy.enter_context(index._store.copying())
            restore(tmp_path / "index", tmp_path / "copy.db")
            with pytest.raises(Unavailable, match="took the place"):
                index.search("word")


def test_an_index_is_not_opened_nor_its_mark_taken_back_just_before_a_switch(tmp_path: Path) -> None:
    with open_index(tmp_path / "index") as index:
        index.add(documents(4))
        with locked(job_lock(tmp_path / "index")):
            index._store.mark_replaced(True)
            with pytest.raises(Unavailable, match="or is about to"):
                open_index(tmp_path / "index")
            assert index._store.marked()


def test_a_restoration_that_ends_before_the_switch_leaves_the_index_in_use(tmp_path: Path, monkeypatch) -> None:
    with open_index(tmp_path / "index") as index:
        index.add(documents(4))
        index.backup(tmp_path / "copy.db")
        index.add(documents(6))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copies, "switch", killed)
    with open_index(tmp_path / "index") as index:
        with pytest.raises(KeyboardInterrupt):
            restore(tmp_path / "index", tmp_path / "copy.db")
        assert len(index.documents()) == 6
        # As after a kill, which leaves the mark behind.
        index._store.mark_replaced(True)
    assert len(texts(tmp_path / "index")) == 6
    assert verify(tmp_path / "index").sound


def test_a_backup_with_a_changed_row_is_refused(tmp_path: Path) -> None:
    with open_index(tmp_path / "index") as index:
        index.add(documents(4, lambda number: f"remarkable{number}word"))
        index.backup(tmp_path / "copy.db")
    data = (tmp_path / "copy.db").read_bytes()
    (tmp_path / "copy.db").write_bytes(data.replace(b"remarkable2word", b"remarkable2ward"))
    with pytest.raises(ConfigError, match="is damaged, and nothing was restored"):
        restore(tmp_path / "index", tmp_path / "copy.db")
    assert texts(tmp_path / "index")["d2"] == "remarkable2word"
