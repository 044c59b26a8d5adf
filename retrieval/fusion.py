"""Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009), weighted."""

from collections.abc import Sequence


def fuse(rankings: Sequence[tuple[float, Sequence[int]]], rrf_k: int) -> list[tuple[int, float]]:
    """One ranking from several, each given as (weight, numbers, best first).

    A number's score is the sum of weight / (rrf_k + rank) over the rankings that have it, ranks
    counted from 1; higher is better. Equal scores come in the order of the numbers.
    """
    scores: dict[int, float] = {}
    for weight, numbers in rankings:
        if weight == 0:
            continue
        for rank, number in enumerate(numbers, start=1):
            scores[number] = scores.get(number, 0.0) + weight / (rrf_k + rank)
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
