"""Another embedder: built beside the index in use, which a kill leaves as it was."""

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from retrieval.check import verify
from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.reembed import reembed
from tandem.errors import ConfigError, NotFound, Unavailable
from tests.retrieval.helpers import MILVUS_SLOW, SMALL, documents, open_index

pytestmark = pytest.mark.usefixtures("store")

NARROW = HashEmbedder(dimension=32)


def test_documents_origins_and_deletions_are_taken_over_and_numbers_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.md").write_text(f"Text of {name}.")
    with open_index(tmp_path / "index") as index:
        index.add([Document("hand", "By hand", "Given by hand.", {"colour": "red"})])
        index.sync([folder])
        index.delete(["b.md"])
    done = reembed(tmp_path / "index", NARROW, SMALL)
    assert (done.documents, done.previous, done.embedder, done.changed) == (3, "hash-64", "hash-32", True)
    with open_index(tmp_path / "index", NARROW) as index:
        assert index.snapshot > 3
        assert [info.id for info in index.documents()] == ["a.md", "c.md", "hand"]
        assert [hit.document for hit in index.search("hand", k=1, filter={"colour": "red"}).hits] == ["hand"]
        (folder / "a.md").unlink()
        commit = index.sync([folder])
        assert (commit.removed, commit.unchanged) == (["a.md"], ["c.md"])
        assert [failure.id for failure in commit.failed] == ["b.md"]
    assert verify(tmp_path / "index").sound
    assert not reembed(tmp_path / "index", NARROW, SMALL).changed
    with pytest.raises(NotFound):
        reembed(tmp_path / "nothing", NARROW, SMALL)


def test_the_refusal_of_another_embedder_names_the_command(tmp_path: Path) -> None:
    open_index(tmp_path / "helpdesk").close()
    with pytest.raises(ConfigError, match="`tandem index helpdesk --reembed`"):
        open_index(tmp_path / "helpdesk", NARROW)


def test_searches_and_commits_go_on_and_what_they_wrote_is_in_the_new_index(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    refused: list[str] = []
    searched: list[int] = []

    class Waiting(HashEmbedder):
        """Embeds when enough was searched since it was asked to."""

        def encode(self, texts):
            deadline = time.monotonic() + 60
            while len(searched) <= 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            return super().encode(texts)

    with open_index(tmp_path / "index") as index:
        index.add(documents(600))

        def write() -> None:
            for number in range(10_000):
                try:
                    index.add([Document(f"w{number}", "t", f"written {number}")])
                    acknowledged.append(f"w{number}")
                    index.delete([f"d{number}"])
                    searched.append(len(index.search("word1").hits))
                except Unavailable as error:
                    refused.append(error.code)
                    return

        thread = threading.Thread(target=write)
        thread.start()
        done = reembed(tmp_path / "index", Waiting(dimension=32), SMALL)
        thread.join()
    assert refused == ["index_replaced"]
    assert len(searched) > 3
    with open_index(tmp_path / "index", Waiting(dimension=32)) as index:
        ids = {info.id for info in index.documents()}
        assert set(acknowledged) <= ids
        assert not {f"d{number}" for number in range(len(searched))} & ids
        assert len(ids) == done.documents


WORK = """
import sys
from pathlib import Path
from retrieval.reembed import reembed
from tests.retrieval.helpers import SMALL
from tests.retrieval.test_store_reembed import HashEmbedder
print("ready", flush=True)
for turn in range(1000):
    reembed(Path(sys.argv[1]), HashEmbedder(dimension=32 if turn % 2 == 0 else 64), SMALL)
    print(turn, flush=True)
"""


def kill_often(folder: Path, times: int) -> None:
    seed = random.Random(3)
    with open_index(folder) as index:
        index.add(documents(60))
        expected = {info.id: index.document(info.id).text for info in index.documents()}
    for _ in range(times):
        child = subprocess.Popen(
            [sys.executable, "-c", WORK, str(folder)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(seed.uniform(0, 1.0))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        began = time.monotonic()
        try:
            index = open_index(folder)
        except ConfigError:
            index = open_index(folder, NARROW)
        with index:
            assert {info.id: index.document(info.id).text for info in index.documents()} == expected
            assert len(index.search("the word of number", k=200).hits) == 60
            assert time.monotonic() - began < 5
        assert not (folder.parent / f".{folder.name}.next").exists()


@MILVUS_SLOW
def test_a_kill_at_any_moment_leaves_the_old_index_or_the_new_one(tmp_path: Path) -> None:
    kill_often(tmp_path / "index", 5)


@pytest.mark.slow
def test_many_kills_leave_the_old_index_or_the_new_one(tmp_path: Path) -> None:
    kill_often(tmp_path / "index", 80)
