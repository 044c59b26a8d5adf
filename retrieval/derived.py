"""The indexes that are searched: made from SQLite, kept at one of its snapshots, never the truth.

Saved files spare reading every passage from SQLite at opening. They are used only if they belong
to this database and embedder and are whole; what was committed after them is added from SQLite.
"""

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from retrieval import rows, saved
from retrieval.embedder import Embedder, Vectors
from retrieval.holders import Held, Holder
from retrieval.lexical import Entry, LexicalIndex
from retrieval.locks import ReadWriteLock
from retrieval.past import Past, build, lexical_of, words_of
from retrieval.rows import State, StoredPassage
from retrieval.saved import Parts
from retrieval.store import IndexCorrupt, Store
from retrieval.vectors import Numbers, Stamp, VectorIndex
from tandem.errors import TandemError
from tandem.files import locked, remove_leftovers

FILE_NAME: Final = saved.VECTORS_NAME
# Passages up to which a change is made in place, which searches wait for; larger ones are made beside.
IN_PLACE: Final = 500
# How long a search waits for a change that another thread is making, before it uses the snapshot it has.
PATIENCE_SECONDS: Final = 0.05
PAST_KEPT: Final = 2

_logger = logging.getLogger(__name__)


class Derived:
    """Vector and lexical index of one snapshot; brought forward by `catch_up`."""

    def __init__(self, folder: Path, embedder: Embedder, holder: Holder[Any], lexical_language: str = "en") -> None:
        self._folder = folder
        self._lock_path = folder / ".lock"
        self._embedder = embedder
        self._holder = holder
        # Held by whoever changes the indexes; the other one only while searches must not look.
        self._changing = threading.Lock()
        self._lock = ReadWriteLock()
        self._catching_up = threading.Event()
        self._state = State(-1, "", 0, 0)
        self._changed_since_saved = 0
        self._saved_snapshot = -1
        self._past: dict[tuple[int, int], Past] = {}
        self._past_lock = threading.Lock()
        self.vectors: Held = VectorIndex(embedder.dimension)
        self.lexical = LexicalIndex(lexical_language)

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
            remove_leftovers(self._folder)
        with self._changing:
            if not self._load(connection) or rows.count_passages(connection) != self._state.passages:
                self._rebuild(connection)

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """Bring both indexes to the state that `connection` sees, if that is newer."""
        if rows.current_state(connection).snapshot > self.snapshot:
            with self._changing:
                if rows.current_state(connection).snapshot > self.snapshot:
                    self._forward(connection)

    def ready(self, connection: sqlite3.Connection, store: Store) -> bool:
        """`catch_up` for a search, which does not wait for much: False where it is to use the snapshot there is.

        A large change, as another process may have made it, is followed by a thread.
        """
        if rows.current_state(connection).snapshot <= self.snapshot:
            return True
        if not self._changing.acquire(timeout=PATIENCE_SECONDS):
            return False
        try:
            if rows.current_state(connection).snapshot <= self.snapshot:
                return True
            if rows.changes_after(connection, self.snapshot) <= IN_PLACE:
                self._forward(connection)
                return True
        finally:
            self._changing.release()
        if not self._catching_up.is_set():
            self._catching_up.set()
            threading.Thread(target=self._catch_up_beside, args=(store,), name="tandem-catch-up", daemon=True).start()
        return False

    def past(self, connection: sqlite3.Connection, snapshot: int) -> Past:
        """Indexes of the older `snapshot` that `connection` sees; the last few asked for are kept."""
        # A deletion by name reaches back, so what was built before it does not count.
        key = (snapshot, rows.last_erasure(connection))
        with self._past_lock:
            found = self._past.pop(key, None) or self._as_of(connection, snapshot)
            self._past = {**{other: self._past[other] for other in list(self._past)[1 - PAST_KEPT :]}, key: found}
            return found

    def _as_of(self, connection: sqlite3.Connection, snapshot: int) -> Past:
        """From what is searched now: it has most of what was there then, and only the rest is read."""
        with self._lock.reading():
            vectors, lexical = self.vectors, self.lexical.copied()
        numbers = rows.passage_numbers(connection)

        def entries(lacking: Numbers) -> Iterator[Entry]:
            return map(words_of, rows.passages_numbered(connection, lacking.tolist()))

        return Past(
            snapshot,
            vectors.holding(numbers, partial(rows.vectors_of, connection)),
            lexical.holding(numbers, entries),
        )

    def save(self, store: Store, *, always: bool = False) -> None:
        """Write the files if enough has changed; a failure is logged, since nothing is lost by it."""
        changed = self._changed_since_saved
        if not changed or not (always or self._holder.is_due(changed, self.vectors)):
            return
        with self._changing:
            state = self._state
            vectors = self._holder.kept(self.vectors, state)
            self._switch(vectors, self.lexical, state)
            stamp = Stamp(state.snapshot, state.token, self._embedder.digest, len(vectors))
            parts: Parts = {**self._holder.to_parts(vectors, stamp), saved.LEXICAL_NAME: [self.lexical.to_bytes(stamp)]}
            self._changed_since_saved = 0
            self._saved_snapshot = state.snapshot
        try:
            with locked(self._lock_path):
                # An older state than that of a deletion would bring deleted vectors back to the disk.
                with store.reading() as connection:
                    too_old = state.snapshot < rows.purged_snapshot(connection)
                if not too_old:
                    saved.write(self._folder, parts)
        except OSError as error:
            self._saved_snapshot = -1
            _logger.warning(
                "%s could not be written (%s); it is rebuilt at the next opening", self._folder / FILE_NAME, error
            )

    def forget(self, store: Store, snapshot: int) -> None:
        """See to it that no derived file is of a state before `snapshot`, nor a temporary file left behind."""
        with store.reading() as connection:
            self.catch_up(connection)
        with self._past_lock:
            self._past.clear()
        self.save(store, always=True)
        with self._changing, store.reading() as connection:
            if rows.current_state(connection).snapshot > self.snapshot:
                self._forward(connection)
            for vectors in self._holder.purge(connection, self.vectors, self._state):
                self._switch(vectors, self.lexical, self._state)
        with locked(self._lock_path):
            remove_leftovers(self._folder)
            if self._saved_snapshot < snapshot:
                saved.remove_before(self._folder, snapshot)

    def renew(self, store: Store) -> None:
        """Look anew where the vectors are, since a search found that they are not where they were."""
        with self._past_lock:
            self._past.clear()
        with self._changing, store.reading() as connection:
            if rows.current_state(connection).snapshot > self.snapshot:
                self._forward(connection)
            vectors = self._holder.renewed(connection, self.vectors)
            if vectors is None:
                self._rebuild(connection)
            else:
                self._switch(vectors, self.lexical, self._state)

    def close(self) -> None:
        """Let go of what holds the vectors."""
        self._holder.close()

    def rebuild(self, store: Store) -> None:
        """Make both indexes anew from the database, and save them."""
        with self._changing, store.reading() as connection:
            self._rebuild(connection)
        self.save(store, always=True)

    def _catch_up_beside(self, store: Store) -> None:
        try:
            with store.reading() as connection:
                self.catch_up(connection)
        except TandemError as error:
            _logger.warning("the indexes of %s could not follow the database yet: %s", self._folder, error)
        finally:
            self._catching_up.clear()

    def _load(self, connection: sqlite3.Connection) -> bool:
        """Take the saved indexes, and what came after them; False where they are of no use."""

        def fits(stamp: Stamp) -> bool:
            same = stamp.embedder_digest == self._embedder.digest
            return same and rows.has_state(connection, stamp.snapshot, stamp.token)

        loaded = self._holder.load(connection, fits)
        if loaded is None:
            return False
        self.vectors, since = loaded
        lexical = saved.load_lexical(self._folder, fits)
        if lexical is not None and lexical[0].language == self.lexical.language:
            self.lexical = lexical[0]
            self._apply(connection, since, words_since=lexical[1].snapshot)
        else:
            self._apply(connection, since, words_since=-1)
            self._changed_since_saved += len(self.vectors)
        return self._agrees()

    def _forward(self, connection: sqlite3.Connection) -> None:
        """Apply what came after the present snapshot; rebuild if the counts then do not agree."""
        self._apply(connection, self.snapshot)
        if not self._agrees():
            _logger.warning("derived indexes of %s do not match the database and are rebuilt", self._folder)
            self._rebuild(connection)

    def _apply(self, connection: sqlite3.Connection, since: int, words_since: int | None = None) -> None:
        """Take over what came after `since`; after `words_since` for the words, −1 to make them anew."""
        state = rows.current_state(connection)
        removed = rows.removals_after(connection, since)
        added = list(rows.passages_after(connection, since))
        matrix = _stack(added, self._embedder.dimension)
        vectors = self._holder.changed(self.vectors, state, removed, [row.number for row in added], matrix)
        changes = len(removed) + len(added)
        self._changed_since_saved += changes
        if words_since == -1:
            everything = rows.passages_after(connection, -1)
            self._switch(vectors, lexical_of(everything, self.lexical.language), state)
            return
        words: Iterable[StoredPassage] = added
        if words_since not in {None, since}:
            # What holds the vectors may be at another state than the files.
            removed, words = rows.removals_after(connection, words_since), rows.passages_after(connection, words_since)
        if words is added and changes <= IN_PLACE:
            with self._lock.writing():
                self.lexical.update(removed, map(words_of, words))
                self.vectors, self._state = vectors, state
        else:
            lexical = self.lexical.copied()
            lexical.update(removed, map(words_of, words))
            self._switch(vectors, lexical, state)

    def _rebuild(self, connection: sqlite3.Connection) -> None:
        state = rows.current_state(connection)
        vectors, lexical = build(
            connection, self._embedder.dimension, self.lexical.language, partial(self._holder.built, state)
        )
        self._switch(vectors, lexical, state)
        self._changed_since_saved += len(vectors)
        if not self._agrees():
            raise IndexCorrupt(
                f"The index {self._folder} records {state.passages} passages but holds {len(self.vectors)};"
                " restore a backup, or delete the folder and index the documents again."
            )

    def _switch(self, vectors: Held, lexical: LexicalIndex, state: State) -> None:
        with self._lock.writing():
            self.vectors, self.lexical, self._state = vectors, lexical, state

    def _agrees(self) -> bool:
        expected = self._state.passages
        return len(self.vectors) == expected and len(self.lexical) == expected


def _stack(added: list[StoredPassage], dimension: int) -> Vectors:
    """Vectors of the rows, shape (len(added), dimension)."""
    for row in added:
        if row.vector.shape != (dimension,):
            raise IndexCorrupt(f"The stored passage {row.number} has a vector of another length than the embedder's.")
    return np.stack([row.vector for row in added]) if added else np.zeros((0, dimension), np.float32)
