"""An index: documents in, passages out. The one class that others use."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from retrieval import history, rows
from retrieval.addresses import Allowed
from retrieval.commits import Change, apply, collect
from retrieval.copies import backup
from retrieval.derived import Derived
from retrieval.documents import Document, document_digest
from retrieval.embedder import Embedder, Vectors
from retrieval.folders import scan
from retrieval.languages import LanguageRules
from retrieval.milvus_vectors import holder_for
from retrieval.passages import Splitter
from retrieval.prepare import Progress, checked_documents, prepare
from retrieval.purge import Purger
from retrieval.requests import Options, Request
from retrieval.results import Commit, DocumentInfo, Failure, Hit, IndexStats, SearchResult, with_warnings
from retrieval.rules import Rules
from retrieval.search import Searcher
from retrieval.stats import check_embedder, read_stats
from retrieval.store import DATABASE_NAME, REPLACED, IndexCorrupt, Store
from retrieval.switch import settle, sweep
from retrieval.sync import Planner
from retrieval.visible import Places, hidden_documents, may_see
from tandem.errors import ConfigError, NotFound, TandemError, UserError
from tandem.settings import DocumentRule, RetrievalConfig

__all__ = [
    "DATABASE_NAME",
    "Commit",
    "DocumentInfo",
    "Failure",
    "Hit",
    "Index",
    "IndexCorrupt",
    "IndexStats",
    "SearchResult",
]


class Index:
    """The index in one folder; safe from several threads and processes, of which one writes at a time.

    Every change is one commit, wholly there or not at all, and has a number, its snapshot.
    Open one with `Index.open`, close it with `close` or as a context manager.
    """

    def __init__(self, folder: Path, embedder: Embedder, settings: RetrievalConfig) -> None:
        self.folder = folder
        self._embedder = embedder
        self._settings = settings
        self._splitter = Splitter(embedder, settings)
        self._rules = LanguageRules(embedder, settings)
        self._store = Store(folder / DATABASE_NAME)
        holder = holder_for(self._store, folder, embedder, settings)
        self._derived = Derived(folder, embedder, holder, settings.lexical_language)
        self._purger = Purger(self._store, self._derived, folder, watches=holder.watches)
        self._searcher = Searcher(self._store, self._derived, embedder, settings)
        self._closing = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, folder: Path, embedder: Embedder, settings: RetrievalConfig) -> Self:
        """Open the index in `folder`, making it when there is none.

        Raises ConfigError (`embedder_mismatch`) where it was made with another embedder, and
        IndexCorrupt where its database is damaged. Other settings for passages are taken: the
        documents are cut anew at the next `sync`.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The folder {folder} cannot be made: {error.strerror}.") from error
        index = cls(folder, embedder, settings)
        try:
            sweep(folder)
            settle(folder, index._store)
            check_embedder(index._store, embedder)
            with index._store.reading() as connection:
                index._derived.open(connection)
            index._derived.save(index._store)
            index._purger.wake()
        except BaseException:
            index._derived.close()
            index._store.close()
            raise
        return index

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Save what is derived and let go of the files; a second call does nothing."""
        with self._closing:
            if not self._closed:
                self._closed = True
                try:
                    with _unless_replaced():
                        with self._store.reading() as connection:
                            self._derived.catch_up(connection)
                        self._derived.save(self._store, always=True)
                finally:
                    self._purger.close()
                    self._derived.close()
                    self._store.close()

    @property
    def snapshot(self) -> int:
        """Number of the newest commit, of this or another process; 0 before the first."""
        with self._store.reading() as connection:
            return rows.current_state(connection).snapshot

    def add(self, documents: Sequence[Document]) -> Commit:
        """Add documents, or replace those whose ids are there already; equal ones are left alone.

        What cannot be indexed is reported in `failed` and does not stop the rest.
        """
        taken, failed = checked_documents(documents)
        with self._store.reading() as connection:
            known = rows.known_documents(connection, list(taken))
        unchanged: list[Document] = []
        changed: list[Document] = []
        for document in taken.values():
            old = known.get(document.id)
            same = old is not None and (old.digest, old.cut) == (document_digest(document), self._splitter.key)
            (unchanged if same else changed).append(document)
        write = prepare(
            [(document, None) for document in changed],
            self._embedder,
            self._splitter,
            self._vectors_of([document.id for document in changed]),
        )
        names = [document.id for document in unchanged]
        return self._commit(
            Change(write=write, unchanged=names, failed=failed, restores=True, keep=self._settings.keep_snapshots)
        )

    def sync(
        self,
        paths: Sequence[Path],
        progress: Progress | None = None,
        *,
        replace: bool = False,
        rules: Sequence[DocumentRule] = (),
    ) -> Commit:
        """Make the index agree with files and folders; only what changed is parsed and embedded.

        Documents that came from these folders and are gone there are removed; those deleted by
        `delete` stay deleted. One commit in all. Raises UserError for a path that does not exist.

        With `replace` the index holds these documents and no others afterwards: what came from
        elsewhere or was given to `add` is removed too. Raises UserError, and changes nothing, unless
        each path has a document and every folder can be listed. What is added meanwhile stays.

        `rules` are a domain's `document_rules`; those that match no file are among the warnings. A file
        `*.urls` lists addresses of the web, which are fetched where `retrieval.allow_urls` allows it.
        """
        allowed = Allowed(self._settings.allow_urls)
        plan = Planner(self._store, scan(paths), self._splitter.key, replace, Rules(rules), allowed).plan(progress)
        known = self._vectors_of([*(document.id for document, _ in plan.write), *plan.remove])
        write = prepare(plan.write, self._embedder, self._splitter, known, progress)
        keep = self._settings.keep_snapshots
        commit = self._commit(Change(write, plan.remove, plan.sources, plan.unchanged, plan.failed, keep=keep))
        return with_warnings(commit, plan.warnings)

    def delete(self, ids: Sequence[str]) -> Commit:
        """Delete documents for good: `sync` does not bring them back, only `add` does.

        No search finds them once this returns; within a minute their bytes have left the files, too
        (`stats().unpurged` is 0 then).

        Raises NotFound, and deletes nothing, unless all are there.
        """
        wanted = list(dict.fromkeys(ids))
        with self._store.reading() as connection:
            _require(connection, wanted)
        return self._commit(Change(remove=wanted, by_name=True, keep=self._settings.keep_snapshots))

    def collect(self, keep: int = 0) -> int:
        """Let go of all but `keep` older snapshots, and purge what that frees; returns how many documents' texts.

        Commits do this by themselves, to `retrieval.keep_snapshots`. Raises UserError for a negative `keep`.
        """
        if keep < 0:
            raise UserError(f"keep is {keep}; it has to be 0 or more.", code="invalid_keep")
        with self._store.writing() as connection:
            collected = collect(connection, max(0, rows.current_state(connection).snapshot - keep))
        if not self._purger.purge():
            self._purger.wake()
        return collected

    def search(
        self,
        query: str,
        k: int | None = None,
        filter: Mapping[str, Any] | None = None,
        *,
        principals: frozenset[str] | None = None,
        snapshot: int | None = None,
        options: Options | None = None,
    ) -> SearchResult:
        """The `k` best passages (the setting, if None) among those that `filter` allows, best first.

        `filter` compares metadata: `{"product": "kestrel", "language": ["en", "es"]}`, a list for
        any of its values; `document` and `document_prefix` compare the id. `principals` names a user
        and its groups: documents that none of them may see are as if they were not there (None: the
        operator, who sees all). `snapshot` searches as of an older state, less what was deleted by
        name since, and with the permissions of now. Raises UserError for an empty query, a bad `k`,
        filter or option, Conflict (`empty_index`) where nothing is indexed, and NotFound
        (`unknown_snapshot`) or Conflict (`collected_snapshot`) for a snapshot that is not kept.
        """
        request = Request.checked(
            query, k, filter, self._settings, principals=principals, snapshot=snapshot, options=options
        )
        return self._searcher.search(request)

    def search_all(self, queries: Sequence[str], k: int | None = None) -> Iterator[SearchResult]:
        """`search` for each query, in order; quicker for many, since they are embedded together."""
        return self._searcher.search_all([Request.checked(query, k, None, self._settings) for query in queries])

    def documents(self, *, principals: frozenset[str] | None = None, snapshot: int | None = None) -> list[DocumentInfo]:
        """All documents that one of `principals` may see (None: the operator), in the order of their ids.

        `snapshot` as in `search`.
        """
        with self._store.reading(snapshot) as connection:
            if snapshot is None:
                # Read for its checks, which the newest state has: a damaged row would be counted to another document.
                Places.read(connection)
            return rows.document_infos(connection, set(hidden_documents(connection, principals).tolist()))

    def document(
        self, document_id: str, *, principals: frozenset[str] | None = None, snapshot: int | None = None
    ) -> Document:
        """One document with its text, in which the offsets of hits count.

        With the `snapshot` that a search named, its hits and citations can be shown although the
        document was replaced since. Raises NotFound, also where none of `principals` may see it
        (None: the operator).
        """
        with self._store.reading(snapshot) as connection:
            document = rows.read_document(connection, document_id)
            if principals is not None and not may_see(connection, document_id, principals):
                raise rows.missing(document_id)
        return document

    def rebuild(self) -> None:
        """Make everything derived anew from the database, and save it."""
        self._derived.rebuild(self._store)

    def backup(self, file: Path) -> int:
        """Write the newest snapshot to `file`, durably, while others search and write; returns its number.

        What a kill leaves of it has another name. Raises ConfigError where the file cannot be written.
        """
        return backup(self._store, file)

    def stats(self) -> IndexStats:
        """Sizes, and what the index was made with."""
        return read_stats(self._store, self.folder, self._embedder, self._settings)

    def _commit(self, change: Change) -> Commit:
        with self._store.writing() as connection:
            if change.by_name:
                _require(connection, change.remove)
            commit = apply(connection, change)
        commit = with_warnings(commit, self._unread_languages(change))
        # The commit is made: what took the place of this index since has it, or was meant to be without it.
        with _unless_replaced():
            with self._store.reading() as connection:
                self._derived.catch_up(connection)
            self._derived.save(self._store)
        if commit.removed or commit.replaced:
            self._purger.wake()
        return commit

    def _unread_languages(self, change: Change) -> list[str]:
        """A sentence on the written documents' languages that the embedder does not read."""
        written = {prepared.document.language for prepared in change.write}
        unread = sorted(language for language in written if not self._rules.reads(language))
        return [self._rules.warning(unread)] if unread else []

    def _vectors_of(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """Vectors that the index has of the documents `ids` as they are now, by the text embedded."""
        vectors: dict[str, Vectors] = {}
        with self._store.reading() as connection:
            for number in rows.document_numbers(connection, ids).values():
                for row in rows.passages_of_document(connection, number):
                    vectors[row.passage.searchable] = row.vector
        return vectors


@contextlib.contextmanager
def _unless_replaced() -> Iterator[None]:
    """Skip the rest of the body where the index was replaced or closed: nothing derived of it is to be kept."""
    try:
        yield
    except TandemError as error:
        if error.code not in REPLACED:
            raise


def _require(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    found = rows.document_numbers(connection, ids).keys() | history.held(connection, ids)
    missing = [name for name in ids if name not in found]
    if missing:
        more = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
        raise NotFound(f"There is no document {missing[0]!r}{more} in the index.", ids=missing)
