"""Vectors that Milvus holds for an index: what came since the last moving stays in memory, as FAISS's additions do.

A passage's number stands for one vector for ever, so whoever adds it adds the same. What a collection
is known to hold is written in SQLite: all passages up to a number, less those that were removed up to
a snapshot. Where that changed while a search ran, the search begins again.
"""

import contextlib
import logging
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from retrieval import milvus_collections, rows
from retrieval.embedder import Embedder, Vectors
from retrieval.holders import BesideMilvus, FaissHolder, Holder
from retrieval.milvus import FOLDER, Gone, Milvus
from retrieval.milvus_collections import KEY, Collection, Moved, read_moved, warn_of_others, write_moved
from retrieval.rows import State
from retrieval.saved import VECTORS_NAME, Fits, Parts
from retrieval.store import Store
from retrieval.vectors import Exact, Numbers, Stamp
from tandem.errors import Unavailable
from tandem.files import locked
from tandem.settings import RetrievalConfig

# Changes after which they are moved to Milvus; until then they are searched in memory, exactly.
MOVE_AT: Final = 1_000
# Numbers that a filter may list. Reading so many vectors from SQLite takes as long as such a filter, or less.
LISTED: Final = 5_000
READ: Final = 1_000
# The most that Milvus gives for one search.
DEEPEST: Final = 16_384

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MilvusVectors:
    """Passage number → unit vector of one state: `base` in the collection, `vectors` of `numbers` in memory."""

    owner: "MilvusHolder"
    collection: str
    snapshot: int
    """The newest snapshot when this was made: what is removed by then is not in `base`."""
    base: Numbers
    """Ascending; of the collection."""
    dead: Numbers
    """Numbers that the collection may hold, up to the greatest of `base`, and that are not to be found."""
    numbers: Numbers
    vectors: Vectors

    def __len__(self) -> int:
        return len(self.base) + len(self.numbers)

    def changed(
        self, snapshot: int, removed: Sequence[int], numbers: Sequence[int], vectors: Vectors
    ) -> "MilvusVectors":
        """This without `removed` and with `vectors` under `numbers`, as of `snapshot`."""
        asked = np.asarray(removed, np.int64)
        kept = ~np.isin(self.numbers, asked)
        return replace(
            self._without(np.intersect1d(asked, self.base)),
            snapshot=snapshot,
            numbers=np.concatenate([self.numbers[kept], np.asarray(numbers, np.int64)]),
            vectors=np.concatenate([self.vectors[kept], vectors.reshape(-1, self.vectors.shape[1])]),
        )

    def holding(self, numbers: Numbers, stored: Exact) -> "MilvusVectors":
        """Of exactly `numbers`; what this one lacks comes from `stored`."""
        kept = np.isin(self.numbers, numbers)
        lacking = np.setdiff1d(numbers, np.concatenate([self.base, self.numbers]))
        more = stored(lacking.tolist()) if len(lacking) else self.vectors[:0]
        return replace(
            self._without(np.setdiff1d(self.base, numbers)),
            numbers=np.concatenate([self.numbers[kept], lacking]),
            vectors=np.concatenate([self.vectors[kept], more]),
        )

    def _without(self, gone: Numbers) -> "MilvusVectors":
        base = np.delete(self.base, np.searchsorted(self.base, gone))
        dead = np.union1d(self.dead, gone)
        return replace(self, base=base, dead=dead[dead <= base[-1]] if len(base) else dead[:0])

    def search(
        self, query: Vectors, limit: int, allowed: Numbers | None = None, exact: Exact | None = None
    ) -> list[tuple[int, float]]:
        """The nearest `limit` numbers (of `allowed`, if given) with their cosines, best first; `query`: (dimension,).

        Exact, and decided before the search. Few allowed numbers are compared by `exact`, their stored vectors.
        Raises Unavailable (`milvus_unreachable`), and Gone where the collection went on meanwhile.
        """
        usable = np.ones(len(self.numbers), bool) if allowed is None else np.isin(self.numbers, allowed)
        found = _best(self.numbers[usable], self.vectors[usable] @ query, limit)
        wanted = self.base if allowed is None else np.intersect1d(allowed, self.base, assume_unique=True)
        if limit > 0 and len(wanted):
            if exact is not None and len(wanted) <= READ and len(wanted) < len(self.base):
                found += _best(wanted, exact(wanted.tolist()) @ query, limit)
            else:
                found += self._search_base(query, min(limit, len(wanted)), wanted)
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]

    def _search_base(self, query: Vectors, limit: int, wanted: Numbers) -> list[tuple[int, float]]:
        try:
            return self._ask(query, limit, wanted)
        finally:
            # Also what failed may have, because the vectors were moved meanwhile.
            self.owner.require_unmoved(self)

    def _ask(self, query: Vectors, limit: int, wanted: Numbers) -> list[tuple[int, float]]:
        """By the shorter of two lists, of what may be found and of what may not; by pieces where both are long."""
        others = self.dead
        if len(wanted) < len(self.base):
            others = np.union1d(others, np.setdiff1d(self.base, wanted, assume_unique=True))
            others = others[others <= wanted[-1]]
        below = f"number <= {wanted[-1]}"
        ask = self.owner.milvus.search
        if len(others) <= min(LISTED, len(wanted)) or not len(others):
            rest = f" and number not in {others.tolist()}" if len(others) else ""
            return ask(self.collection, query, limit, below + rest)
        if len(wanted) > LISTED:
            # Most likely there are enough among so many more; what is found is then exact, too.
            deep = 2 * limit * (len(wanted) + len(others)) // len(wanted)
            if deep <= DEEPEST:
                near = ask(self.collection, query, deep, below)
                near = [pair for pair in near if _has(wanted, pair[0])]
                if len(near) >= limit:
                    return near[:limit]
        pieces = [wanted[first : first + LISTED] for first in range(0, len(wanted), LISTED)]
        found = []
        for piece in pieces:
            found += ask(self.collection, query, min(limit, len(piece)), f"number in {piece.tolist()}")
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:limit]


