"""`retrieval.store: milvus` where it differs: a cluster by its address, Lite's one process, and what can be missing."""

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from milvus_lite.adapter.grpc.server import start_server_in_thread
from pymilvus import MilvusClient

from retrieval import milvus_vectors
from retrieval.copies import restore
from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from retrieval.milvus import FOLDER, PAUSE_SECONDS, read_token, require_installed
from retrieval.reembed import reembed
from tandem.errors import ConfigError, Unavailable
from tandem.settings import RetrievalConfig
from tests.retrieval.helpers import SMALL, documents
from tests.retrieval.test_store_purge import files_with, stored_vector, wait_until_purged

LITE = SMALL.model_copy(update={"store": "milvus"})
QUERY = "the word3 of number"


class Server:
    """Milvus Lite behind an address, in the place of a cluster; `collections` are those that it has."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._port = 0
        self.start()

    def start(self) -> None:
        self._server, self._database, self._port = start_server_in_thread(self._folder, port=self._port)
        self.address = f"http://127.0.0.1:{self._port}"
        self.settings = LITE.model_copy(update={"milvus_address": self.address})

    def stop(self) -> None:
        self._server.stop(None).wait()
        self._database.close()

    @property
    def collections(self) -> dict[str, int]:
        """Name → how many vectors."""
        client = MilvusClient(self.address)
        names = client.list_collections()
        counts = {name: client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"] for name in names}
        client.close()
        return counts


@pytest.fixture(autouse=True)
def moved_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small indexes are moved to Milvus, and searched there, as large ones are."""
    for name, value in (("MOVE_AT", 4), ("READ", 1), ("LISTED", 3)):
        monkeypatch.setattr(milvus_vectors, name, value)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "cluster")
    yield made
    made.stop()


def open_index(folder: Path, settings: RetrievalConfig, embedder: HashEmbedder | None = None) -> Index:
    return Index.open(folder, embedder or HashEmbedder(), settings)


def found(index: Index, **options) -> list[tuple[str, float]]:
    return [(hit.document, round(hit.score, 5)) for hit in index.search(QUERY, k=30, **options).hits]


def filled(folder: Path, settings: RetrievalConfig) -> list[tuple[str, float]]:
    with open_index(folder, settings) as index:
        index.add(documents(30))
        return found(index)


def test_a_cluster_finds_what_faiss_finds_and_holds_one_collection(server: Server, tmp_path: Path) -> None:
    filled(tmp_path / "one", server.settings)
    filled(tmp_path / "two", SMALL)
    assert list(server.collections.values()) == [30]
    with open_index(tmp_path / "one", server.settings) as index, open_index(tmp_path / "two", SMALL) as twin:
        assert found(index) == found(twin)
        for each in (index, twin):
            each.delete(["d3", "d4"])
        assert found(index) == found(twin)
        wait_until_purged(index, 30)
        assert list(server.collections.values()) == [28]
        assert found(index) == found(twin)
        assert found(index, filter={"even": True}) == found(twin, filter={"even": True})
        index.rebuild()
        assert found(index) == found(twin)
    assert list(server.collections.values()) == [28]


def test_processes_share_a_cluster(server: Server, tmp_path: Path) -> None:
    filled(tmp_path / "index", server.settings)
    with open_index(tmp_path / "index", server.settings) as one, open_index(tmp_path / "index", server.settings) as two:
        one.add(documents(40)[30:])
        assert found(two) == found(one)
        two.delete(["d3"])
        assert "d3" not in {name for name, _ in found(one)}
        wait_until_purged(two, 30)
        assert found(one) == found(two)
        assert len(found(one)) == 30
    assert list(server.collections.values()) == [39]


def test_a_cluster_that_is_away_costs_searches_a_503_and_no_document(server: Server, tmp_path: Path) -> None:
    expected = filled(tmp_path / "index", server.settings)
    with open_index(tmp_path / "index", server.settings) as index:
        assert found(index) == expected
        server.stop()
        with pytest.raises(Unavailable, match=server.address) as caught:
            found(index)
        assert (caught.value.code, caught.value.status) == ("milvus_unreachable", 503)
        index.add(documents(40)[30:])
        assert len(index.documents()) == 40
    with open_index(tmp_path / "index", server.settings) as index:
        assert len(index.documents()) == 40
        server.start()
        wait_until_answers(index)
        index.add([Document("d40", "Title", "the word40 of number 40")])
    assert list(server.collections.values()) == [41]


def wait_until_answers(index: Index) -> None:
    end = time.monotonic() + 10 * PAUSE_SECONDS
    while True:
        try:
            found(index)
        except Unavailable:
            assert time.monotonic() < end
            time.sleep(PAUSE_SECONDS / 4)
        else:
            return


