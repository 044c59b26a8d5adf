"""Search by words: BM25 over arrays of our own, derived from SQLite like the vectors.

There is one large segment and few small ones beside it: adding a passage makes a small one, and
small ones are joined as they become many. `retrieval.segment_file` has the form on disk.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrieval.bm25 import Ranking
from retrieval.postings import Counts, Rows, Segment, term_of
from retrieval.segment_file import ARRAYS, pack, unpack
from retrieval.vectors import Numbers, Stamp
from retrieval.words import words_of

MAX_QUERY_WORDS: Final = 256
# A segment is joined with the one before it once it has this share of its rows.
_JOIN_SHARE: Final = 0.25
# Rows of removed passages are dropped from memory when they are this share of all.
_DEAD_SHARE: Final = 0.2
# At most this share of the rows is looked up one by one.
_FEW_SHARE: Final = 0.02
# The counts of the words that most rows have, as one number for each row, kept for so many words.
_DENSE_SHARE: Final = 0.02
_DENSE_KEPT: Final = 64

T = TypeVar("T", bound=np.generic)
Entry = tuple[int, str] | tuple[int, str, str]
"""A passage's number, its text, and its language where it is known."""


class LexicalIndex:
    """Passage number → words. Not safe against changes during a search: the caller holds the lock."""

    def __init__(self, language: str = "en") -> None:
        """`language` (ISO 639-1) decides how all words are stemmed; `auto`: each passage as its own language is."""
        self.language = language
        self._segments: list[Segment] = []
        self._alive: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.generation = 0
        """Counts the changes: a view of another generation is of no use."""
        self._take([])

    def __len__(self) -> int:
        return self._living

    @property
    def deleted(self) -> int:
        """Removed passages whose rows still take memory; no statistic counts them."""
        return len(self._alive) - self._living

    @property
    def nbytes(self) -> int:
        """Memory that the arrays take."""
        return sum(getattr(segment, name).nbytes for segment in self._segments for name in ARRAYS)

    def update(self, removed: Sequence[int], added: Iterable[Entry]) -> None:
        """Remove numbers, then add entries.

        Raises ValueError for a number that is not above all that were added before.
        """
        rows, there = self._rows_of(np.asarray(removed, np.int64))
        alive = self._alive.copy()
        alive[rows[there]] = False
        segments = list(self._segments)
        fresh = self._segment_of(added)
        if len(fresh.numbers):
            if len(self._numbers) and fresh.numbers[0] <= self._numbers[-1]:
                raise ValueError("the numbers of the added passages are not above those that are there")
            segments.append(fresh)
            alive = np.concatenate([alive, np.ones(len(fresh.numbers), np.bool_)])
        self._alive = alive
        self._take(segments)
        self._tidy()

    def holding(self, numbers: Numbers, entries: Callable[[Numbers], Iterable[Entry]]) -> "LexicalIndex":
        """An index of exactly `numbers`; it shares what this one has, and asks `entries` for those that this one lacks.

        They are asked for ascending, none as well. Neither index follows a change of the other.
        """
        index = LexicalIndex(self.language)
        fresh = self._segment_of(entries(np.setdiff1d(numbers, self._numbers)))
        index._alive = np.concatenate([np.isin(self._numbers, numbers), np.ones(len(fresh.numbers), np.bool_)])
        index._take([*self._segments, fresh] if len(fresh.numbers) else list(self._segments))
        return index

    def copied(self) -> "LexicalIndex":
        """A second index of the same content, to be changed while this one is searched; it shares the arrays."""
        other = copy.copy(self)
        other._dense = OrderedDict()
        return other

    def view(self, allowed: Numbers | None = None) -> "View":
        """What a search may find, with its statistics; it holds until the next `update`.

        Keep it where the same passages are searched again: it remembers what it has counted.
        """
        return View(self, allowed)

    def search(
        self, query: str, limit: int, allowed: Numbers | None = None, *, language: str = ""
    ) -> list[tuple[int, float]]:
        """The best `limit` numbers (of `allowed`, if given) with their BM25 scores, best first.

        Passages without a word of the query are not found. Equal scores come in the order of the numbers.
        """
        return self.view(allowed).search(query, limit, language=language)

    def to_bytes(self, stamp: Stamp) -> bytes:
        """The index with its footer; nothing of removed passages is in it."""
        whole = self._joined(self._segments, self._alive)
        return pack(whole, {"language": self.language}, stamp)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> tuple["LexicalIndex", Stamp]:
        """The index and its stamp; raises ValueError unless every byte is as it was written.

        The arrays stay in `data`, which is not copied.
        """
        segment, facts, stamp = unpack(data)
        index = cls(facts["language"])
        index._alive = np.ones(len(segment.numbers), np.bool_)
        index._take([segment])
        if len(index) != stamp.count:
            raise ValueError("not the lexical index that its footer describes")
        return index, stamp

    def _segment_of(self, entries: Iterable[Entry]) -> Segment:
        return Segment.of((number, words_of(text, self._stemmed_as(*known))) for number, text, *known in entries)

    def _stemmed_as(self, known: str = "") -> str:
        return known if self.language == "auto" else self.language

    def _take(self, segments: list[Segment]) -> None:
        self._segments = segments
        self._numbers = _joined_array([segment.numbers for segment in segments], np.int64)
        ascends = bool((self._numbers[1:] > self._numbers[:-1]).all())
        self._order = None if ascends else np.argsort(self._numbers)
        self._lengths = _joined_array([segment.lengths for segment in segments], np.int32)
        self._living = int(self._alive.sum())
        self.generation += 1
        self._dense: OrderedDict[int, Counts] = OrderedDict()

    def _tidy(self) -> None:
        """Join small segments with their like, and all where much of them is dead."""
        if len(self._alive) - self._living > _DEAD_SHARE * len(self._alive):
            whole = self._joined(self._segments, self._alive)
            self._alive = np.ones(len(whole.numbers), np.bool_)
            self._take([whole])
        segments = list(self._segments)
        while len(segments) > 1 and len(segments[-1].numbers) > _JOIN_SHARE * len(segments[-2].numbers):
            both = segments[-2:]
            everything = np.ones(sum(len(segment.numbers) for segment in both), np.bool_)
            segments[-2:] = [self._joined(both, everything)]
        if len(segments) < len(self._segments):
            self._take(segments)

    @staticmethod
    def _joined(segments: list[Segment], kept: NDArray[np.bool_]) -> Segment:
        if len(segments) == 1 and kept.all():
            return segments[0]
        return Segment.joined(segments, kept) if segments else Segment.of([])

    def _rows_of(self, numbers: Numbers) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """The row of each number, and whether it is there."""
        rows = np.searchsorted(self._numbers, numbers, sorter=self._order)
        rows[rows == len(self._numbers)] = 0
        if self._order is not None:
            rows = self._order[rows]
        there = (self._numbers[rows] == numbers) & self._alive[rows] if len(self._numbers) else rows < 0
        return rows, there

    def _lookup(self, term: int) -> tuple[Rows, Counts]:
        """Rows of all segments that have the term, removed ones too, ascending."""
        parts, first = [], 0
        for segment in self._segments:
            rows, counts = segment.lookup(term)
            if len(rows):
                parts.append((rows + np.int32(first) if first else rows, counts))
            first += len(segment.numbers)
        if len(parts) == 1:
            return parts[0]
        return _joined_array([rows for rows, _ in parts], np.int32), _joined_array([own for _, own in parts], np.uint16)

    def _counts_at(self, term: int, wanted: Rows) -> Counts:
        """How often the passages in the rows `wanted`, ascending, have the term."""
        dense = self._dense.get(term)
        if dense is None:
            rows, counts = self._lookup(term)
            if len(rows) < _DENSE_SHARE * len(self._numbers):
                return _counts_of(rows, counts, wanted)
            dense = np.zeros(len(self._numbers), np.uint16)
            dense[rows] = counts
            self._dense[term] = dense
            while len(self._dense) > _DENSE_KEPT:
                self._dense.popitem(last=False)
        return dense[wanted]


