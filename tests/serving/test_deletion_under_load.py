"""Delete means delete, over HTTP and under load: hidden from the acknowledgement on, soon gone from the disk."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from tandem.settings import RetrievalConfig
from tests.retrieval.test_store_purge import found_on_disk, mark, wait_until_purged
from tests.serving.gateway import Gateway, run_gateway
from tests.waiting import until

GONE = 200
HTTP_NOT_FOUND = 404

Probe = Callable[[str, str], bool]
"""Whether one way of asking shows anything of the document (its id, its mark)."""


def write_folder(folder: Path, count: int, seed: random.Random) -> dict[str, str]:
    """Files of some sentences, each with a string that is nowhere else; these by the documents' ids."""
    folder.mkdir()
    marks = {f"m{number}.md": mark(seed) for number in range(count)}
    for name, word in marks.items():
        text = f"The Zorv record {name} says {word}. Common words stand here, and here."
        (folder / name).write_text(text, encoding="utf-8")
    return marks


def probes(gateway: Gateway) -> dict[str, Probe]:
    """Every route that shows a document's text."""
    documents = "/v1/domains/shop/documents"

    def search(name: str, word: str, **fields: Any) -> bool:
        body = {"query": f"Zorv record {name} {word}", "k": 10, **fields}
        return shows(gateway.http.post("/v1/domains/shop/search", json=body), name, word)

    def ask(name: str, word: str) -> bool:
        return shows(gateway.ask(f"What does the Zorv record {name} say?", k=5), name, word)

    def read(name: str, word: str) -> bool:
        return shows(gateway.http.get(f"{documents}/{name}"), name, word, HTTP_NOT_FOUND)

    def highlight(name: str, word: str) -> bool:
        page = gateway.http.get(f"{documents}/{name}?start=0&end=20&format=html")
        return shows(page, name, word, HTTP_NOT_FOUND)

    return {
        "search": search,
        "older snapshot": lambda name, word: search(name, word, snapshot=1),
        "answer": ask,
        "document": read,
        "highlight": highlight,
    }


def shows(response: Any, name: str, word: str, hidden: int = 200) -> bool:
    """Whether a response has the document; RuntimeError for one that is neither an answer nor a refusal."""
    if response.status_code not in (200, hidden):
        raise RuntimeError(f"{response.status_code}: {response.text}")
    if response.status_code == HTTP_NOT_FOUND:
        return False
    return word in response.text or f'"document":"{name}"' in response.text or hidden == HTTP_NOT_FOUND


class Watch:
    """Asks in every way for documents that are being deleted, from several threads."""

    def __init__(self, gateway: Gateway, marks: dict[str, str], gone: list[str]) -> None:
        self.deleted: set[str] = set()
        self.seen: list[tuple[str, bool, bool]] = []
        """Which way, whether its deletion was acknowledged before it was asked for, whether it was shown."""
        self.errors: list[BaseException] = []
        self._ways, self._marks, self._gone = probes(gateway), marks, gone
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask until the end of the block, one thread for each way."""
        threads = [threading.Thread(target=self._ask, args=(way, number)) for number, way in enumerate(self._ways)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def asked(self, acknowledged: bool, times: int) -> bool:
        """Whether each way was asked so often for documents whose deletion was acknowledged, or was not; or failed."""
        counts = Counter(way for way, before, _ in list(self.seen) if before is acknowledged)
        return bool(self.errors) or all(counts[way] >= times for way in self._ways)

    def _ask(self, way: str, number: int) -> None:
        own = random.Random(number)
        try:
            while not self._stop.is_set():
                name = own.choice(self._gone)
                before = name in self.deleted
                self.seen.append((way, before, self._ways[way](name, self._marks[name])))
        except BaseException as error:
            self.errors.append(error)


def delete_under_load(home: Path, count: int, gone_count: int) -> None:
    seed, index_folder = random.Random(11), home / "indexes" / "shop"
    settings = RetrievalConfig(keep_snapshots=1000)  # so that the state before the deletions can still be searched
    home.mkdir(exist_ok=True)
    marks = write_folder(home / "folder", count, seed)
    gone = seed.sample(sorted(marks), gone_count)
    texts = [marks[name] for name in gone]
    with Index.open(index_folder, HashEmbedder(), settings) as index:
        assert len(index.sync([home / "folder"]).added) == count
    assert len(found_on_disk(index_folder, texts)) == gone_count
    with run_gateway(home, retrieval={"keep_snapshots": 1000}) as gateway:
        watch = Watch(gateway, marks, gone)
        with watch.running():
            until(lambda: watch.asked(acknowledged=False, times=1))
            for name in gone:
                removed = gateway.http.delete(f"/v1/domains/shop/documents/{name}").json()["removed"]
                assert removed == [name]
                watch.deleted.add(name)
            began = time.monotonic()
            while left := found_on_disk(index_folder, texts):
                assert time.monotonic() - began < 60, f"{len(left)} are still on the disk"
                time.sleep(0.2)
            until(lambda: watch.asked(acknowledged=True, times=3))
        assert watch.errors == []
        for way in probes(gateway):
            before = [shown for one, acknowledged, shown in watch.seen if one == way and not acknowledged]
            after = [shown for one, acknowledged, shown in watch.seen if one == way and acknowledged]
            assert any(before), way
            assert len(after) >= 3, way
            assert not any(after), way
        with Index.open(index_folder, HashEmbedder(), settings) as index:
            wait_until_purged(index, began + 60 - time.monotonic())
            again = index.sync([home / "folder"])
        assert (again.added, {failure.id for failure in again.failed}) == ([], set(gone))
        for way, probe in probes(gateway).items():
            assert not any(probe(name, marks[name]) for name in gone[:5]), way
    assert found_on_disk(index_folder, texts) == []
    kept = [word for name, word in marks.items() if name not in set(gone)]
    assert len(found_on_disk(index_folder, kept)) == len(kept)


def test_deleted_documents_are_shown_nowhere_and_leave_the_disk(home: Path) -> None:
    delete_under_load(home, 100, 5)


@pytest.mark.slow
def test_200_of_10_000_documents_are_shown_nowhere_from_their_deletion_on(home: Path) -> None:
    delete_under_load(home, 10_000, GONE)
