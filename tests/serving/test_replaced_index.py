"""A running server goes on when its index is restored or embedded anew by another process."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from retrieval.copies import backup_folder, restore
from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from retrieval.reembed import reembed
from retrieval.switch import job_lock
from tandem.files import locked
from tandem.settings import RetrievalConfig
from tests.serving.gateway import Gateway, run_gateway
from tests.waiting import until

SEARCH = "/v1/domains/shop/search"
LAMP = "Of what type is the bulb of the lamp?"
PROJECT = Path(__file__).parents[2]


def folder_of(gateway: Gateway) -> Path:
    return gateway.workspace.index_folder("shop")


def in_another_process(code: str, *arguments: object) -> None:
    lines = f"import sys\nfrom pathlib import Path\n{code}"
    subprocess.run([sys.executable, "-c", lines, *map(str, arguments)], check=True, cwd=PROJECT)


def put_back(gateway: Gateway, backup: Path) -> None:
    code = "from retrieval.copies import restore\nrestore(Path(sys.argv[1]), Path(sys.argv[2]))"
    in_another_process(code, folder_of(gateway), backup)


def add(gateway: Gateway, name: str, text: str) -> Any:
    body = {"documents": [{"id": name, "text": text}]}
    return gateway.http.post("/v1/domains/shop/documents", json=body).json()


def found(gateway: Gateway, query: str, k: int = 20) -> list[str]:
    response = gateway.http.post(SEARCH, json={"query": query, "k": k})
    assert response.status_code == 200, response.text
    return [hit["document"] for hit in response.json()["hits"]]


@pytest.fixture
def restored(home: Path, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose index was put back to its first state after `fan.md` was added."""
    with run_gateway(home) as gateway:
        backup_folder(folder_of(gateway), tmp_path / "copy.db")
        add(gateway, "fan.md", "The Orio fan turns 900 times a minute.")
        assert "fan.md" in found(gateway, "Orio fan")
        put_back(gateway, tmp_path / "copy.db")
        yield gateway


def test_the_first_search_after_a_restoration_is_answered_from_the_restored_index(restored: Gateway) -> None:
    assert set(found(restored, "Orio fan")) == {"kettle.md", "toaster.md", "lamp.md"}


@pytest.mark.parametrize("streamed", [True, False])
def test_answers_go_on_after_a_restoration(restored: Gateway, streamed: bool) -> None:
    response = restored.chat(LAMP, stream=streamed)
    assert response.status_code == 200
    assert '"document":"lamp.md"' in response.text
    assert '"snapshot":1' in response.text


def test_comparisons_go_on_after_a_restoration(restored: Gateway) -> None:
    body = {"domain": "shop", "question": LAMP, "variants": ["base", "rag"]}
    answers = restored.http.post("/v1/compare", json=body).json()["answers"]
    assert [answer["versions"]["snapshot"] for answer in answers] == [None, 1]


def test_documents_are_listed_added_and_deleted_after_a_restoration(restored: Gateway) -> None:
    assert restored.http.get("/v1/domains/shop/documents").json()["total"] == 3
    assert add(restored, "fan.md", "The Orio fan is quiet.")["added"] == ["fan.md"]
    deleted = restored.http.delete("/v1/domains/shop/documents/lamp.md").json()
    assert deleted == {"snapshot": 3, "removed": ["lamp.md"]}


def test_a_deletion_is_the_first_to_notice_a_restoration(restored: Gateway) -> None:
    assert restored.http.delete("/v1/domains/shop/documents/lamp.md").json()["snapshot"] == 2
    assert restored.http.get("/v1/domains/shop/documents/lamp.md").status_code == 404


def test_probes_numbers_and_models_notice_a_restoration_without_any_search(restored: Gateway) -> None:
    restored.http.get("/metrics")
    until(lambda: bool(restored.http.get("/readyz").json()["ready"]))
    assert 'tandem_index_snapshot{domain="shop"} 1.0' in restored.http.get("/metrics").text
    assert restored.http.get("/v1/models/shop/rag").json()["tandem"]["snapshot"] == 1


def test_an_index_that_is_about_to_be_replaced_is_opened_when_that_is_over(home: Path, tmp_path: Path) -> None:
    with run_gateway(home) as gateway:
        folder = folder_of(gateway)
        backup_folder(folder, tmp_path / "copy.db")
        with Index.open(folder, HashEmbedder(), RetrievalConfig()) as other, locked(job_lock(folder)):
            other._store.mark_replaced(True)
            gateway.http.get("/metrics")
            assert gateway.http.get("/readyz").json()["indexes"] == {"shop": "opening", "empty": "open"}
            assert gateway.http.post("/v1/domains/empty/search", json={"query": "x"}).status_code == 409
            model = gateway.http.get("/v1/models/shop/rag").json()["tandem"]
            assert (model["answers"], model["snapshot"]) == (False, None)
        assert found(gateway, "lamp")


