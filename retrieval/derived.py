"""The indexes that are searched: made from SQLite, kept at one of its snapshots, never the truth.

`vectors.faiss` spares reading every vector from SQLite at opening. It is used only if it belongs
to this database and embedder and is whole; what was committed after it is added from SQLite.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from retrieval import rows
from retrieval.embedder import Embedder
from retrieval.lexical import LexicalIndex
from retrieval.locks import ReadWriteLock
from retrieval.rows import State, StoredPassage
from retrieval.store import IndexCorrupt
from retrieval.vectors import Stamp, VectorIndex
from tandem.files import locked, remove_leftovers, write_atomic

FILE_NAME: Final = "vectors.faiss"
# The file is written anew when this share of the passages changed since, so that its cost stays
# a fixed part of the commits'; and at closing.
SAVE_SHARE: Final = 0.1
# Removed passages still count in the lexical index's statistics until it is made anew.
STALE_SHARE: Final = 0.2

_logger = logging.getLogger(__name__)


class Derived:
    """Vector and lexical index of one snapshot; brought forward by `catch_up`."""

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._path = folder / FILE_NAME
        self._lock_path = folder / ".lock"
        self._embedder = embedder
        self._lock = ReadWriteLock()
        self._state = State(-1, "", 0, 0)
        self._changed_since_saved = 0
        self.vectors = VectorIndex(embedder.dimension)
        self.lexical = LexicalIndex()

    @property
    def snapshot(self) -> int:
        """The snapshot both indexes are at; −1 before the first `catch_up`."""
        return self._state.snapshot

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Keeps both indexes as they are for the time of a search."""
        with self._lock.reading():
            yield

    def open(self, connection: sqlite3.Connection) -> None:
        """Load or rebuild both indexes for the state that `connection` sees."""
        with locked(self._lock_path):
            remove_leftovers(self._path.parent)
        with self._lock.writing():
            saved = self._load(connection)
            if saved is None:
                self._rebuild(connection)
            else:
                self._forward(connection, saved, lexical_from=-1)

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """Bring both indexes to the state that `connection` sees, if that is newer."""
        if rows.current_state(connection).snapshot <= self.snapshot:
            return
        with self._lock.writing():
            if rows.current_state(connection).snapshot > self.snapshot:
                self._forward(connection, self.snapshot, lexical_from=self.snapshot)

    def save(self, *, always: bool = False) -> None:
        """Write `vectors.faiss` if enough has changed; a failure is logged, since nothing is lost by it."""
        with self._lock.reading():
            changed, state = self._changed_since_saved, self._state
            if not changed or not (always or changed >= SAVE_SHARE * len(self.vectors)):
                return
            stamp = Stamp(state.snapshot, state.token, self._embedder.digest, len(self.vectors))
            data = self.vectors.to_bytes(stamp)
            self._changed_since_saved = 0
        try:
            with locked(self._lock_path):
                write_atomic(self._path, data)
        except OSError as error:
            _logger.warning("%s could not be written (%s); it will be rebuilt at the next opening", self._path, error)

    def _load(self, connection: sqlite3.Connection) -> int | None:
        """Take the saved vectors; returns their snapshot, or None where they are of no use."""
        try:
            vectors, stamp = VectorIndex.from_bytes(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
            _logger.warning("%s is damaged (%s) and is rebuilt", self._path, error)
            return None
        fits = stamp.embedder_digest == self._embedder.digest and vectors.dimension == self._embedder.dimension
        if not fits or not rows.has_state(connection, stamp.snapshot, stamp.token):
            return None
        self.vectors = vectors
        return stamp.snapshot

    def _rebuild(self, connection: sqlite3.Connection) -> None:
        self.vectors = VectorIndex(self._embedder.dimension)
        self._apply(connection, -1, lexical_from=-1)
        self._check()

    def _forward(self, connection: sqlite3.Connection, vectors_from: int, lexical_from: int) -> None:
        """Apply what came after the given snapshots; rebuild if the counts then do not agree."""
        self._apply(connection, vectors_from, lexical_from)
        expected = self._state.passages
        if len(self.vectors) != expected or len(self.lexical) != expected:
            _logger.warning("derived indexes of %s do not match the database and are rebuilt", self._path.parent)
            self._rebuild(connection)

    def _apply(self, connection: sqlite3.Connection, vectors_from: int, lexical_from: int) -> None:
        state = rows.current_state(connection)
        removed = rows.removals_after(connection, vectors_from) if vectors_from >= 0 else []
        added = list(rows.passages_after(connection, vectors_from))
        self.vectors.remove(removed)
        self.vectors.add([row.number for row in added], _stack(added, self._embedder.dimension))
        stale = self.lexical.deleted + len(removed) > STALE_SHARE * len(self.lexical)
        if lexical_from < 0 or (removed and stale):
            self.lexical = LexicalIndex()
            everything = added if vectors_from < 0 else rows.passages_after(connection, -1)
            self.lexical.update([], ((row.number, row.passage.searchable) for row in everything))
        else:
            self.lexical.update(removed, [(row.number, row.passage.searchable) for row in added])
        self._changed_since_saved += len(removed) + len(added)
        self._state = state

    def _check(self) -> None:
        expected = self._state.passages
        if len(self.vectors) != expected or len(self.lexical) != expected:
            raise IndexCorrupt(
                f"The index {self._path.parent} records {expected} passages but holds {len(self.vectors)};"
                " restore a backup, or delete the folder and index the documents again."
            )


def _stack(added: list[StoredPassage], dimension: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Vectors of the rows, shape (len(added), dimension)."""
    for row in added:
        if row.vector.shape != (dimension,):
            raise IndexCorrupt(f"The stored passage {row.number} has a vector of another length than the embedder's.")
    return np.stack([row.vector for row in added]) if added else np.zeros((0, dimension), np.float32)
