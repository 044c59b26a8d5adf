"""The slow part of a commit, done before it and outside every lock: cutting and embedding."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from retrieval.documents import Document, UnreadableDocument, checked, document_digest
from retrieval.embedder import Embedder, Vectors
from retrieval.passages import Passage, Splitter
from retrieval.results import Failure

Progress = Callable[[str, int, int], None]
"""Called with the step (`read`, `embed`), how much of it is done, and how much there is."""

EMBED_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Source:
    """The file a document came from: the folder that was synced, the file, and a digest of its bytes."""

    root: str
    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document with its passages and their vectors, shape (len(passages), dimension)."""

    document: Document
    digest: str
    cut: str
    passages: list[Passage]
    vectors: Vectors
    source: Source | None


def checked_documents(documents: Sequence[Document]) -> tuple[dict[str, Document], list[Failure]]:
    """Documents by id as the index will keep them, and those it cannot keep."""
    taken: dict[str, Document] = {}
    failed: list[Failure] = []
    for document in documents:
        try:
            if document.id in taken:
                raise UnreadableDocument("Another document of the same call has this id and was taken instead.")
            taken[document.id] = checked(document)
        except UnreadableDocument as error:
            failed.append(Failure(str(document.id), error.message))
    return taken, failed


def prepare(
    documents: Sequence[tuple[Document, Source | None]],
    embedder: Embedder,
    splitter: Splitter,
    known_vectors: Mapping[str, Vectors],
    progress: Progress | None = None,
) -> list[Prepared]:
    """Cut and embed `documents`; texts among `known_vectors` are not embedded again."""
    cuts = [splitter.split(document) for document, _ in documents]
    texts = dict.fromkeys(passage.searchable for passages in cuts for passage in passages)
    vectors = {text: known_vectors[text] for text in texts if text in known_vectors}
    vectors |= _embed([text for text in texts if text not in vectors], embedder, progress)
    return [
        Prepared(
            document,
            document_digest(document),
            splitter.key,
            passages,
            np.stack([vectors[passage.searchable] for passage in passages]),
            source,
        )
        for (document, source), passages in zip(documents, cuts, strict=True)
    ]


def _embed(texts: list[str], embedder: Embedder, progress: Progress | None) -> dict[str, Vectors]:
    # Of similar length together, so that little of each batch is padding.
    texts.sort(key=len)
    vectors: dict[str, Vectors] = {}
    for first in range(0, len(texts), EMBED_AT_ONCE):
        batch = texts[first : first + EMBED_AT_ONCE]
        vectors.update(zip(batch, embedder.encode(batch), strict=True))
        if progress:
            progress("embed", len(vectors), len(texts))
    return vectors
