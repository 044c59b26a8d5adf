"""Kills, damage and other processes: the last commit is found, or a clear error."""

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retrieval.derived import FILE_NAME
from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import DATABASE_NAME, Index, IndexCorrupt
from tandem.errors import ConfigError
from tests.retrieval.helpers import documents, open_index

WRITER = """
import sys
from pathlib import Path
from retrieval.documents import Document
from tests.retrieval.helpers import open_index
index = open_index(Path(sys.argv[1]))
turn = index.snapshot
print("ready", flush=True)
while True:
    turn += 1
    if turn % 4 == 0:
        commit = index.delete([f"d{turn - 1}"])
    else:
        commit = index.add([Document(f"d{turn}", "t", f"turn{turn} text"), Document("same", "t", f"turn{turn}")])
    print(commit.snapshot, flush=True)
"""


def state_after(turn: int) -> dict[str, str]:
    """What the writer's documents are after that many commits."""
    texts: dict[str, str] = {}
    for number in range(1, turn + 1):
        if number % 4 == 0:
            del texts[f"d{number - 1}"]
        else:
            texts |= {f"d{number}": f"turn{number} text", "same": f"turn{number}"}
    return texts


def test_kill_at_any_moment_opens_at_the_last_commit(tmp_path: Path) -> None:
    seed = random.Random(7)
    for _ in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        lines = [writer.stdout.readline() for _ in range(seed.randint(1, 4))]
        time.sleep(seed.uniform(0, 0.03))
        os.kill(writer.pid, signal.SIGKILL)
        lines += writer.communicate()[0].splitlines()
        acknowledged = [int(line) for line in lines if line.strip().isdigit()]
        with open_index(tmp_path) as index:
            snapshot = index.snapshot
            assert snapshot >= max(acknowledged)
            assert {info.id: index.document(info.id).text for info in index.documents()} == state_after(snapshot)
            if snapshot:
                found = index.search("turn", k=1000).hits
                assert {hit.document for hit in found} == set(state_after(snapshot))
    assert snapshot > 12


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "foreign", "older"])
def test_derived_vectors_are_rebuilt_whenever_they_are_not_right(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a" / FILE_NAME
    with open_index(tmp_path / "a") as index:
        index.add(documents(30))
    older = path.read_bytes()
    with open_index(tmp_path / "a") as index:
        index.delete(["d3"])
        index.add([Document("new", "t", "the word of new")])
        expected = [hit.document for hit in index.search("word7 of number", k=40).hits]
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "foreign":
        with open_index(tmp_path / "b") as other:
            other.add(documents(30))
            other.add(documents(3, lambda number: "else"))
            other.delete(["d9"])
        path.write_bytes((tmp_path / "b" / FILE_NAME).read_bytes())
    elif damage == "flipped":
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes({"empty": b"", "cut": data[:-100], "older": older}[damage])
    with open_index(tmp_path / "a") as index:
        assert [hit.document for hit in index.search("word7 of number", k=40).hits] == expected


def test_every_flipped_byte_of_the_derived_file_is_noticed(tmp_path: Path) -> None:
    from retrieval.vectors import Stamp, VectorIndex

    index = VectorIndex(4)
    index.add([1, 2], HashEmbedder(4).encode(["a", "b"]))
    data = index.to_bytes(Stamp(1, "t", "d", 2))
    for position in range(len(data)):
        damaged = data[:position] + bytes([data[position] ^ 0x40]) + data[position + 1 :]
        with pytest.raises(ValueError, match="not"):
            VectorIndex.from_bytes(damaged)
    assert VectorIndex.from_bytes(data)[0].search(HashEmbedder(4).encode(["a"])[0], 1)[0][0] == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE passages SET text = 'forged' WHERE number = 2",
        "UPDATE passages SET start = start + 1 WHERE number = 2",
        "UPDATE passages SET vector = zeroblob(256) WHERE number = 2",
    ],
)
def test_changed_passage_row_is_an_error_and_never_an_answer(tmp_path: Path, statement: str) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(3))
        execute(tmp_path, statement)
        with pytest.raises(IndexCorrupt, match="passage 2 does not match its checksum"):
            index.search("word1", k=3)
    (tmp_path / FILE_NAME).unlink()
    with pytest.raises(IndexCorrupt):
        open_index(tmp_path)


def test_changed_document_row_is_an_error(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(2))
        execute(tmp_path, "UPDATE documents SET text = 'forged' WHERE id = 'd1'")
        with pytest.raises(IndexCorrupt, match="'d1'"):
            index.document("d1")


def test_lost_rows_are_noticed_at_opening(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(3))
    execute(tmp_path, "DELETE FROM passages WHERE number = 2")
    with pytest.raises(IndexCorrupt, match="records 3 passages but holds 2"):
        open_index(tmp_path)


def test_file_that_is_no_database_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(IndexCorrupt, match="is damaged"):
        open_index(tmp_path)


def test_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    open_index(tmp_path).close()
    execute(tmp_path, "PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="schema version 99"):
        open_index(tmp_path)


def execute(folder: Path, statement: str) -> None:
    """One statement from outside, as a fault or another program would."""
    connection = sqlite3.connect(folder / DATABASE_NAME)
    with connection:
        connection.execute(statement)
    connection.close()


def test_reader_in_another_process_sees_new_commits(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.add(documents(2))
        with open_index(tmp_path) as second:
            assert len(second.search("word", k=10).hits) == 2
            in_child(tmp_path, add_three)
            assert {hit.document for hit in second.search("the number", k=10).hits} == {"d0", "d1", "x0", "x1", "x2"}
        in_child(tmp_path, delete_all_but_x)
        assert {hit.document for hit in index.search("the number", k=10).hits} == {"x0", "x1", "x2"}
        assert index.snapshot == 3


def test_two_processes_writing_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=add_one_by_one, args=(tmp_path, name)) for name in "ab"]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    with open_index(tmp_path) as index:
        assert len(index.search("text", k=100).hits) == 10
        assert index.snapshot == 10


def in_child(folder: Path, work: object) -> None:
    child = multiprocessing.get_context("spawn").Process(target=work, args=(folder,))  # type: ignore[arg-type]
    child.start()
    child.join()
    assert child.exitcode == 0


def add_three(folder: Path) -> None:
    with open_index(folder) as index:
        index.add([Document(f"x{number}", "t", f"the number {number}") for number in range(3)])


def delete_all_but_x(folder: Path) -> None:
    with open_index(folder) as index:
        index.delete(["d0", "d1"])


def add_one_by_one(folder: Path, name: str) -> None:
    with open_index(folder) as index:
        for number in range(5):
            index.add([Document(f"{name}{number}", "t", f"text {name} {number}")])


def test_delete_during_a_slow_sync_is_not_undone_by_it(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("First.")
    (folder / "b.md").write_text("Second.")

    class DeletesWhileEmbedding(HashEmbedder):
        index: Index

        def encode(self, texts):
            if any("Changed" in text for text in texts):
                self.index.delete(["a.md"])
            return super().encode(texts)

        def encode_queries(self, texts):
            return super().encode(texts)

    embedder = DeletesWhileEmbedding()
    with open_index(tmp_path / "index", embedder) as index:
        embedder.index = index
        index.sync([folder])
        (folder / "a.md").write_text("Changed.")
        index.sync([folder])
        assert [info.id for info in index.documents()] == ["b.md"]