class MilvusHolder:
    """Keeps the vectors of one index in a collection of their own."""

    def __init__(self, store: Store, folder: Path, embedder: Embedder, milvus: Milvus) -> None:
        self.milvus = milvus
        self._store = store
        self._folder = folder
        self._address = milvus.address or ""
        self._dimension = embedder.dimension
        self._digest = embedder.digest

    def load(self, connection: sqlite3.Connection, fits: Fits) -> tuple[MilvusVectors, int] | None:
        """As SQLite says that they were moved, if that can still be right; what is newer is read from there."""
        (self._folder / VECTORS_NAME).unlink(missing_ok=True)
        if not self.milvus.embedded:
            shutil.rmtree(self._folder / FOLDER, ignore_errors=True)
        warn_of_others(connection, self._folder, self._address)
        moved = read_moved(connection)
        if (
            moved is None
            or moved.address != self._address
            or not fits(Stamp(moved.snapshot, moved.token, moved.embedder_digest, 0))
        ):
            return None
        if self.milvus.embedded and not self.milvus.is_whole(moved.collection):
            return None
        found = self._seen(connection, moved)
        try:
            if not self._has(found):
                _logger.warning("the vectors of %s are not in Milvus any more and are put there anew", self._folder)
                return None
        except Unavailable as error:
            _logger.warning("%s The index is opened all the same.", error.message)
        return found, found.snapshot

    def built(self, state: State, numbers: Numbers, vectors: Vectors) -> MilvusVectors:
        """All in memory, until they are moved to a new collection."""
        none = np.zeros(0, np.int64)
        return MilvusVectors(self, "", state.snapshot, none, none, numbers, vectors)

    def changed(
        self, held: MilvusVectors, state: State, removed: Sequence[int], numbers: Sequence[int], new: Vectors
    ) -> MilvusVectors:
        """In memory only, so that a commit does not wait for Milvus."""
        return held.changed(state.snapshot, removed, numbers, new)

    def is_due(self, changed: int, held: MilvusVectors) -> bool:
        """After a thousand additions and removals."""
        return len(held.numbers) + len(held.dead) >= MOVE_AT

    def kept(self, held: MilvusVectors, state: State) -> MilvusVectors:
        """Moved to Milvus; where that cannot be reached, as it was, with a warning."""
        try:
            return self._moved(held, state)
        except (Unavailable, Gone) as error:
            _logger.warning(
                "vectors of %s stay in memory for now: %s Nothing is lost: SQLite has them.", self._folder, error
            )
            return held

    def to_parts(self, held: MilvusVectors, stamp: Stamp) -> Parts:
        """No file."""
        return {}

    def purge(self, connection: sqlite3.Connection, held: MilvusVectors, state: State) -> Iterator[MilvusVectors]:
        """Lite's folder is made anew; a cluster removes, and frees its disk as it is set to. Raises Unavailable."""
        self._drop_leftover()
        moved = read_moved(connection)
        if moved is None:
            return
        if not self.milvus.embedded:
            now = self._moved(held, state)
            yield now
            self.milvus.compact(now.collection)
        elif len(held.dead) or not moved.spotless:
            numbers = rows.passage_numbers(connection)
            fresh = self.built(state, numbers, _stored(connection, numbers, self._dimension))
            # Searched meanwhile, so that nobody looks into the folder that is removed.
            yield fresh
            yield self._moved(fresh, state)

    def renewed(self, connection: sqlite3.Connection, held: MilvusVectors) -> MilvusVectors | None:
        """From what SQLite says now; None where the collection is lost."""
        moved = read_moved(connection)
        if not held.collection or moved is None:
            return held if not held.collection else None
        found = self._seen(connection, moved)
        return found if self._has(found) else None

    @property
    def watches(self) -> bool:
        """Whether other processes may leave it to this one to purge."""
        return self.milvus.embedded

    def close(self) -> None:
        """Stop Lite, and seal its folder."""
        self.milvus.close()

    def require_unmoved(self, held: MilvusVectors) -> None:
        """Raise Gone where the collection is another, or went on to a snapshot in which `held` has removed passages."""
        with self._store.reading() as connection:
            moved = read_moved(connection)
        if moved is None or moved.collection != held.collection or moved.snapshot > held.snapshot:
            raise Gone(held.collection)

    def _has(self, held: MilvusVectors) -> bool:
        """Whether the collection can hold all of `base`."""
        try:
            return self.milvus.count(held.collection) >= len(held.base)
        except Gone:
            return False

    def _seen(self, connection: sqlite3.Connection, moved: Moved) -> MilvusVectors:
        """The state that `connection` sees; what the collection lacks is read."""
        live = rows.passage_numbers(connection)
        base, numbers = live[live <= moved.through], live[live > moved.through]
        removed = np.asarray(rows.removals_after(connection, moved.cleaned), np.int64)
        dead = np.unique(removed[removed <= (base[-1] if len(base) else -1)])
        vectors = _stored(connection, numbers, self._dimension)
        snapshot = rows.current_state(connection).snapshot
        return MilvusVectors(self, moved.collection, snapshot, base, dead, numbers, vectors)

    def _moved(self, held: MilvusVectors, state: State) -> MilvusVectors:
        """Bring the collection to `held`, which is of `state`: add, say so in SQLite, then remove."""
        with locked(self._folder / f".{KEY}.moving.lock"):
            with self._store.reading() as connection:
                before = read_moved(connection)
            through = int(max(held.base.max(initial=0), held.numbers.max(initial=0)))
            if not held.collection:
                name = self._made()
                self.milvus.add(name, held.numbers, held.vectors)
                self._write(self._of(name, state, through, cleaned=state.snapshot, spotless=True))
                # Where that has to wait, the list still names them.
                with contextlib.suppress(Unavailable):
                    self._drop_leftover()
            else:
                if before is None or before.collection != held.collection or before.snapshot > state.snapshot:
                    raise Gone("another process moved them")
                name = held.collection
                self.milvus.add(name, held.numbers, held.vectors)
                gone = self._removed_between(before.cleaned, state.snapshot)
                spotless = before.spotless and not len(gone)
                now = self._of(name, state, through, cleaned=before.cleaned, spotless=spotless)
                self._write(now)
                self.milvus.remove(name, gone)
                self._write(replace(now, cleaned=state.snapshot))
        none = np.zeros(0, np.int64)
        base = np.union1d(held.base, held.numbers)
        return replace(held, collection=name, base=base, dead=none, numbers=none, vectors=held.vectors[:0])

    def _made(self) -> str:
        name = f"tandem_{secrets.token_hex(8)}"
        if self.milvus.embedded:
            self.milvus.erase()
        else:
            with self._store.writing() as connection:
                milvus_collections.begin(connection, Collection(self._address, name))
        self.milvus.create(name, self._dimension)
        return name

    def _of(self, name: str, state: State, through: int, *, cleaned: int, spotless: bool) -> Moved:
        return Moved(self._address, name, state.snapshot, state.token, self._digest, through, cleaned, spotless)

    def _drop_leftover(self) -> None:
        """Drop what nobody searches any more from the cluster; raises Unavailable."""
        with self._store.reading() as connection:
            collections = milvus_collections.leftover(connection)
        for collection in collections:
            if collection.address == self._address:
                with contextlib.suppress(Gone):
                    self.milvus.drop(collection.name)
                with self._store.writing() as connection:
                    milvus_collections.dropped(connection, collection)

    def _removed_between(self, since: int, snapshot: int) -> Numbers:
        with self._store.reading() as connection:
            query = "SELECT number FROM removals WHERE snapshot > ? AND snapshot <= ?"
            return rows.numbers(connection, query, str(since), str(snapshot))

    def _write(self, moved: Moved) -> None:
        with self._store.writing() as connection:
            write_moved(connection, moved)


