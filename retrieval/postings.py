"""Which passages have which words, and how often: arrays that are never changed, only joined.

A word is kept as a 64-bit digest of itself, so that everything is an array, no dictionary has to
be built at opening, and no word lies in the file. Two of a million words share a digest with a
probability of 3 in 100 million; then they count as one word.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

MAX_COUNT: Final = 65_535
"""Higher counts are kept as this one; BM25 cannot tell them apart."""

Rows = NDArray[np.int32]
Counts = NDArray[np.uint16]
_NO_ROWS: Final[Rows] = np.zeros(0, np.int32)
_NO_COUNTS: Final[Counts] = np.zeros(0, np.uint16)


@lru_cache(maxsize=1 << 17)
def term_of(word: str) -> int:
    """The digest under which a word is kept."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True)
class Segment:
    """Passages in rows, ascending by number, and for each term the rows that have it (CSR).

    The rows of `terms[i]` are `rows[starts[i]:starts[i + 1]]`, ascending, with their counts beside them.
    """

    numbers: NDArray[np.int64]
    """Shape (passages,)."""
    lengths: NDArray[np.int32]
    """Words of each passage, shape (passages,)."""
    terms: NDArray[np.uint64]
    """Ascending, shape (terms,)."""
    starts: NDArray[np.int64]
    """Shape (terms + 1,)."""
    rows: Rows
    """Shape (postings,)."""
    counts: Counts
    """Shape (postings,)."""

    @classmethod
    def of(cls, passages: Iterable[tuple[int, Sequence[str]]]) -> Self:
        """The segment of (number, words) pairs; raises ValueError unless the numbers ascend."""
        numbers, lengths, distinct = array("q"), array("l"), array("l")
        terms, counts = array("Q"), array("L")
        for number, words in passages:
            if numbers and number <= numbers[-1]:
                raise ValueError("the numbers of the passages do not ascend")
            counted = Counter(words)
            numbers.append(number)
            lengths.append(len(words))
            distinct.append(len(counted))
            terms.extend(map(term_of, counted))
            counts.extend(counted.values())
        rows = np.repeat(np.arange(len(numbers), dtype=np.int32), np.array(distinct, np.int64))
        few = np.minimum(np.array(counts, np.int64), MAX_COUNT).astype(np.uint16)
        return cls._sorted(
            np.array(numbers, np.int64), np.array(lengths, np.int32), np.array(terms, np.uint64), rows, few
        )

    @classmethod
    def joined(cls, segments: Sequence["Segment"], kept: NDArray[np.bool_]) -> Self:
        """One segment of several that follow each other, with those of their rows that `kept` marks.

        `kept` has shape (rows of all segments,). Words that only other rows had are gone.
        """
        new_rows = np.cumsum(kept, dtype=np.int32) - np.int32(1)
        terms, rows, counts, first = [], [], [], 0
        for segment in segments:
            places = segment.rows + np.int32(first)
            staying = kept[places]
            terms.append(np.repeat(segment.terms, np.diff(segment.starts))[staying])
            rows.append(new_rows[places[staying]])
            counts.append(segment.counts[staying])
            first += len(segment.numbers)
        numbers = np.concatenate([segment.numbers for segment in segments])[kept]
        lengths = np.concatenate([segment.lengths for segment in segments])[kept]
        return cls._sorted(numbers, lengths, np.concatenate(terms), np.concatenate(rows), np.concatenate(counts))

    @classmethod
    def _sorted(
        cls,
        numbers: NDArray[np.int64],
        lengths: NDArray[np.int32],
        terms: NDArray[np.uint64],
        rows: Rows,
        counts: Counts,
    ) -> Self:
        """From one term, row and count for each posting, whose rows ascend for each term."""
        order = np.argsort(terms, kind="stable")
        terms = terms[order]
        first = np.flatnonzero(np.concatenate([[True], terms[1:] != terms[:-1]])) if len(terms) else np.zeros(0, int)
        starts = np.concatenate([first, [len(terms)]]).astype(np.int64)
        return cls(numbers, lengths, terms[first], starts, rows[order], counts[order])

    def lookup(self, term: int) -> tuple[Rows, Counts]:
        """Rows that have `term`, ascending, and how often each."""
        place = int(np.searchsorted(self.terms, np.uint64(term)))
        if place == len(self.terms) or int(self.terms[place]) != term:
            return _NO_ROWS, _NO_COUNTS
        found = slice(int(self.starts[place]), int(self.starts[place + 1]))
        return self.rows[found], self.counts[found]
