"""A search, whole: embed, filter, search both ways, fuse, read."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from retrieval import rows
from retrieval.derived import Derived
from retrieval.documents import clean_text
from retrieval.embedder import Embedder, Vectors
from retrieval.filters import Filter
from retrieval.fusion import fuse
from retrieval.results import Hit, SearchResult
from retrieval.store import Store
from tandem.errors import Conflict, TooLarge, UserError
from tandem.settings import RetrievalConfig

MAX_K: Final = 1_000
MAX_QUERY_CHARACTERS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Request:
    """A checked search."""

    query: str
    k: int
    filter: Filter | None

    @classmethod
    def checked(cls, query: str, k: int, filter: Mapping[str, Any] | None) -> "Request":
        """Raises UserError for an empty or too long query, a `k` that is no count, or a bad filter."""
        cleaned = clean_text(query).strip() if isinstance(query, str) else ""
        if not cleaned:
            raise UserError("The query is empty.", code="empty_query")
        if len(cleaned) > MAX_QUERY_CHARACTERS:
            raise TooLarge(f"The query has {len(cleaned):,} characters; the limit is {MAX_QUERY_CHARACTERS:,}.")
        if not isinstance(k, int) or isinstance(k, bool) or not 1 <= k <= MAX_K:
            raise UserError(f"k is {k!r}; it has to be a whole number from 1 to {MAX_K:,}.", code="invalid_k")
        return cls(cleaned, k, Filter.checked(filter))


class Searcher:
    """Searches one index; safe from several threads, during commits of this or another process."""

    def __init__(self, store: Store, derived: Derived, embedder: Embedder, settings: RetrievalConfig) -> None:
        self._store = store
        self._derived = derived
        self._embedder = embedder
        self._settings = settings

    def search(self, request: Request) -> SearchResult:
        """The best passages of the newest snapshot; raises Conflict where there is no document at all."""
        clock = Clock()
        with clock.step("embed"):
            vector = self._embedder.encode_queries([request.query])[0]
        return self._search(request, vector, clock)

    def search_all(self, requests: Sequence[Request]) -> Iterator[SearchResult]:
        """`search` for each of many requests, whose queries are embedded together: it takes under half the time."""
        vectors = self._embedder.encode_queries([request.query for request in requests])
        for request, vector in zip(requests, vectors, strict=True):
            yield self._search(request, vector, Clock())

    def _search(self, request: Request, vector: Vectors, clock: "Clock") -> SearchResult:
        while True:
            with self._store.reading() as connection:
                with clock.step("read"):
                    state = rows.current_state(connection)
                    self._derived.catch_up(connection)
                if not state.passages:
                    raise Conflict("The index holds no documents yet; add some first.", code="empty_index")
                ranked = self._rank(connection, request, vector, state.snapshot, clock)
                # None: the derived indexes went on to a newer snapshot than this transaction sees.
                if ranked is not None:
                    with clock.step("read"):
                        hits = _read(connection, ranked, vector)
                    return SearchResult(state.snapshot, hits, clock.milliseconds)

    def _rank(
        self, connection: sqlite3.Connection, request: Request, vector: Vectors, snapshot: int, clock: "Clock"
    ) -> list[tuple[int, float]] | None:
        """The best `k` passage numbers with fused scores."""
        settings = self._settings
        depth = max(settings.depth, request.k)
        with clock.step("filter"):
            allowed = request.filter.allowed(connection) if request.filter else None
        with self._derived.reading():
            if self._derived.snapshot != snapshot:
                return None
            with clock.step("dense"):
                dense = self._derived.vectors.search(vector, depth, allowed) if settings.dense_weight else []
            with clock.step("lexical"):
                lexical = self._derived.lexical.search(request.query, depth, allowed) if settings.lexical_weight else []
        with clock.step("fuse"):
            weighted = [
                (settings.dense_weight, [number for number, _ in dense]),
                (settings.lexical_weight, [number for number, _ in lexical]),
            ]
            return fuse(weighted, settings.rrf_k)[: request.k]


class Clock:
    """Adds up the milliseconds of named steps."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = dict.fromkeys(
            ("embed", "filter", "dense", "lexical", "fuse", "read"), 0.0
        )

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time the body under `name`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.milliseconds[name] += (time.perf_counter() - began) * 1000


def _read(connection: sqlite3.Connection, ranked: list[tuple[int, float]], vector: Vectors) -> list[Hit]:
    """The hits in order, each with its exact cosine to the query."""
    found = rows.read_passages(connection, [number for number, _ in ranked])
    hits = []
    for number, score in ranked:
        row, document, title, metadata = found[number]
        passage = row.passage
        hits.append(
            Hit(
                document=document,
                passage=f"{document}#{row.position}",
                title=title,
                score=score,
                start=passage.start,
                end=passage.end,
                text=passage.text,
                metadata=metadata,
                section=passage.section,
                similarity=float(np.dot(row.vector, vector)),
            )
        )
    return hits
