"""From ranked passage numbers to hits: read, filtered by similarity, near-duplicates folded, neighbours added."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from retrieval import rows
from retrieval.documents import Document
from retrieval.embedder import Vectors
from retrieval.passages import pages_of
from retrieval.requests import Request
from retrieval.results import Hit
from retrieval.rows import ShownDocument, StoredPassage
from retrieval.visible import check_shown


def read_hits(
    connection: sqlite3.Connection,
    ranked: Sequence[tuple[int, float]],
    vector: Vectors,
    request: Request,
    least: float | None,
    rerank_scores: dict[int, float],
) -> list[Hit]:
    """The best `request.k` hits of `ranked`, each with its exact cosine to the query `vector`.

    `least` is the least cosine, None for any. Rows are read as far as they are needed.
    """
    hits: list[Hit] = []
    vectors: list[Vectors] = []
    for first in range(0, len(ranked), request.k):
        part = ranked[first : first + request.k]
        found = rows.read_passages(connection, [number for number, _ in part])
        check_shown(connection, (document for _, document in found.values()), request.filter, request.principals)
        for number, score in part:
            if len(hits) == request.k:
                return hits
            hit = _hit(*found[number], score, vector, rerank_scores.get(number))
            if least is not None and hit.similarity < least:
                continue
            own = found[number][0].vector
            same = _first_like(own, vectors, request.options.collapse)
            if same is None:
                hits.append(hit)
                vectors.append(own)
            else:
                hits[same].collapsed.append(hit.passage)
    return hits


def with_neighbours(connection: sqlite3.Connection, hits: Sequence[Hit], window: int) -> list[Hit]:
    """`hits` with the text of the `window` passages before and after each, as it stands in the document."""
    documents: dict[str, Document] = {}
    spans: dict[str, list[tuple[int, int]]] = {}
    widened = []
    for hit in hits:
        name = hit.document
        if name not in documents:
            documents[name] = rows.read_document(connection, name)
            number = rows.document_numbers(connection, [name])[name]
            spans[name] = [
                (row.passage.start, row.passage.end) for row in rows.passages_of_document(connection, number)
            ]
        place = spans[name].index((hit.start, hit.end))
        around = spans[name][max(0, place - window) : place + window + 1]
        begin, end = min(start for start, _ in around), max(stop for _, stop in around)
        document = documents[name]
        _, breaks = pages_of(document.pages, begin, end)
        before, after = document.text[begin : hit.start], document.text[hit.end : end]
        widened.append(replace(hit, before=before, after=after, page_breaks=breaks))
    return widened


def _hit(row: StoredPassage, document: ShownDocument, score: float, vector: Vectors, rerank_score: float | None) -> Hit:
    passage = row.passage
    return Hit(
        document=document.id,
        passage=f"{document.id}#{row.position}",
        title=document.title,
        score=score,
        start=passage.start,
        end=passage.end,
        text=passage.text,
        metadata=document.metadata,
        section=passage.section,
        page=passage.page,
        page_breaks=passage.page_breaks,
        similarity=float(np.dot(row.vector, vector)),
        rerank_score=rerank_score,
    )


def _first_like(own: Vectors, vectors: Sequence[Vectors], threshold: float | None) -> int | None:
    """The place of the first of `vectors` whose cosine to `own` reaches the threshold."""
    if threshold is None or not vectors:
        return None
    # Equal texts have equal vectors, whose product may be a rounding short of 1.
    near = np.flatnonzero(np.stack(vectors) @ own >= threshold - 1e-6)
    return int(near[0]) if len(near) else None
