"""Deleted documents: hidden at once, and soon no byte of theirs is in any file of the folder."""

import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from retrieval.derived import FILE_NAME
from retrieval.documents import Document
from retrieval.index import DATABASE_NAME, Index
from retrieval.schema import SCHEMA
from retrieval.store import _statements
from tests.retrieval.helpers import MILVUS_SLOW, documents, open_index

pytestmark = pytest.mark.usefixtures("store")

ALPHABETS = ("abcdefghij", "äöüßéñçøåæ", "北京上海广州深圳天津", "абвгдежзик")


def mark(seed: random.Random) -> str:
    """24 random characters of one alphabet: found nowhere by chance."""
    alphabet = seed.choice(ALPHABETS)
    return "".join(seed.choice(alphabet) for _ in range(24))


def marked(count: int, seed: random.Random) -> tuple[list[Document], dict[str, list[str]]]:
    """Documents of several sizes, and for each the distinctive strings in its text."""
    marks = {f"m{number}": [mark(seed) for _ in range(seed.randint(1, 12))] for number in range(count)}
    made = [Document(name, f"Title {words[0]}", " common words. ".join(words)) for name, words in marks.items()]
    return made, marks


def found_on_disk(folder: Path, texts: list[str]) -> list[str]:
    data = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return [text for text in texts if text.encode() in data]


def files_with(content: bytes, folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and content in path.read_bytes()]


def stored_vector(folder: Path, number: int) -> bytes:
    connection = sqlite3.connect(folder / DATABASE_NAME)
    (vector,) = connection.execute("SELECT vector FROM passages WHERE number = ?", (number,)).fetchone()
    return bytes(vector)


def wait_until_purged(index: Index, seconds: float) -> None:
    end = time.monotonic() + seconds
    while index.stats().unpurged:
        assert time.monotonic() < end, "still not purged"
        time.sleep(0.05)


@MILVUS_SLOW
def test_no_query_finds_deleted_documents_and_no_file_keeps_their_bytes_under_load(tmp_path: Path) -> None:
    seed = random.Random(5)
    everything, marks = marked(2000, seed)
    gone = seed.sample(sorted(marks), 200)
    texts = [text for name in gone for text in marks[name]]
    deleted, stop, found, errors = threading.Event(), threading.Event(), [], []

    def search(number: int) -> None:
        own = random.Random(number)
        try:
            while not stop.is_set():
                before = deleted.is_set()
                name = own.choice(gone)
                hits = index.search(own.choice(marks[name]), k=20).hits
                found.append((before, any(hit.document in gone_set for hit in hits)))
        except BaseException as error:
            errors.append(error)

    def add() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            index.add([Document(f"new{turn % 5}", "t", f"common words, turn {turn}")])

    gone_set = set(gone)
    with open_index(tmp_path) as index:
        for first in range(0, 2000, 500):
            index.add(everything[first : first + 500])
        assert len(found_on_disk(tmp_path, texts)) == len(texts)
        threads = [threading.Thread(target=search, args=(number,)) for number in range(4)]
        threads.append(threading.Thread(target=add))
        for thread in threads:
            thread.start()
        try:
            time.sleep(0.5)
            index.delete(gone)
            deleted.set()
            began = time.monotonic()
            # Replacing goes on, so that something is always pending; what counts is the bytes.
            while found_on_disk(tmp_path, texts):
                assert time.monotonic() - began < 60
                time.sleep(0.2)
            time.sleep(0.5)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not errors
        assert any(hit for before, hit in found if not before)
        assert not any(hit for before, hit in found if before)
        assert sum(before for before, _ in found) > 20
        assert found_on_disk(tmp_path, texts) == []
    assert found_on_disk(tmp_path, texts) == []
    kept = [text for name in marks if name not in gone_set for text in marks[name]]
    assert len(found_on_disk(tmp_path, kept)) == len(kept)


def test_a_vector_of_a_deleted_document_leaves_every_file(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(30))
    vector = stored_vector(tmp_path, 4)
    assert len(files_with(vector, tmp_path)) > 1
    with open_index(tmp_path) as index:
        index.delete(["d3"])
        wait_until_purged(index, 30)
        assert files_with(vector, tmp_path) == []
        assert index.stats().purged_at is not None


def test_purge_waits_for_a_reader_of_another_connection_and_says_what_is_left(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(30, lambda number: f"remarkable{number}word"))
        reader = sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM passages").fetchone()
        index.delete(["d3", "d4"])
        time.sleep(3.5)
        assert index.stats().unpurged == 2
        reader.close()
        wait_until_purged(index, 30)
        assert found_on_disk(tmp_path, ["remarkable3word", "remarkable4word"]) == []


def test_a_process_that_was_behind_does_not_bring_deleted_vectors_back(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.add(documents(30))
    behind = open_index(tmp_path)
    vector = stored_vector(tmp_path, 4)
    index.delete(["d3"])
    wait_until_purged(index, 30)
    behind._derived._changed_since_saved = 1
    behind._derived.save(behind._store, always=True)
    assert files_with(vector, tmp_path) == []
    behind.close()
    index.close()
    assert files_with(vector, tmp_path) == []


DELETED_AND_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.retrieval import helpers
helpers.STORE = sys.argv[2]
index = helpers.open_index(Path(sys.argv[1]))
index._purger.wake = lambda: None
index.delete(["d3"])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_purged_at_the_next_opening(tmp_path: Path, store: str) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(30, lambda number: f"remarkable{number}word"))
    leftover = tmp_path / f".{FILE_NAME}.0123.tmp"
    leftover.write_bytes(b"remarkable3word")
    vector = stored_vector(tmp_path, 4)
    killed = subprocess.run(
        [sys.executable, "-c", DELETED_AND_KILLED, str(tmp_path), store], cwd=Path(__file__).parents[2]
    )
    assert killed.returncode == -signal.SIGKILL
    assert files_with(vector, tmp_path)
    with open_index(tmp_path) as again:
        wait_until_purged(again, 30)
        assert found_on_disk(tmp_path, ["remarkable3word"]) == files_with(vector, tmp_path) == []


def test_an_index_of_the_first_schema_is_migrated_in_place(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(5))
        expected = [(hit.document, hit.text) for hit in index.search("word3 of number").hits]
    old, new = sqlite3.connect(tmp_path / "old.db"), sqlite3.connect(tmp_path / DATABASE_NAME)
    for statement in _statements(SCHEMA):
        old.execute(statement)
    for (table,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = ", ".join(row[1] for row in old.execute(f"PRAGMA table_info({table})"))
        found = new.execute(f"SELECT {columns} FROM {table}").fetchall()
        places = ", ".join("?" * (columns.count(",") + 1))
        old.executemany(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({places})", found)
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    new.close()
    (tmp_path / "old.db").replace(tmp_path / DATABASE_NAME)
    with open_index(tmp_path) as index:
        assert [(hit.document, hit.text) for hit in index.search("word3 of number").hits] == expected
        index.delete(["d1"])
        index.add(documents(2))
        assert [info.id for info in index.documents()] == ["d0", "d1", "d2", "d3", "d4"]
    version = sqlite3.connect(tmp_path / DATABASE_NAME).execute("PRAGMA user_version").fetchone()
    assert version == (2,)