class View:
    """The passages that one may see: searched, and counted, as if there were no others."""

    def __init__(self, index: LexicalIndex, allowed: Numbers | None) -> None:
        self.index = index
        self._rows: Rows | None = None
        self._mask: NDArray[np.bool_] | None = None
        if allowed is not None:
            rows, there = index._rows_of(allowed)
            self._rows = np.unique(rows[there]).astype(np.int32)
        elif len(index) < len(index._numbers):
            self._rows = np.flatnonzero(index._alive).astype(np.int32)
        self._is_few = self._rows is not None and len(self._rows) <= _FEW_SHARE * len(index._numbers)
        if self._rows is not None and not self._is_few:
            # Row → place among the visible ones, −1 for the others.
            self._places = np.full(len(index._numbers), -1, np.int32)
            self._places[self._rows] = np.arange(len(self._rows), dtype=np.int32)
        lengths = index._lengths if self._rows is None else index._lengths[self._rows]
        self._generation = index.generation
        self._ranking = Ranking(lengths, self._lookup, self._counts_at)

    def is_of(self, index: LexicalIndex) -> bool:
        """Whether this is a view of `index` as it is now."""
        return self.index is index and self._generation == index.generation

    def search(self, query: str, limit: int, *, language: str = "") -> list[tuple[int, float]]:
        """As `LexicalIndex.search`, among what this view shows."""
        index = self.index
        words = words_of(query, index._stemmed_as(language))
        terms = [term_of(word) for word in list(dict.fromkeys(words))[:MAX_QUERY_WORDS]]
        if not terms or limit <= 0:
            return []
        places, scores = self._ranking.best(terms, limit)
        numbers = index._numbers[places if self._rows is None else self._rows[places]]
        best = np.lexsort((numbers, -scores))[:limit]
        return list(zip(numbers[best].tolist(), scores[best].tolist(), strict=True))

    def _lookup(self, term: int) -> tuple[Rows, Counts]:
        rows, counts = self.index._lookup(term)
        if self._rows is None:
            return rows, counts
        if self._is_few:
            counts = _counts_of(rows, counts, self._rows)
            places = np.flatnonzero(counts).astype(np.int32)
            return places, counts[places]
        places = self._places[rows]
        visible = places >= 0
        return places[visible], counts[visible]

    def _counts_at(self, term: int, places: Rows) -> Counts:
        return self.index._counts_at(term, places if self._rows is None else self._rows[places])


def _counts_of(rows: Rows, counts: Counts, wanted: Rows) -> Counts:
    """The counts at the rows `wanted`, 0 for those that are not among `rows`; both ascending."""
    if not len(rows):
        return np.zeros(len(wanted), np.uint16)
    found = np.searchsorted(rows, wanted)
    found[found == len(rows)] = 0
    result: Counts = np.where(rows[found] == wanted, counts[found], 0).astype(np.uint16)
    return result


def _joined_array(arrays: Sequence[NDArray[T]], kind: type[T]) -> NDArray[T]:
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.zeros(0, kind)
