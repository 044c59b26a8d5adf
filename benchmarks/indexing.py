"""Passages indexed in a second, beside bare `SentenceTransformer.encode` over the same passages.

`python -m benchmarks.indexing`. Both embed the sample domain's passages with the same MiniLM, in the same process and
threads. Ours also cuts the documents into passages, stores them durably, and makes the two searches ready; the rival
gets the passages ready-made, with its own defaults (float32). Parsing files is in neither. The second rival is the
embedder of the index alone, so that what the embedder gains and what the index costs can be told apart. At last the
sample domain's folder is indexed, parsing and all, and indexed again unchanged.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.paired import Comparison, arguments, in_turns, machine, report
from retrieval.documents import Document
from retrieval.embedder import Embedder, Vectors, default_folder, load_embedder
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from tandem.demo import CONFIGURATION
from tandem.settings import RetrievalConfig

DOCUMENTS = 40
FOLDER = CONFIGURATION.with_name("documents")
Encode = Callable[[list[str]], Any]


class Recorder:
    """An embedder that keeps the passages that it was asked to embed."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.texts: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As the embedder's."""
        self.texts += texts
        return self._embedder.encode(texts)


def sample_documents(count: int) -> list[Document]:
    """The first `count` documents of the sample domain, parsed."""
    with (
        tempfile.TemporaryDirectory() as home,
        Index.open(Path(home) / "index", HashEmbedder(), RetrievalConfig()) as index,
    ):
        index.sync([FOLDER])
        return [index.document(found.id) for found in index.documents()[:count]]


def index_seconds(documents: Sequence[Document], embedder: Embedder) -> float:
    """Wall seconds from no index to a closed one that holds `documents`."""
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        with Index.open(Path(home) / "index", embedder, RetrievalConfig()) as index:
            index.add(documents)
        return time.perf_counter() - began


def encode_seconds(encode: Encode, passages: list[str]) -> float:
    """Wall seconds of the rival."""
    began = time.perf_counter()
    encode(passages)
    return time.perf_counter() - began


def bare(embedder: Embedder) -> dict[str, Encode]:
    """The rivals by name: MiniLM as the library loads it, and the embedder that the index is made with."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(default_folder()), local_files_only=True)
    return {
        "encode, defaults": partial(model.encode, show_progress_bar=False),
        "the embedder alone": embedder.encode,
    }


def measure(
    documents: Sequence[Document], embedder: Embedder, rivals: dict[str, Encode], rounds: int
) -> list[Comparison]:
    """Index and encode in turns, after one turn of each that is not counted."""
    recorder = Recorder(embedder)
    index_seconds(documents, recorder)
    passages = recorder.texts
    comparisons = []
    for name, encode in rivals.items():
        encode_seconds(encode, passages)
        seconds = in_turns(
            rounds, lambda: index_seconds(documents, embedder), lambda encode=encode: encode_seconds(encode, passages)
        )
        values = [(len(passages) / ours, len(passages) / theirs) for ours, theirs in seconds]
        details = {"documents": len(documents), "passages": len(passages)}
        comparisons.append(
            Comparison(f"passages a second, beside {name}", "Index.add", name, "passages/s", values, details)
        )
    return comparisons


def measure_again(folder: Path, embedder: Embedder, rounds: int) -> Comparison:
    """Index the folder into an empty index, and then unchanged."""
    values = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as home, Index.open(Path(home), embedder, RetrievalConfig()) as index:
            began = time.perf_counter()
            commit = index.sync([folder])
            between = time.perf_counter()
            assert index.sync([folder]).unchanged == commit.added
            values.append((len(commit.added) / (time.perf_counter() - between), len(commit.added) / (between - began)))
    details = {"documents": len(commit.added)}
    return Comparison("documents of a folder a second", "unchanged", "the first time", "documents/s", values, details)


def main() -> None:
    parser = arguments("indexing", "Passages indexed in a second, beside bare SentenceTransformer.encode.", 5)
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="documents (default: %(default)s)")
    options = parser.parse_args()
    before, documents, embedder = machine(), sample_documents(options.documents), load_embedder()
    comparisons = measure(documents, embedder, bare(embedder), options.repetitions)
    comparisons.append(measure_again(FOLDER, embedder, options.repetitions))
    report("indexing", before, comparisons, options.json)


if __name__ == "__main__":
    main()
