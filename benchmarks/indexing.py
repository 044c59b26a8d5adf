"""Passages indexed in a second, beside bare `SentenceTransformer.encode` over the same passages.

`python -m benchmarks.indexing`. Both embed the sample domain's passages with the same MiniLM, in the same process and
threads. Ours also cuts the documents into passages, stores them durably, and makes the two searches ready; the rival
gets the passages ready-made, with its own defaults (float32). Parsing files is in neither. Where the processor
multiplies bfloat16, which our embedder then uses, there is a second rival in bfloat16, so that what the arithmetic
gains and what the index costs can be told apart.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.paired import Comparison, arguments, in_turns, machine, report
from retrieval.documents import Document
from retrieval.embedder import Embedder, Vectors, default_folder, fast_bfloat16, load_embedder
from retrieval.hash_embedder import HashEmbedder
from retrieval.index import Index
from tandem.demo import CONFIGURATION
from tandem.settings import RetrievalConfig

DOCUMENTS = 40


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
    folder = CONFIGURATION.with_name("documents")
    with (
        tempfile.TemporaryDirectory() as home,
        Index.open(Path(home) / "index", HashEmbedder(), RetrievalConfig()) as index,
    ):
        index.sync([folder])
        return [index.document(found.id) for found in index.documents()[:count]]


def index_seconds(documents: Sequence[Document], embedder: Embedder) -> float:
    """Wall seconds from no index to a closed one that holds `documents`."""
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        with Index.open(Path(home) / "index", embedder, RetrievalConfig()) as index:
            index.add(documents)
        return time.perf_counter() - began


def encode_seconds(model: Any, passages: list[str]) -> float:
    """Wall seconds of the rival."""
    began = time.perf_counter()
    model.encode(passages, show_progress_bar=False)
    return time.perf_counter() - began


def bare_models() -> dict[str, Any]:
    """The rivals by name: MiniLM as the library loads it, and in our arithmetic where that is another."""
    import torch
    from sentence_transformers import SentenceTransformer

    folder = str(default_folder())
    models = {"encode, defaults": SentenceTransformer(folder, local_files_only=True)}
    if fast_bfloat16(models["encode, defaults"].device.type):
        options = {"dtype": torch.bfloat16}
        models["encode, bfloat16"] = SentenceTransformer(folder, local_files_only=True, model_kwargs=options)
    return models


def measure(documents: Sequence[Document], embedder: Embedder, rivals: dict[str, Any], rounds: int) -> list[Comparison]:
    """Index and encode in turns, after one turn of each that is not counted."""
    recorder = Recorder(embedder)
    index_seconds(documents, recorder)
    passages = recorder.texts
    comparisons = []
    for name, model in rivals.items():
        encode_seconds(model, passages)
        seconds = in_turns(
            rounds, lambda: index_seconds(documents, embedder), lambda model=model: encode_seconds(model, passages)
        )
        values = [(len(passages) / ours, len(passages) / theirs) for ours, theirs in seconds]
        details = {"documents": len(documents), "passages": len(passages)}
        comparisons.append(
            Comparison(f"passages a second, beside {name}", "Index.add", name, "passages/s", values, details)
        )
    return comparisons


def main() -> None:
    parser = arguments("indexing", "Passages indexed in a second, beside bare SentenceTransformer.encode.", 5)
    parser.add_argument("--documents", type=int, default=DOCUMENTS, help="documents (default: %(default)s)")
    options = parser.parse_args()
    before, documents = machine(), sample_documents(options.documents)
    report("indexing", before, measure(documents, load_embedder(), bare_models(), options.repetitions), options.json)


if __name__ == "__main__":
    main()
