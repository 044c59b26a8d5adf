"""Vector indexes of every kind: changed by generations, compacted, saved, against exact products."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval import derived, vectors
from retrieval.derived import FILE_NAME
from retrieval.documents import Document
from retrieval.hash_embedder import HashEmbedder
from retrieval.vectors import Stamp, VectorIndex, kind_for, read_stamp
from tests.retrieval.helpers import SMALL, documents, exact_order, open_index


def unit(count: int, dimension: int, seed: int) -> np.ndarray:
    """Unit vectors in clusters, as texts make them."""
    random = np.random.default_rng(seed)
    made = random.standard_normal((50, dimension))[random.integers(0, 50, count)] + 0.7 * random.standard_normal(
        (count, dimension)
    )
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", ["flat", "sq8", "ivf"])
def test_every_kind_finds_what_exact_products_find(kind: str) -> None:
    everything = unit(6_000, 48, 1)
    numbers = np.arange(10, 6_010)
    index = VectorIndex.built(kind, numbers[:5_000], everything[:5_000])  # type: ignore[arg-type]
    gone = numbers[3:5_500:7]
    index = index.changed([], numbers[5_000:].tolist(), everything[5_000:]).changed(
        gone.tolist(), [], np.zeros((0, 48), np.float32)
    )
    live = ~np.isin(numbers, gone)

    def exact(wanted) -> np.ndarray:
        return everything[np.asarray(wanted) - 10]

    queries = unit(60, 48, 2)
    for checked in (index, index.compacted(kind), VectorIndex.from_bytes(index.to_bytes(stamp(index)))[0]):  # type: ignore[arg-type]
        assert len(checked) == live.sum()
        for allowed in (None, numbers[live][::3], numbers[live][:20], np.zeros(0, np.int64)):
            usable = live if allowed is None else np.isin(numbers, allowed)
            agreed = total = 0
            for query in queries:
                places = np.nonzero(usable)[0]
                best = places[np.argsort(-(everything[places] @ query), kind="stable")[:10]]
                found = [number for number, _ in checked.search(query, 10, allowed, exact)]
                assert set(found) <= set(numbers[usable].tolist())
                assert len(found) == len(best)
                agreed += len(set(found) & set(numbers[best].tolist()))
                total += len(best)
            assert agreed >= (1.0 if kind == "flat" else 0.99) * total


def stamp(index: VectorIndex) -> Stamp:
    return Stamp(1, "t", "d", len(index), index.kind)


def test_a_change_leaves_the_index_it_was_made_from_as_it_was() -> None:
    first = VectorIndex.built("flat", np.arange(1, 101), unit(100, 8, 3))
    query = unit(1, 8, 4)[0]
    before = first.search(query, 10)
    second = first.changed([before[0][0]], [500], query[np.newaxis])
    assert first.search(query, 10) == before
    assert second.search(query, 1)[0][0] == 500
    assert before[0][0] not in [number for number, _ in second.search(query, 101)]
    assert len(second.search(query, 200)) == len(second) == 100


@pytest.mark.parametrize("compacted", [False, True])
def test_an_index_of_other_numbers_reads_only_the_vectors_that_are_lacking(compacted: bool) -> None:
    everything = unit(100, 8, 3)
    index = VectorIndex.built("flat", np.arange(60), everything[:60])
    index = index.changed([5, 6], list(range(60, 80)), everything[60:80]).changed([7, 65], [], everything[:0])
    index = index.compacted("flat") if compacted else index
    asked: list[int] = []

    def stored(numbers: Sequence[int]) -> np.ndarray:
        asked.extend(numbers)
        return everything[list(numbers)]

    wanted = np.array([*range(0, 70, 2), 7, 65, 90])
    other = index.holding(wanted, stored)
    assert asked == ([6, 7, 65, 90] if compacted else [90])
    alone = VectorIndex.built("flat", wanted, everything[wanted])
    assert len(other) == len(wanted)
    for query in unit(5, 8, 4):
        for limit, allowed in ((100, None), (5, wanted[::3])):
            found, expected = other.search(query, limit, allowed), alone.search(query, limit, allowed)
            assert [number for number, _ in found] == [number for number, _ in expected]
    assert len(index) == 76


def test_removed_vectors_are_not_in_what_is_saved() -> None:
    made = unit(100, 8, 3)
    index = VectorIndex.built("flat", np.arange(100), made).changed([7, 200], [300], unit(1, 8, 9))
    data = index.to_bytes(stamp(index))
    assert made[7].tobytes() not in data
    assert made[8].tobytes() in data


def test_auto_goes_by_size_and_a_name_is_an_override() -> None:
    assert [kind_for("auto", count) for count in (0, 200_000, 200_001)] == ["flat", "flat", "sq8"]
    assert [kind_for(kind, 5_000) for kind in ("flat", "sq8", "ivf")] == ["flat", "sq8", "ivf"]
    assert kind_for("ivf", 10) == "flat"


def test_an_index_that_grows_changes_its_kind_when_it_is_saved(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(vectors, "FLAT_UP_TO", 1_200)
    texts = {f"d{number}": f"alpha{number % 71} beta{number % 113} gamma{number}" for number in range(1_500)}
    dense = SMALL.model_copy(update={"lexical_weight": 0.0})
    with open_index(tmp_path, settings=dense) as index:
        index.add([Document(key, "", text) for key, text in texts.items()])
    assert read_stamp(tmp_path / FILE_NAME).kind == "sq8"
    with open_index(tmp_path, settings=dense) as index:
        assert index._derived.vectors.kind == "sq8"
        searchable = {key: f"{key}\n{text}" for key, text in texts.items()}
        for query in ("alpha3 beta5 gamma2", "gamma1400 beta9", "alpha70"):
            found = [hit.document for hit in index.search(query, k=20).hits]
            assert len(set(found) & set(exact_order(query, searchable, HashEmbedder())[:20])) >= 19
    flat = dense.model_copy(update={"vector_index": "flat"})
    with open_index(tmp_path, settings=flat) as index:
        assert index._derived.vectors.kind == "flat"
    assert read_stamp(tmp_path / FILE_NAME).kind == "flat"


def test_a_search_during_a_large_change_uses_the_snapshot_before_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(derived, "IN_PLACE", 3)
    with open_index(tmp_path) as index, open_index(tmp_path) as other:
        index.add(documents(10))
        with other._store.reading() as connection:
            other._derived.catch_up(connection)
        other._derived._changing.acquire()
        try:
            index.add([Document(f"n{number}", "t", f"new word{number}") for number in range(10)])
            index.delete(["d4"])
            result = other.search("the word4 of number", k=50)
            assert result.snapshot == 1
            assert {hit.document for hit in result.hits} == {f"d{number}" for number in range(10) if number != 4}
        finally:
            other._derived._changing.release()
        with other._store.reading() as connection:
            other._derived.catch_up(connection)
        assert other.search("word", k=50).snapshot == 3
