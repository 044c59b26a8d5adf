"""Vector and lexical index of one state, built from the rows that a transaction sees."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from retrieval import rows
from retrieval.embedder import Vectors
from retrieval.holders import Held
from retrieval.lexical import LexicalIndex
from retrieval.rows import StoredPassage
from retrieval.store import IndexCorrupt
from retrieval.vectors import Numbers

_AT_ONCE: Final = 4096


@dataclass(frozen=True, slots=True)
class Past:
    """Indexes that no longer change."""

    snapshot: int
    vectors: Held
    lexical: LexicalIndex

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Nothing to wait for."""
        yield


def build(
    connection: sqlite3.Connection, dimension: int, language: str, built: Callable[[Numbers, Vectors], Held]
) -> tuple[Held, LexicalIndex]:
    """Both indexes of everything that `connection` sees; every row is verified. `built` makes that of the vectors."""
    numbers: list[int] = []
    # Filled in pieces, so that the vectors are in memory once and not a second time as rows.
    pieces: list[Vectors] = []
    pending: list[Vectors] = []

    def words() -> Iterator[tuple[int, str, str]]:
        for row in rows.passages_after(connection, -1):
            if row.vector.shape != (dimension,):
                raise IndexCorrupt(
                    f"The stored passage {row.number} has a vector of another length than the embedder's."
                )
            numbers.append(row.number)
            pending.append(row.vector)
            if len(pending) == _AT_ONCE:
                pieces.append(np.stack(pending))
                pending.clear()
            yield words_of(row)

    lexical = LexicalIndex(language)
    lexical.update([], words())
    if pending:
        pieces.append(np.stack(pending))
    vectors = np.concatenate(pieces) if pieces else np.zeros((0, dimension), np.float32)
    return built(np.asarray(numbers, np.int64), vectors), lexical


def lexical_of(stored: Iterable[StoredPassage], language: str) -> LexicalIndex:
    """A lexical index of these passages, stemmed as `language`."""
    lexical = LexicalIndex(language)
    lexical.update([], map(words_of, stored))
    return lexical


def words_of(row: StoredPassage) -> tuple[int, str, str]:
    """What a lexical index takes of a row: its number, its words, and its language where it is known."""
    return row.number, row.passage.searchable, row.language
