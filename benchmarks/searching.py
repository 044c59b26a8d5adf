"""What a search takes and finds as an index grows, beside the bare steps in the same run.

`python -m benchmarks.searching --passages 1500 20000 100000`. Ours is `Index.search` with its defaults: embed, decide
what may be found, search vectors and words, fuse, read and verify ten hits. Bare is the same embedder's call, FAISS's
exact flat index, tantivy in memory, and fusion, with nothing read or checked. Texts are those of `benchmarks.lexical`
(SQuAD and SciFact of the folder that TANDEM_TEST_DATA names, then words drawn from them); the first 20,000 vectors are
MiniLM's of these texts, the others are these again, moved by noise. `--real` bounds how many are embedded.

The details give the median of each step, and how many of the exact ten nearest the vector search finds: among all
passages, and among random shares of them, as permissions and filters allow.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.lexical import DEPTH, Tantivy, questions, texts
from benchmarks.made_index import commit
from benchmarks.paired import SEED, Comparison, arguments, in_turns, machine, report
from retrieval.embedder import Embedder, Vectors, load_embedder
from retrieval.fusion import fuse
from retrieval.index import Index
from retrieval.results import SearchResult
from retrieval.vectors import Numbers, VectorIndex
from tandem.settings import RetrievalConfig

K = 10
NOISE = 0.35
"""Length of the noise beside a vector of length 1: moved copies lie at a cosine of some .94 to their origin."""
SHARES = (0.001, 0.01, 0.1, 0.5, 1.0)
QUERIES_FOR_RECALL = 100
AT_ONCE = 20_000


def vectors_of(passages: Sequence[str], embedder: Embedder, real: int, chance: np.random.Generator) -> Vectors:
    """Unit vectors, shape (len(passages), dimension); those after the first `real` are moved copies of these."""
    embedded = embedder.encode(passages[:real])
    missing = len(passages) - len(embedded)
    if missing <= 0:
        return embedded
    noise = chance.standard_normal((missing, embedded.shape[1]), dtype=np.float32)
    noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    moved = embedded[chance.integers(0, len(embedded), missing)] + noise
    return np.concatenate([embedded, moved / np.linalg.norm(moved, axis=1, keepdims=True)])


class Bare:
    """The rival: the steps that no search can do without, by the libraries that others use for them."""

    def __init__(self, passages: Sequence[str], vectors: Vectors, embedder: Embedder) -> None:
        import faiss

        self._embedder = embedder
        self._vectors = faiss.IndexFlatIP(vectors.shape[1])
        self._vectors.add(vectors)
        self._words = Tantivy(passages)

    def search(self, query: str) -> list[tuple[int, float]]:
        """Numbers from 1 with fused scores, best first."""
        vector = self._embedder.encode_queries([query])
        dense = self._vectors.search(vector, DEPTH)[1][0] + 1
        return fuse([(1.0, dense.tolist()), (1.0, self._words.search(query))], 60)[:K]


def found_of_exact(
    index: VectorIndex, vectors: Vectors, queries: Vectors, share: float, chance: np.random.Generator
) -> tuple[float, float]:
    """The share of the exact ten nearest that the index finds among a share of the passages, and its median in ms."""
    count = len(vectors)
    allowed: Numbers = np.sort(chance.permutation(count)[: max(K, int(share * count))]) + 1
    found, taken = 0, []
    for query in queries:
        began = time.perf_counter()
        hits = index.search(query, K, None if share == 1.0 else allowed, lambda wanted: vectors[np.asarray(wanted) - 1])
        taken.append(1000 * (time.perf_counter() - began))
        cosines = vectors[allowed - 1] @ query
        least = np.partition(cosines, -K)[-K]
        # Any of equal ones will do.
        found += sum(vectors[number - 1] @ query >= least - 1e-5 for number, _ in hits)
    return found / (K * len(queries)), median(taken)


def compare(count: int, embedder: Embedder, real: int, rounds: int, kind: str) -> Comparison:
    """Both on `count` passages, query by query."""
    chance = np.random.default_rng(SEED)
    passages = texts(count, chance)
    asked = questions(passages, chance)[:rounds]
    vectors = vectors_of(passages, embedder, real, chance)
    settings = RetrievalConfig.model_validate({"vector_index": kind})
    with tempfile.TemporaryDirectory() as home, Index.open(Path(home) / "index", embedder, settings) as index:
        for first in range(0, count, AT_ONCE):
            commit(index, first, passages[first : first + AT_ONCE], vectors[first : first + AT_ONCE])
        index.rebuild()
        bare = Bare(passages, vectors, embedder)
        results: list[SearchResult] = []
        for query in asked[:20]:
            index.search(query, K)
            bare.search(query)
        remaining = [iter(asked), iter(asked)]

        def ours() -> float:
            began = time.perf_counter()
            results.append(index.search(next(remaining[0]), K))
            return 1000 * (time.perf_counter() - began)

        def rival() -> float:
            began = time.perf_counter()
            bare.search(next(remaining[1]))
            return 1000 * (time.perf_counter() - began)

        pairs = in_turns(len(asked), ours, rival)
        details = {
            f"{step}, median ms": round(median(result.timings_ms[step] for result in results), 2)
            for step in results[0].timings_ms
        }
        derived = index._derived.vectors
        queries = embedder.encode_queries(asked[:QUERIES_FOR_RECALL])
        for share in SHARES:
            recall, taken = found_of_exact(derived, vectors, queries, share, chance)
            details[f"recall@10 among {100 * share:g} % ({derived.kind})"] = f"{recall:.4f}, {taken:.2f} ms"
    return Comparison(f"search in {count:,} passages", "Index.search", "the bare steps", "ms", pairs, details)


def main() -> None:
    parser = arguments("searching", "Searches as an index grows, beside the bare steps.", 200)
    parser.add_argument("--passages", type=int, nargs="+", default=[1_500, 20_000], help="sizes (default: %(default)s)")
    parser.add_argument("--real", type=int, default=20_000, help="passages embedded at most (default: %(default)s)")
    parser.add_argument("--kind", default="auto", help="retrieval.vector_index (default: %(default)s)")
    options = parser.parse_args()
    before, embedder = machine(), load_embedder()
    found = [compare(size, embedder, options.real, options.repetitions, options.kind) for size in options.passages]
    report("searching", before, found, options.json)


if __name__ == "__main__":
    main()
