"""A search, whole: embed, decide what may be found, search both ways, fuse, rerank, read."""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from retrieval import rows
from retrieval.derived import Derived
from retrieval.embedder import Embedder, Vectors
from retrieval.fusion import fuse
from retrieval.hits import read_hits, with_neighbours
from retrieval.languages import DocumentLanguages, LanguageRules, Weights
from retrieval.milvus import Gone
from retrieval.past import Past
from retrieval.requests import Options, Request
from retrieval.reranker import Reranker, load_reranker
from retrieval.results import SearchResult
from retrieval.rows import State
from retrieval.store import Store
from retrieval.visible import VisibleCache
from tandem.errors import Conflict
from tandem.settings import RetrievalConfig

__all__ = ["Clock", "Options", "Request", "Searcher"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Numbers with fused scores, best first; `is_all` where a deeper search would find no others."""

    numbers: list[tuple[int, float]]
    is_all: bool


class Searcher:
    """Searches one index; safe from several threads, during commits of this or another process."""

    def __init__(
        self,
        store: Store,
        derived: Derived,
        embedder: Embedder,
        settings: RetrievalConfig,
        reranker: Reranker | None = None,
    ) -> None:
        self._store = store
        self._derived = derived
        self._embedder = embedder
        self._settings = settings
        self._visible = VisibleCache()
        self._document_languages = DocumentLanguages()
        self._rules = LanguageRules(embedder, settings)
        self._warned: set[str] = set()
        self._reranker = reranker or (load_reranker(settings.reranker) if settings.reranker is not None else None)

    def search(self, request: Request) -> SearchResult:
        """The best passages of the request's snapshot; raises Conflict where there is no document at all."""
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
        if request.snapshot is not None:
            return self._as_of(request, vector, clock, request.snapshot)
        while True:
            with self._store.reading() as connection:
                with clock.step("read"):
                    ready = self._derived.ready(connection, self._store)
                found = self._answer(connection, self._derived, request, vector, clock) if ready else None
            # Not ready: a large commit is being taken over, and the snapshot before it is searched meanwhile.
            # None: the derived indexes went on to a newer snapshot than this transaction sees.
            found = found or (None if ready else self._while_behind(request, vector, clock))
            if found:
                return found

    def _while_behind(self, request: Request, vector: Vectors, clock: "Clock") -> SearchResult | None:
        try:
            with self._store.reading(self._derived.snapshot) as connection:
                return self._answer(connection, self._derived, request, vector, clock)
        except Conflict as error:
            if error.code not in {"collected_snapshot", "empty_index"}:
                raise
            # There is nothing to search meanwhile: this search waits.
            with self._store.reading() as connection:
                self._derived.catch_up(connection)
            return None

    def _as_of(self, request: Request, vector: Vectors, clock: "Clock", snapshot: int) -> SearchResult:
        while True:
            with self._store.reading(snapshot) as connection:
                if not rows.current_state(connection).passages:
                    raise Conflict(f"Snapshot {snapshot} of the index holds no documents.", code="empty_index")
                with clock.step("read"):
                    past = self._derived.past(connection, snapshot)
                found = self._answer(connection, past, request, vector, clock)
            if found:
                return found

    def _answer(
        self, connection: sqlite3.Connection, source: Derived | Past, request: Request, vector: Vectors, clock: "Clock"
    ) -> SearchResult | None:
        """The result from the state that `connection` sees; None where `source` is of another one.

        Searches deeper as long as collapsed passages leave less than `k` hits and there are more.
        """
        state = rows.current_state(connection)
        if not state.passages:
            raise Conflict("The index holds no documents yet; add some first.", code="empty_index")
        language, weights = self._language(connection, request, state.snapshot)
        options, depth = request.options, max(self._settings.depth, request.k)
        # Where the embedder was not asked, its cosines say nothing.
        least = options.min_similarity if weights.dense else None
        while True:
            ranked = self._rank(connection, source, state, request, vector, (language, weights, depth), clock)
            if ranked is None:
                return None
            numbers, scores = self._reranked(connection, request, ranked.numbers, clock)
            with clock.step("read"):
                hits = read_hits(connection, numbers, vector, request, least, scores)
            if len(hits) >= request.k or ranked.is_all or options.collapse is None:
                break
            depth *= 4
        if options.neighbours:
            with clock.step("read"):
                hits = with_neighbours(connection, hits, options.neighbours)
        warnings = [weights.warning] if weights.warning else []
        return SearchResult(state.snapshot, hits, clock.milliseconds, language, warnings)

    def _language(self, connection: sqlite3.Connection, request: Request, snapshot: int) -> tuple[str, Weights]:
        language = request.options.language or ""
        if not language and self._rules.matter:
            documents = self._document_languages.get(connection, snapshot)
            language = self._rules.language_of(request.query, documents)
        weights = self._rules.weights(language)
        if weights.warning and language not in self._warned:
            self._warned.add(language)
            _logger.warning("%s", weights.warning)
        return language, weights

    def _rank(
        self,
        connection: sqlite3.Connection,
        source: Derived | Past,
        state: State,
        request: Request,
        vector: Vectors,
        how: tuple[str, Weights, int],
        clock: "Clock",
    ) -> Ranked | None:
        """Passages by fused score, as many as the depth from each search; None where the search has to begin again."""
        language, weights, depth = how
        with clock.step("filter"):
            visible = self._visible.get(connection, state, request.filter, request.principals)
        try:
            with source.reading():
                if source.snapshot != state.snapshot:
                    return None
                with clock.step("dense"):
                    exact = partial(rows.vectors_of, connection)
                    dense = source.vectors.search(vector, depth, visible.numbers, exact) if weights.dense else []
                with clock.step("lexical"):
                    view = visible.view(source.lexical)
                    lexical = view.search(request.query, depth, language=language) if weights.lexical else []
        except Gone:
            self._derived.renew(self._store)
            return None
        with clock.step("fuse"):
            weighted = [
                (weights.dense, [number for number, _ in dense]),
                (weights.lexical, [number for number, _ in lexical]),
            ]
            return Ranked(fuse(weighted, self._settings.rrf_k), len(dense) < depth and len(lexical) < depth)

    def _reranked(
        self, connection: sqlite3.Connection, request: Request, numbers: list[tuple[int, float]], clock: "Clock"
    ) -> tuple[list[tuple[int, float]], dict[int, float]]:
        """The first of `numbers` in the cross-encoder's order, the others behind them; and its scores."""
        if self._reranker is None or not numbers:
            return numbers, {}
        with clock.step("rerank"):
            depth = max(request.k, self._settings.rerank_depth)
            first, rest = numbers[:depth], numbers[depth:]
            found = rows.read_passages(connection, [number for number, _ in first])
            texts = [found[number][0].passage.searchable for number, _ in first]
            given = self._reranker.scores(request.query, texts)
            scores = {number: float(score) for (number, _), score in zip(first, given, strict=True)}
            # Equal scores leave the fused order.
            return [*sorted(first, key=lambda pair: -scores[pair[0]]), *rest], scores


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
            taken = (time.perf_counter() - began) * 1000
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + taken
