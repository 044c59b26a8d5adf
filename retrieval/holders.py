"""Who holds the vectors that are searched: what a holder does, and FAISS, which holds them in memory."""

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, TypeVar

from retrieval import saved
from retrieval.embedder import Vectors
from retrieval.milvus import FOLDER, Milvus
from retrieval.milvus_collections import warn_of_others
from retrieval.rows import State
from retrieval.saved import Fits, Parts
from retrieval.vectors import Exact, Numbers, Stamp, VectorIndex, kind_for
from tandem.errors import Unavailable

# The file is written anew when this share of the passages changed since, so that its cost stays a fixed part of the
# commits'; and at closing.
SAVE_SHARE: Final = 0.1


class Held(Protocol):
    """Passage number → unit vector, as of one state; it never changes. `retrieval.vectors.VectorIndex` is one."""

    def __len__(self) -> int:
        """How many vectors."""

    def search(
        self, query: Vectors, limit: int, allowed: Numbers | None = None, exact: Exact | None = None
    ) -> list[tuple[int, float]]:
        """The nearest `limit` numbers (of `allowed`, if given) with their cosines, best first; `query`: (dimension,).

        `exact` gives stored vectors. Raises Unavailable where the holder cannot be reached, and Gone
        (`retrieval.milvus`) where it went on meanwhile.
        """

    def holding(self, numbers: Numbers, stored: Exact) -> "Held":
        """Of exactly `numbers`: what is shared with this one, and what it lacks from `stored`."""


H = TypeVar("H", bound=Held)


class Holder(Protocol[H]):
    """Makes and keeps the `Held` of one index."""

    def load(self, connection: sqlite3.Connection, fits: Fits) -> tuple[H, int] | None:
        """What is kept, and the snapshot it is of; None where it has to be made anew."""

    def built(self, state: State, numbers: Numbers, vectors: Vectors) -> H:
        """Of `state`, from all of its vectors, shape (len(numbers), dimension)."""

    def changed(self, held: H, state: State, removed: Sequence[int], numbers: Sequence[int], new: Vectors) -> H:
        """`held` brought to `state`, without `removed` and with `new` under `numbers`."""

    def is_due(self, changed: int, held: H) -> bool:
        """Whether so many changes are worth keeping now, and not only at closing."""

    def kept(self, held: H, state: State) -> H:
        """The same content, kept as far as `to_parts` does not do it."""

    def to_parts(self, held: H, stamp: Stamp) -> Parts:
        """File → content in which it is kept."""

    def purge(self, connection: sqlite3.Connection, held: H, state: State) -> Iterator[H]:
        """The same content once or more: each is to be searched before the next is asked for.

        At the end no vector of another state than `state`, which `connection` sees and `held` is of, is kept but in
        files of `to_parts`. Raises Unavailable where that has to wait.
        """

    def renewed(self, connection: sqlite3.Connection, held: H) -> H | None:
        """The same content after Gone, as `connection` sees it; None where it has to be made anew."""

    @property
    def watches(self) -> bool:
        """Whether other processes may leave it to this one to purge."""

    def close(self) -> None:
        """Let go of what is open."""


class FaissHolder:
    """Vectors in memory, saved in one file that belongs to a snapshot."""

    def __init__(self, folder: Path, dimension: int, wanted: str) -> None:
        self._folder = folder
        self._dimension = dimension
        self._wanted = wanted

    def load(self, connection: sqlite3.Connection, fits: Fits) -> tuple[VectorIndex, int] | None:
        """The file's, if it is whole and of this database and embedder."""
        # Of another setting; nobody would purge it.
        warn_of_others(connection, self._folder, "")
        shutil.rmtree(self._folder / FOLDER, ignore_errors=True)
        loaded = saved.load_vectors(self._folder, fits)
        if loaded is None or loaded[0].dimension != self._dimension:
            return None
        vectors, stamp = loaded
        if stamp.kind not in {"flat", kind_for(self._wanted, stamp.count)}:
            # Another kind was set since; this one does not have the exact vectors to make it from.
            return None
        return vectors, stamp.snapshot

    def built(self, state: State, numbers: Numbers, vectors: Vectors) -> VectorIndex:
        """Of the kind that so many passages want."""
        return VectorIndex.built(kind_for(self._wanted, state.passages), numbers, vectors)

    def changed(
        self, held: VectorIndex, state: State, removed: Sequence[int], numbers: Sequence[int], new: Vectors
    ) -> VectorIndex:
        """In memory only."""
        return held.changed(removed, numbers, new)

    def is_due(self, changed: int, held: VectorIndex) -> bool:
        """After a tenth of the passages."""
        return changed >= SAVE_SHARE * len(held)

    def kept(self, held: VectorIndex, state: State) -> VectorIndex:
        """In one base, of the kind that so many passages want."""
        return held.compacted(kind_for(self._wanted, len(held)))

    def to_parts(self, held: VectorIndex, stamp: Stamp) -> Parts:
        """The one file."""
        return {saved.VECTORS_NAME: held.to_parts(replace(stamp, kind=held.kind))}

    def purge(self, connection: sqlite3.Connection, held: VectorIndex, state: State) -> Iterator[VectorIndex]:
        """Nothing to do: the file is written anew."""
        return iter(())

    def renewed(self, connection: sqlite3.Connection, held: VectorIndex) -> VectorIndex | None:
        """Never asked for: nothing goes on without its knowing."""
        return held

    @property
    def watches(self) -> bool:
        """Each process purges for itself."""
        return False

    def close(self) -> None:
        """Nothing is open."""


class BesideMilvus(FaissHolder):
    """For a second process at a folder of Milvus Lite, which lets only one in: in memory, and no file."""

    def __init__(self, folder: Path, dimension: int, wanted: str, milvus: Milvus) -> None:
        super().__init__(folder, dimension, wanted)
        self._milvus = milvus

    def load(self, connection: sqlite3.Connection, fits: Fits) -> tuple[VectorIndex, int] | None:
        """Always made from SQLite."""
        return None

    def to_parts(self, held: VectorIndex, stamp: Stamp) -> Parts:
        """No file."""
        return {}

    def purge(self, connection: sqlite3.Connection, held: VectorIndex, state: State) -> Iterator[VectorIndex]:
        """Left to the other process, while there is one; raises Unavailable then."""
        if not self._milvus.hold():
            raise Unavailable("the process that has Milvus Lite open is to do it")
        try:
            self._milvus.erase()
        finally:
            self._milvus.close()
        return iter(())
