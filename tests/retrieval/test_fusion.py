"""Reciprocal rank fusion."""

from retrieval.fusion import fuse


def test_scores_are_weighted_sums_of_reciprocal_ranks() -> None:
    assert fuse([(1.0, [7, 8]), (2.0, [8, 9])], rrf_k=60) == [(8, 1 / 62 + 2 / 61), (9, 2 / 62), (7, 1 / 61)]


def test_equal_scores_come_in_the_order_of_the_numbers() -> None:
    assert [number for number, _ in fuse([(1.0, [9]), (1.0, [3])], rrf_k=60)] == [3, 9]


def test_ranking_of_weight_zero_finds_nothing() -> None:
    assert fuse([(0.0, [1]), (1.0, [2])], rrf_k=1) == [(2, 0.5)]
