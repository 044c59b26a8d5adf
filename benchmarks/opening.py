"""How long an index takes to open and to grow, beside the bare steps that cannot be spared.

`python -m benchmarks.opening --passages 200000`. Vectors are random, in clusters, and the texts random words: what is
measured does not read them. Opening stands beside FAISS reading the same file of vectors; adding one document beside
one durable transaction of SQLite with the same bytes in a database of one table. Embedding is in neither. The details
tell the memory a passage takes, and how many of the exact ten nearest the 8-bit kinds find.
"""

import resource
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.made_index import commit
from benchmarks.paired import Comparison, arguments, in_turns, machine, report
from retrieval.derived import FILE_NAME
from retrieval.documents import Document
from retrieval.embedder import Vectors
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from retrieval.vectors import VectorIndex
from tandem.settings import RetrievalConfig

DIMENSION = 384
PASSAGES = 20_000
CLUSTERS = 500
SETTINGS = RetrievalConfig()


class RandomVectors(HashEmbedder):
    """Gives each text a vector of its own at no cost worth measuring."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), 384)."""
        return unit_vectors(len(texts), np.random.default_rng(len(texts[0]) if texts else 0))


def unit_vectors(count: int, chance: np.random.Generator) -> Vectors:
    """Random unit vectors in clusters, as texts of some subjects make them; shape (count, 384)."""
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, DIMENSION))
    made = centres[chance.integers(0, CLUSTERS, count)] + 0.8 * chance.standard_normal((count, DIMENSION))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def fill(index: Index, passages: int) -> None:
    """Commit `passages` ready-made passages."""
    chance = np.random.default_rng(1)
    words = np.array([f"word{number}" for number in range(20_000)])
    for first in range(0, passages, 20_000):
        count = min(20_000, passages - first)
        vectors = unit_vectors(count, chance)
        texts = [" ".join(row) for row in words[chance.integers(0, len(words), (count, 40))]]
        commit(index, first, texts, vectors)


def open_seconds(folder: Path) -> float:
    """Wall seconds until the index answers."""
    began = time.perf_counter()
    index = Index.open(folder, RandomVectors(DIMENSION), SETTINGS)
    seconds = time.perf_counter() - began
    index.close()
    return seconds


def read_seconds(path: Path) -> float:
    """Wall seconds in which FAISS reads the vectors, with its own reader."""
    import faiss

    began = time.perf_counter()
    faiss.read_index(str(path))
    return time.perf_counter() - began


def transaction_seconds(connection: sqlite3.Connection) -> float:
    """Wall seconds of one durable row of a passage's size."""
    began = time.perf_counter()
    connection.execute("INSERT INTO t (text, vector) VALUES (?, zeroblob(?))", ("word " * 40, DIMENSION * 4))
    connection.commit()
    return time.perf_counter() - began


def recall(passages: int) -> dict[str, float]:
    """Kind → share of the exact ten nearest that it finds, on vectors of the same sort."""
    chance = np.random.default_rng(2)
    vectors, queries = unit_vectors(passages, chance), unit_vectors(100, chance)
    numbers = np.arange(passages)
    exact = np.argpartition(-(queries @ vectors.T), 10, axis=1)[:, :10]
    found = {}
    for kind in ("sq8", "ivf"):
        index = VectorIndex.built(kind, numbers, vectors)  # type: ignore[arg-type]
        hits = [index.search(query, 10, None, lambda wanted: vectors[np.asarray(wanted)]) for query in queries]
        agreed = sum(
            len({number for number, _ in hit} & set(best.tolist())) for hit, best in zip(hits, exact, strict=True)
        )
        found[kind] = agreed / exact.size
    return found


def measure(passages: int, rounds: int) -> list[Comparison]:
    """Open and add in turns with the bare steps."""
    with tempfile.TemporaryDirectory() as home:
        folder, bare = Path(home) / "index", Path(home) / "bare.faiss"
        with Index.open(folder, RandomVectors(DIMENSION), SETTINGS) as index:
            fill(index, passages)
        bare.write_bytes((folder / FILE_NAME).read_bytes())
        opening = in_turns(rounds, lambda: open_seconds(folder), lambda: read_seconds(bare))
        connection = sqlite3.connect(Path(home) / "bare.db")
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (text, vector)")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with Index.open(folder, RandomVectors(DIMENSION), SETTINGS) as index:
            added = iter(range(10**6))

            def add() -> float:
                document = Document(f"one{next(added)}", "t", "a short new document")
                began = time.perf_counter()
                index.add([document])
                return time.perf_counter() - began

            adding = in_turns(rounds, add, lambda: transaction_seconds(connection))
            stats = index.stats()
        connection.close()
    details = {
        "passages": stats.passages,
        "bytes on disk per passage": round(stats.bytes / stats.passages),
        "peak memory of this process, MiB": before // 1024,
    }
    return [
        Comparison("opening an index", "Index.open", "faiss.read_index", "ms", _milliseconds(opening), details),
        Comparison(
            "adding one document, without embedding",
            "Index.add",
            "one SQLite transaction",
            "ms",
            _milliseconds(adding),
            {f"recall@10 of {kind}": value for kind, value in recall(passages).items()},
        ),
    ]


def _milliseconds(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(1000 * ours, 1000 * theirs) for ours, theirs in pairs]


def main() -> None:
    parser = arguments("opening", "Opening an index and adding one document, beside the bare steps.", 5)
    parser.add_argument("--passages", type=int, default=PASSAGES, help="passages (default: %(default)s)")
    options = parser.parse_args()
    before = machine()
    report("opening", before, measure(options.passages, options.repetitions), options.json)


if __name__ == "__main__":
    main()