def holder_for(store: Store, folder: Path, embedder: Embedder, settings: RetrievalConfig) -> Holder[Any]:
    """What holds the vectors, as `retrieval.store` says; raises ConfigError where that is not installed."""
    if settings.store == "faiss":
        return FaissHolder(folder, embedder.dimension, settings.vector_index)
    milvus = Milvus(folder, settings.milvus_address)
    if milvus.embedded and not milvus.hold():
        _logger.warning("another process has Milvus Lite open in %s; this one holds the vectors in memory", folder)
        return BesideMilvus(folder, embedder.dimension, settings.vector_index, milvus)
    return MilvusHolder(store, folder, embedder, milvus)


def _stored(connection: sqlite3.Connection, numbers: Numbers, dimension: int) -> Vectors:
    """Stored vectors, shape (len(numbers), dimension)."""
    return rows.vectors_of(connection, numbers.tolist()) if len(numbers) else np.zeros((0, dimension), np.float32)


def _best(numbers: Numbers, scores: Vectors, limit: int) -> list[tuple[int, float]]:
    places = np.lexsort((numbers, -scores))[:limit]
    return list(zip(numbers[places].tolist(), scores[places].astype(float).tolist(), strict=True))


def _has(numbers: Numbers, number: int) -> bool:
    place = int(np.searchsorted(numbers, number))
    return place < len(numbers) and int(numbers[place]) == number
