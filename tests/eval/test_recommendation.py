"""The recommendation follows its declared rules, in one sentence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.judge import compare_all
from eval.plan import CANDIDATES, COSTS
from eval.recommendation import Comparison, Recommendation, recommend, show_p, show_points
from tandem.statistics import estimate


def judge(success: dict[str, list[float]]) -> Recommendation:
    count = len(next(iter(success.values())))
    return recommend({name: estimate(values) for name, values in success.items()}, compare_all(success), count)


def test_a_clear_winner_is_named_with_its_evidence() -> None:
    found = judge({"base": [0.0] * 60, "rag": [1.0, 0.0] * 30, "hybrid": [1.0] * 50 + [0.0] * 10})
    assert (found.variant, found.best, found.grounds) == ("hybrid", "hybrid", "clear")
    assert found.sentence.startswith(
        "Use hybrid: it scored 83.3 points of success on 60 questions, 33.3 more than rag, the next best (95 % interval"
    )
    # 25 questions for and 5 against, the largest p of three: 2 * (C(30, 0) + … + C(30, 5)) / 2^30.
    assert found.sentence.endswith(", corrected p = 0.0003).")


def test_too_few_questions_are_said_to_be_too_few_and_the_cheaper_variant_is_recommended() -> None:
    found = judge({"rag": [1.0, 0.0, 0.0, 1.0] * 5, "hybrid": [1.0, 1.0, 0.0, 0.0] * 4 + [1.0, 1.0, 1.0, 0.0]})
    assert (found.variant, found.best, found.grounds) == ("rag", "hybrid", "cannot tell")
    assert found.sentence.startswith(
        "Use rag for now: hybrid scored 5.0 points more, but we cannot tell with 20 questions whether that is chance "
        "(differences under 47.6 points cannot be seen, and this one would take about 1,810), and rag is cheaper."
    )


def test_a_difference_that_is_small_for_certain_does_not_pay() -> None:
    base = [1.0, 0.0] * 500
    found = judge({"base": base, "hybrid": [*base[:994], 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]})
    assert (found.variant, found.grounds) == ("base", "cheaper")
    assert found.sentence == (
        "Use base: hybrid scored 0.3 points more, at most 0.8 by the 95 % interval, and base is cheaper."
    )


def test_the_cheapest_of_all_that_cannot_be_told_apart_is_recommended() -> None:
    success = {
        "base": [0.0] * 40,
        "finetuned": [1.0] * 30 + [0.0] * 10,
        "rag": [1.0] * 29 + [0.0] * 10 + [1.0],
        "hybrid": [1.0] * 31 + [0.0] * 9,
    }
    assert judge(success).variant == "rag"


def test_the_best_needs_no_proof_against_what_costs_more() -> None:
    found = judge({"rag": [1.0] * 21 + [0.0] * 19, "hybrid": [1.0] * 20 + [0.0] * 20})
    assert (found.variant, found.grounds) == ("rag", "cheaper")
    assert "hybrid, which costs more, cannot be told apart from it" in found.sentence


def test_equal_means_go_to_the_cheaper_and_hybrid_before_naive() -> None:
    values = [1.0, 0.0] * 10
    assert judge({"naive": values, "hybrid": values, "finetuned": values}).variant == "finetuned"
    assert judge({"naive": values, "hybrid": values}).variant == "hybrid"


def test_five_questions_can_show_nothing_at_all() -> None:
    found = judge({"base": [0.0] * 5, "hybrid": [1.0] * 5})
    assert (found.variant, found.grounds) == ("base", "cannot tell")
    assert "we cannot tell with 5 questions whether that is chance (no difference can be seen)" in found.sentence


def test_one_variant_alone_is_not_recommended_over_anything() -> None:
    found = judge({"rag": [1.0, 0.5]})
    assert (found.grounds, found.sentence) == (
        "only one",
        "Only rag was evaluated: 75.0 points of success on 2 questions.",
    )


@given(
    st.lists(st.sampled_from(CANDIDATES), min_size=1, max_size=5, unique=True),
    st.integers(1, 30),
    st.integers(0, 1000),
)
@settings(max_examples=40)
def test_every_outcome_is_one_sentence_that_keeps_the_rules(names: list[str], count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    success = {name: random.choice([0, 0.2, 0.6, 1], count).tolist() for name in names}
    found = judge(success)
    assert found.sentence.endswith(".")
    assert ". " not in found.sentence.replace("95 % interval", "")
    assert COSTS[found.variant] <= COSTS[found.best]
    assert np.mean(success[found.best]) == pytest.approx(max(np.mean(values) for values in success.values()))
    if found.variant != found.best:
        pairs = compare_all(success)
        pair = next(pair for pair in pairs if {pair.first, pair.second} == {found.variant, found.best})
        assert pair.p_corrected >= 0.05


def test_a_comparison_seen_from_the_other_side_is_mirrored() -> None:
    pair = compare_all({"base": [0.0, 0.5, 0.5, 1.0], "rag": [1.0, 0.5, 1.0, 1.0]})[0]
    other: Comparison = pair.seen_from("rag")
    assert (other.first, other.second, other.difference) == ("rag", "base", -pair.difference)
    assert (other.low, other.high, other.p) == (-pair.high, -pair.low, pair.p)
    assert pair.seen_from("base") is pair
    with pytest.raises(ValueError, match="'hybrid' is not in"):
        pair.seen_from("hybrid")


def test_numbers_are_written_for_people() -> None:
    assert [show_points(value) for value in (0.623, -0.05, -0.0001, 1)] == ["62.3", "−5.0", "0.0", "100.0"]
    assert [show_p(value) for value in (0.00001, 0.03124)] == ["< 0.0001", "= 0.0312"]