def test_an_index_that_replaces_another_drops_its_collection(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    filled(folder, server.settings)
    with open_index(folder, server.settings) as index:
        index.backup(tmp_path / "backup.db")
        index.delete(["d3"])
    first = set(server.collections)
    restore(folder, tmp_path / "backup.db")
    with open_index(folder, server.settings) as index:
        assert "d3" not in {name for name, _ in found(index)}
    second = set(server.collections)
    assert (len(second), len(first & second), list(server.collections.values())) == (1, 0, [29])
    reembed(folder, HashEmbedder(dimension=32), server.settings)
    with open_index(folder, server.settings, HashEmbedder(dimension=32)) as index:
        assert len(found(index)) == 29
    assert (len(server.collections), len(second & set(server.collections))) == (1, 0)


KILLED_BEFORE_IT_IS_WRITTEN = """
import os, signal, sys
from pathlib import Path
from retrieval import milvus_vectors
from tests.retrieval.test_milvus import LITE, documents, open_index
milvus_vectors.write_moved = lambda connection, moved: os.kill(os.getpid(), signal.SIGKILL)
milvus_vectors.MOVE_AT = 4
settings = LITE.model_copy(update={"milvus_address": sys.argv[2] or None})
with open_index(Path(sys.argv[1]), settings) as index:
    index.add(documents(30))
"""


@pytest.mark.parametrize("embedded", [True, False], ids=["lite", "cluster"])
def test_a_kill_while_vectors_are_moved_leaves_nothing_behind(embedded: bool, server: Server, tmp_path: Path) -> None:
    address = "" if embedded else server.address
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_IT_IS_WRITTEN, str(tmp_path / "index"), address],
        cwd=Path(__file__).parents[2],
    )
    assert killed.returncode == -signal.SIGKILL
    begun = set(server.collections)
    assert len(begun) == (0 if embedded else 1)
    expected = filled(tmp_path / "other", SMALL)
    with open_index(tmp_path / "index", LITE if embedded else server.settings) as index:
        assert found(index) == expected
    assert not begun & set(server.collections)
    assert len(server.collections) == (0 if embedded else 1)


def test_another_setting_says_which_collection_is_left_in_the_cluster(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = filled(tmp_path / "index", server.settings)
    (name,) = server.collections
    for settings in (SMALL, LITE):
        with caplog.at_level(logging.WARNING), open_index(tmp_path / "index", settings) as index:
            assert found(index) == expected
        assert f"collection {name} of Milvus at {server.address}" in caplog.text
        caplog.clear()


def test_lite_is_left_without_a_trace_by_the_other_setting(tmp_path: Path) -> None:
    expected = filled(tmp_path, LITE)
    assert (tmp_path / FOLDER).exists()
    with open_index(tmp_path, SMALL) as index:
        assert found(index) == expected
    assert not (tmp_path / FOLDER).exists()


def test_a_damaged_folder_of_lite_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = filled(tmp_path, LITE)
    (file,) = (tmp_path / FOLDER).rglob("*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with open_index(tmp_path, LITE) as index:
        assert found(index) == expected


def test_a_second_process_finds_the_same_without_lite_and_what_it_deletes_is_purged(tmp_path: Path) -> None:
    expected = filled(tmp_path, LITE)
    vector = stored_vector(tmp_path, 4)
    with open_index(tmp_path, LITE) as one:
        with open_index(tmp_path, LITE) as two:
            assert found(one) == found(two) == expected
            two.delete(["d3"])
        assert "d3" not in {name for name, _ in found(one)}
        wait_until_purged(one, 30)
        assert files_with(vector, tmp_path) == []


def test_the_token_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("root:from-a-file\n")
    assert read_token({}) == ""
    assert read_token({"TANDEM_MILVUS_TOKEN": " root:secret "}) == "root:secret"
    assert read_token({"TANDEM_MILVUS_TOKEN_FILE": str(file)}) == "root:from-a-file"
    with pytest.raises(ConfigError, match="keep one"):
        read_token({"TANDEM_MILVUS_TOKEN": "a", "TANDEM_MILVUS_TOKEN_FILE": str(file)})
    with pytest.raises(ConfigError, match="TANDEM_MILVUS_TOKEN_FILE"):
        read_token({"TANDEM_MILVUS_TOKEN_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(("package", "embedded"), [("pymilvus", False), ("milvus_lite", True)])
def test_a_missing_package_is_named_with_what_brings_it(
    package: str, embedded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"{package} is not installed.*tandem\[milvus\]") as caught:
        require_installed(embedded=embedded)
    assert caught.value.code == "milvus_missing"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"milvus_address": "http://127.0.0.1:19530"}, "it has to be milvus"),
        ({"store": "milvus", "vector_index": "ivf"}, "auto or flat"),
        ({"store": "milvus", "milvus_address": "127.0.0.1"}, "milvus_address"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RetrievalConfig.model_validate(settings)