def test_a_request_that_waits_too_long_is_told_to_come_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.indexes.PATIENCE_SECONDS", 0.2)
    with run_gateway(home) as gateway:
        folder = folder_of(gateway)
        with Index.open(folder, HashEmbedder(), RetrievalConfig()) as other, locked(job_lock(folder)):
            other._store.mark_replaced(True)
            response = gateway.http.post(SEARCH, json={"query": "lamp"})
        assert (response.status_code, response.json()["error"]["code"]) == (503, "index_opening")
        assert response.headers["retry-after"] == "1"


def test_an_index_of_another_embedder_is_refused_in_a_sentence_until_it_is_put_back(home: Path) -> None:
    with run_gateway(home) as gateway:
        folder = folder_of(gateway)
        reembed(folder, HashEmbedder(dimension=32), RetrievalConfig())
        for response in (gateway.http.post(SEARCH, json={"query": "lamp"}), gateway.ask(LAMP), gateway.chat(LAMP)):
            error = response.json()["error"]
            assert (response.status_code, error["code"]) == (503, "embedder_mismatch")
            assert "was made with the embedder 'hash-32'" in error["message"]
        assert gateway.ask(LAMP, variant="base").status_code == 200
        ready = gateway.http.get("/readyz")
        assert ready.status_code == 503
        assert "hash-32" in ready.json()["indexes"]["shop"]
        assert "hash-32" in gateway.http.get("/v1/models/shop/rag").json()["tandem"]["reason"]
        assert 'tandem_index_snapshot{domain="shop"}' not in gateway.http.get("/metrics").text
        reembed(folder, HashEmbedder(), RetrievalConfig())
        until(lambda: bool(gateway.http.get("/readyz").json()["ready"]))
        assert found(gateway, "lamp")


@contextmanager
def searches(gateway: Gateway, threads: int) -> Iterator[list[tuple[int, str, list[str]]]]:
    """Searches from several threads until the end of the block: status, code, documents of each."""
    stop, seen = threading.Event(), list[tuple[int, str, list[str]]]()

    def work() -> None:
        while not stop.is_set():
            response = gateway.http.post(SEARCH, json={"query": "state of the word", "k": 100})
            body = response.json()
            if response.status_code == 200:
                seen.append((200, "", [f"{hit['document']} {hit['text']}" for hit in body["hits"]]))
            else:
                seen.append((response.status_code, body["error"]["code"], []))

    started = [threading.Thread(target=work) for _ in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in started:
            thread.join()


def restore_often(home: Path, tmp_path: Path, times: int) -> None:
    """Two states, put back in turns under searches: each answer is of one of them, whole, and the last of the last."""
    states = []
    with Index.open(home / "indexes" / "shop", HashEmbedder(), RetrievalConfig(k=100)) as index:
        for state in "ab":
            index.add([Document(f"d{n}", "t", f"The state of the word is {state}{n}.") for n in range(60)])
            states.append(tmp_path / f"{state}.db")
            index.backup(states[-1])
    with run_gateway(home) as gateway, searches(gateway, 6) as seen:
        for turn in range(times):
            before = len(seen)
            until(lambda: len(seen) > before + 12)  # noqa: B023 - called before the next turn
            restore(folder_of(gateway), states[turn % 2])
        last = found(gateway, "state of the word", 100)
        text = gateway.http.get("/v1/domains/shop/documents/d7").json()["text"]
    assert {(status, code) for status, code, _ in seen} <= {(200, ""), (503, "index_replaced"), (503, "index_opening")}
    kinds = {frozenset(hit.split()[-1][0] for hit in hits if hit.startswith("d")) for _, _, hits in seen if hits}
    assert kinds == {frozenset("a"), frozenset("b")}
    assert text == f"The state of the word is {'ab'[(times - 1) % 2]}7."
    assert len([name for name in last if name.startswith("d")]) == 60


def test_restorations_under_searches_fail_none_and_mix_no_two_states(home: Path, tmp_path: Path) -> None:
    restore_often(home, tmp_path, 4)


@pytest.mark.slow
def test_many_restorations_under_searches_fail_none_and_mix_no_two_states(home: Path, tmp_path: Path) -> None:
    restore_often(home, tmp_path, 60)
