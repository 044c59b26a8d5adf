"""The same index with its vectors in Milvus and with FAISS: searching, searching a share, committing, opening.

`python -m benchmarks.stores --passages 20000`, for the texts and vectors of `benchmarks.searching`. Milvus is Lite,
embedded in the index's folder, or what `--address` names. A search asks with a ready-made vector, so that the embedder,
the same for both, does not hide the difference.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.lexical import questions, texts
from benchmarks.made_index import commit
from benchmarks.paired import SEED, Comparison, arguments, in_turns, machine, report
from benchmarks.searching import AT_ONCE, SHARES, K, vectors_of
from retrieval import rows
from retrieval.embedder import Embedder, Vectors, load_embedder
from retrieval.index import Index
from retrieval.vectors import Numbers
from tandem.settings import RetrievalConfig

OPENINGS = 5


class Filled:
    """One index with vectors in `store`, and what is measured of it; times in milliseconds."""

    def __init__(
        self, folder: Path, embedder: Embedder, settings: RetrievalConfig, passages: list[str], vectors: Vectors
    ) -> None:
        self._folder = folder
        self._embedder = embedder
        self._settings = settings
        self._vectors = vectors
        self._added = len(passages)
        with self._opened() as index:
            for first in range(0, len(passages), AT_ONCE):
                commit(index, first, passages[first : first + AT_ONCE], vectors[first : first + AT_ONCE])

    def opening(self) -> float:
        """Until the first search is answered."""
        began = time.perf_counter()
        with self._opened() as index:
            self._nearest(index, self._vectors[0], None)
            return 1000 * (time.perf_counter() - began)

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        """Open for the measurements below."""
        with self._opened() as self._index:
            yield

    def search(self, query: Vectors, allowed: Numbers | None) -> tuple[float, list[int]]:
        """The time, and the numbers of the ten nearest passages."""
        began = time.perf_counter()
        found = self._nearest(self._index, query, allowed)
        return 1000 * (time.perf_counter() - began), found

    def add(self) -> float:
        """Of a document of ten passages, until it is found."""
        texts = [f"number {self._added + place}" for place in range(K)]
        began = time.perf_counter()
        commit(self._index, self._added, texts, self._vectors[:K])
        self._nearest(self._index, self._vectors[0], None)
        self._added += K
        return 1000 * (time.perf_counter() - began)

    def _opened(self) -> Index:
        return Index.open(self._folder, self._embedder, self._settings)

    @staticmethod
    def _nearest(index: Index, query: Vectors, allowed: Numbers | None) -> list[int]:
        with index._store.reading() as connection:
            index._derived.catch_up(connection)
            stored = partial(rows.vectors_of, connection)
            return [number for number, _ in index._derived.vectors.search(query, K, allowed, stored)]


def compare(count: int, embedder: Embedder, real: int, rounds: int, address: str | None) -> list[Comparison]:
    """Both with `count` passages, step by step."""
    chance = np.random.default_rng(SEED)
    passages = texts(count, chance)
    vectors = vectors_of(passages, embedder, real, chance)
    queries = embedder.encode_queries(questions(passages, chance)[:rounds])
    found = []

    def compared(what: str, ours: Callable[[], float], rival: Callable[[], float], repetitions: int) -> None:
        pairs = in_turns(repetitions, ours, rival)
        found.append(Comparison(f"{what}, {count:,} passages", "Milvus", "FAISS", "ms", pairs, {}))

    with tempfile.TemporaryDirectory() as home:
        milvus, faiss = (
            Filled(Path(home) / store, embedder, RetrievalConfig.model_validate(settings), passages, vectors)
            for store, settings in (
                ("milvus", {"store": "milvus", "milvus_address": address}),
                ("faiss", {"store": "faiss", "vector_index": "flat"}),
            )
        )
        compared("opening", milvus.opening, faiss.opening, OPENINGS)
        with milvus.use(), faiss.use():
            for share in SHARES:
                allowed = None
                if share < 1:
                    allowed = np.sort(chance.permutation(count)[: max(K, int(share * count))]) + 1
                agreed: list[float] = []
                for query in queries:
                    both = milvus.search(query, allowed)[1], faiss.search(query, allowed)[1]
                    agreed.append(len(set(both[0]) & set(both[1])) / K)
                turns = [iter(queries), iter(queries)]
                compared(
                    f"vector search among {100 * share:g} %",
                    lambda turns=turns, allowed=allowed: milvus.search(next(turns[0]), allowed)[0],
                    lambda turns=turns, allowed=allowed: faiss.search(next(turns[1]), allowed)[0],
                    len(queries),
                )
                found[-1].details["share of the same ten, least and median"] = (
                    f"{min(agreed):.2f}, {median(agreed):.2f}"
                )
            compared("a commit of ten passages until found", milvus.add, faiss.add, rounds)
    return found


def main() -> None:
    parser = arguments("stores", "The same index with Milvus and with FAISS.", 50)
    parser.add_argument("--passages", type=int, nargs="+", default=[20_000], help="sizes (default: %(default)s)")
    parser.add_argument("--real", type=int, default=2_000, help="passages embedded at most (default: %(default)s)")
    parser.add_argument("--address", help="of a Milvus cluster (default: Milvus Lite)")
    options = parser.parse_args()
    before, embedder = machine(), load_embedder()
    found = []
    for size in options.passages:
        found += compare(size, embedder, options.real, options.repetitions, options.address)
    report("stores", before, found, options.json)


if __name__ == "__main__":
    main()
