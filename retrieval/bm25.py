"""BM25 over the passages that one search may find, with the statistics of these and no others.

Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), with the
rarity ln(1 + (N − n + ½) / (n + ½)) that Lucene and tantivy use. The rare words of a question
are counted first; once the best `limit` passages cannot be reached any more by passages that have
only frequent words, those are looked up for the candidates alone (MaxScore, Turtle and Flood 1995).
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.postings import Counts, Rows

K1: Final = 1.2
B: Final = 0.75
# Words with fewer rows than this are cheaper to count than to think about.
_FREQUENT: Final = 5_000
# Words with more are not looked at for a lower bound of the best scores.
_SAMPLE: Final = 5_000
_SAMPLES: Final = 2
# Rounding may not decide who is a candidate.
_SLACK: Final = 1e-9

Scores = NDArray[np.float64]
Lookup = Callable[[int], tuple[Rows, Counts]]


def rounded(lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """Lengths as Lucene and tantivy count them: up to 39 as they are, above rounded down to a few values.

    Kept, so that questions find what they found when tantivy answered them. The mean is of the true lengths.
    """
    result: NDArray[np.int32] = _STEPS[np.searchsorted(_STEPS, lengths, side="right") - 1]
    return result


def _steps() -> NDArray[np.int32]:
    """The lengths that one byte can tell apart (Lucene's SmallFloat): all up to 39, then eight for each doubling."""
    octaves = [step << octave for octave in range(28) for step in range(8, 16)]
    return np.array([*range(24), *(24 + value for value in [*range(8), *octaves])], np.int32)


_STEPS: Final = _steps()


class Ranking:
    """The visible passages as places 0 … size − 1, their statistics, and the best ones for a list of words.

    Every number that is computed depends on visible passages alone, in the same order of steps whatever else there
    is: passages that may not be seen change no bit of a score.
    """

    def __init__(self, lengths: NDArray[np.int32], lookup: Lookup, counts_at: Callable[[int, Rows], Counts]) -> None:
        """`lengths` in words, shape (size,); `lookup` gives a term's places and counts, ascending; `counts_at` the
        counts of a term at some places."""
        self._lookup = lookup
        self._counts_at = counts_at
        self._size = len(lengths)
        mean = int(lengths.sum(dtype=np.int64)) / self._size if self._size else 0.0
        self._norms: Scores = K1 * (1 - B + B * rounded(lengths).astype(np.float64) / (mean or 1.0))
        self._frequencies: dict[int, int] = {}

    def best(self, terms: Sequence[int], limit: int) -> tuple[Rows, Scores]:
        """The places of the best passages that have a term, and their scores; at least `limit` where there are so
        many, with all that are equal to the last."""
        having = [(self._frequency(term), term) for term in terms]
        ordered = [(self._rarity(count), term, count) for count, term in sorted(having) if count]
        reachable = np.cumsum([(K1 + 1) * rarity for rarity, _, _ in ordered][::-1])[::-1]
        scores = np.zeros(self._size)
        candidates: Rows | None = None
        rare: list[Rows] = []
        for position, (rarity, term, count) in enumerate(ordered):
            if rare and count > _FREQUENT:
                candidates = _narrowed(scores, candidates, rare, limit, float(reachable[position]))
            if candidates is None:
                places, counts = self._lookup(term)
            else:
                counts = self._counts_at(term, candidates)
                having_it = np.flatnonzero(counts)
                places, counts = candidates[having_it], counts[having_it]
            scores[places] += self._gains(rarity, places, counts)
            if limit <= len(places) <= _SAMPLE and len(rare) < _SAMPLES:
                rare.append(places)
        found = np.flatnonzero(scores > 0).astype(np.int32) if candidates is None else candidates
        return _top(found, scores[found], limit)

    def _frequency(self, term: int) -> int:
        count = self._frequencies.get(term)
        if count is None:
            count = self._frequencies[term] = len(self._lookup(term)[0])
        return count

    def _rarity(self, count: int) -> float:
        return float(np.log(1 + (self._size - count + 0.5) / (count + 0.5)))

    def _gains(self, rarity: float, places: Rows, counts: Counts) -> Scores:
        often = counts.astype(np.float64)
        gains: Scores = (rarity * (K1 + 1)) * often / (often + self._norms[places])
        return gains


def _narrowed(
    scores: Scores, candidates: Rows | None, rare: Sequence[Rows], limit: int, reachable: float
) -> Rows | None:
    """The places that may still be among the best `limit` when each can gain `reachable`; None: all may.

    The best `limit` of the places that share a rare word are a lower bound for the best of all.
    """
    threshold = max(_last_of_best(scores[places], limit) for places in rare) * (1 - _SLACK)
    if candidates is not None:
        return candidates[scores[candidates] + reachable >= threshold]
    if reachable >= threshold:
        return None
    return np.flatnonzero(scores >= threshold - reachable).astype(np.int32)


def _last_of_best(scores: Scores, limit: int) -> float:
    return float(np.partition(scores, len(scores) - limit)[len(scores) - limit])


def _top(found: Rows, scores: Scores, limit: int) -> tuple[Rows, Scores]:
    if len(found) > limit:
        chosen = np.flatnonzero(scores >= _last_of_best(scores, limit))
        found, scores = found[chosen], scores[chosen]
    return found, scores
