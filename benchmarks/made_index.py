"""An index filled with ready-made passages and vectors, for benchmarks that are not about embedding or parsing."""

from collections.abc import Sequence

from retrieval.commits import Change
from retrieval.documents import Document, document_digest
from retrieval.embedder import Vectors
from retrieval.index import Index
from retrieval.passages import Passage
from retrieval.prepare import Prepared

PASSAGES_OF_A_DOCUMENT = 10


def commit(index: Index, first: int, texts: Sequence[str], vectors: Vectors) -> None:
    """Add passages in one commit, in documents of ten named by the place of their first passage, from `first` on.

    `vectors` has shape (len(texts), dimension).
    """
    step = PASSAGES_OF_A_DOCUMENT
    prepared = [
        _prepared(f"d{first + place}", texts[place : place + step], vectors[place : place + step])
        for place in range(0, len(texts), step)
    ]
    index._commit(Change(write=prepared))


def _prepared(name: str, texts: Sequence[str], vectors: Vectors) -> Prepared:
    passages, start = [], 0
    for text in texts:
        passages.append(Passage(start, start + len(text), text, "", ""))
        start += len(text) + 2
    document = Document(name, name, "\n\n".join(texts))
    return Prepared(document, document_digest(document), "benchmark", passages, vectors, None)
