"""Another embedder for an index: a new one is built beside the old, which is searched meanwhile, and replaces it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retrieval import history, milvus_collections, rows
from retrieval.commits import Change, apply
from retrieval.embedder import Embedder
from retrieval.passages import Splitter
from retrieval.prepare import Prepared, Progress, Source, prepare
from retrieval.rows import Known
from retrieval.store import DATABASE_NAME, Store, insert_snapshot
from retrieval.switch import job_lock, staging, switch
from tandem.errors import NotFound
from tandem.files import locked
from tandem.settings import RetrievalConfig

# Documents that are cut and embedded at once; a kill loses the whole new index anyway, so this is for memory only.
AT_ONCE: Final = 200
# Rounds in which what was written meanwhile is taken over, before writers are held up for the last of it.
ROUNDS: Final = 5
FEW: Final = 20


@dataclass(frozen=True, slots=True)
class Reembedded:
    """The new index; `previous` names the embedder before it. Where that was this one, nothing was done."""

    snapshot: int
    documents: int
    passages: int
    embedder: str
    previous: str
    changed: bool


def reembed(
    folder: Path, embedder: Embedder, settings: RetrievalConfig, progress: Progress | None = None
) -> Reembedded:
    """Build the index in `folder` anew for `embedder`, and switch; a kill leaves the old one or the new one.

    Documents, their origins and the deletions by name are taken over, and what is committed meanwhile, too. Older
    snapshots are not: their vectors are the old embedder's. Raises NotFound where there is no index.
    """
    if not (folder / DATABASE_NAME).exists():
        raise NotFound(f"There is no index in {folder} to embed anew.", code="no_index")
    with locked(job_lock(folder)):
        old = Store(folder / DATABASE_NAME)
        try:
            with old.reading() as connection:
                meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
                state = rows.current_state(connection)
            previous = meta.get("embedder", embedder.name)
            if meta.get("embedder_digest") == embedder.digest:
                return Reembedded(state.snapshot, state.documents, state.passages, embedder.name, previous, False)
            next_folder = staging(folder)
            new = Store(next_folder / DATABASE_NAME)
            try:
                state = _Builder(old, new, embedder, settings, progress).build()
            finally:
                new.close()
            try:
                switch(next_folder, folder)
            except BaseException:
                if next_folder.exists():
                    old.mark_replaced(False)
                raise
        finally:
            old.close()
    return Reembedded(state.snapshot, state.documents, state.passages, embedder.name, previous, True)


class _Builder:
    def __init__(
        self, old: Store, new: Store, embedder: Embedder, settings: RetrievalConfig, progress: Progress | None
    ) -> None:
        self._old, self._new, self._embedder, self._progress = old, new, embedder, progress
        self._splitter = Splitter(embedder, settings)

    def build(self) -> rows.State:
        """Fill the new store; when this returns, the old one is marked as replaced."""
        with self._old.reading() as connection, self._new.writing() as fresh:
            values = [("embedder", self._embedder.name), ("embedder_digest", self._embedder.digest)]
            fresh.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", values)
            # Numbers go on, so that no client sees an older snapshot after a newer one.
            snapshot = rows.current_state(connection).snapshot
            if snapshot:
                insert_snapshot(fresh, snapshot)
        for _ in range(ROUNDS):
            if self._round() <= FEW:
                break
        self._old.mark_replaced(True)
        try:
            self._round()
            return self._finish()
        except BaseException:
            self._old.mark_replaced(False)
            raise

    def _round(self) -> int:
        """Take over what differs; returns how many documents did."""
        with self._old.copying() as connection:
            connection.execute("BEGIN")
            theirs = rows.known_documents(connection)
            with self._new.reading() as fresh:
                mine = rows.known_documents(fresh)
            gone = [name for name in mine if name not in theirs]
            differing = [name for name, known in theirs.items() if _content(mine.get(name)) != _content(known)]
            if gone:
                self._apply(Change(remove=gone, by_name=True))
            for first in range(0, len(differing), AT_ONCE):
                write = self._prepared(connection, differing[first : first + AT_ONCE], theirs)
                self._apply(Change(write=write, restores=True))
                if self._progress:
                    self._progress("embed", min(first + AT_ONCE, len(differing)), len(differing))
            return len(gone) + len(differing)

    def _prepared(
        self, connection: sqlite3.Connection, names: Sequence[str], theirs: dict[str, Known]
    ) -> list[Prepared]:
        documents = [(rows.read_document(connection, name), _source(theirs[name])) for name in names]
        return prepare(documents, self._embedder, self._splitter, {})

    def _apply(self, change: Change) -> None:
        with self._new.writing() as connection:
            apply(connection, change)

    def _finish(self) -> rows.State:
        with self._old.copying() as connection:
            deletions = connection.execute("SELECT id, time FROM deletions").fetchall()
            erasures = connection.execute("SELECT id, time FROM erasures").fetchall()
            collections = milvus_collections.held(connection)
        with self._new.writing() as connection:
            state = rows.current_state(connection)
            connection.executemany(
                "INSERT OR REPLACE INTO deletions (id, snapshot, time) VALUES (?, ?, ?)",
                [(name, state.snapshot, time) for name, time in deletions],
            )
            connection.executemany("INSERT OR IGNORE INTO erasures (id, time) VALUES (?, ?)", erasures)
            milvus_collections.take_over(connection, collections)
            history.collect(connection, state.snapshot)
        self._new.empty_log()
        return state


def _content(known: Known | None) -> tuple[str | None, ...] | None:
    return None if known is None else (known.digest, known.root, known.path, known.content)


def _source(known: Known) -> Source | None:
    if known.root is None or known.path is None or known.content is None:
        return None
    return Source(known.root, known.path, known.content)
