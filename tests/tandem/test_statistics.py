"""The statistics against scipy's, against brute force, and against what they promise, by simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tandem.statistics import (
    SEED,
    Array,
    can_differ,
    detectable_difference,
    estimate,
    holm,
    questions_needed,
    resampled_means,
    sign_flip_test,
)

GRADES = np.array([-1.0, -0.6, -0.4, 0.0, 0.0, 0.2, 0.4, 1.0])
differences = st.lists(st.sampled_from(GRADES.tolist()), min_size=1, max_size=40)
p_values = st.lists(st.floats(0, 1), max_size=12)


def drawn(size: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).choice(GRADES, size)


@pytest.mark.parametrize("values", [drawn(75), drawn(20, 1) ** 3, np.random.default_rng(2).beta(0.4, 3, 60)])
def test_the_interval_is_scipys_to_the_last_digit(values: Array) -> None:
    reference = stats.bootstrap((values,), np.mean, n_resamples=2000, rng=np.random.default_rng(SEED), method="BCa")
    found = estimate(values, (-1, 1), resamples=2000)
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval), abs=1e-12)


def test_drawing_in_blocks_draws_the_same() -> None:
    values = drawn(5000)
    blocks = resampled_means(values, 1, 500)  # 2.5 million numbers: two blocks
    at_once = values[np.random.default_rng(1).integers(0, values.size, (500, values.size))].mean(axis=1)
    assert blocks == pytest.approx(at_once, abs=1e-12)


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    assert estimate(drawn(50)) == estimate(drawn(50))
    assert estimate(drawn(50)) != estimate(drawn(50), seed=1)


def test_equal_values_have_an_interval_that_knows_what_few_draws_miss() -> None:
    found = estimate([0.0] * 20)
    # The binomial bound of Clopper and Pearson for 0 of 20.
    assert (found.mean, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(stats.binomtest(0, 20).proportion_ci().high)
    assert estimate([1.0] * 20).low == pytest.approx(stats.binomtest(20, 20).proportion_ci().low)
    assert estimate([0.2] * 9, (-1, 1)).low < 0 < estimate([0.2] * 9, (-1, 1)).high


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        estimate([])


@given(differences)
@settings(max_examples=50)
def test_an_interval_holds_its_mean_and_stays_within_the_values(values: list[float]) -> None:
    found = estimate(values, (-1, 1), resamples=200)
    assert -1 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= 1


@given(st.lists(st.sampled_from(GRADES.tolist()), min_size=1, max_size=10))
@settings(max_examples=50)
def test_the_exact_test_is_brute_force(values: list[float]) -> None:
    observed = abs(sum(values)) - 1e-9
    signs = itertools.product((1, -1), repeat=len(values))
    share = np.mean([abs(sum(map(math.prod, zip(values, flip, strict=True)))) >= observed for flip in signs])
    found = sign_flip_test(values)
    assert found.exact
    assert found.value == pytest.approx(float(share))


def test_the_exact_test_is_scipys() -> None:
    values = drawn(14, 3)
    reference = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(values).value == pytest.approx(reference.pvalue)


def test_of_one_size_of_difference_the_test_is_the_sign_test() -> None:
    found = sign_flip_test([1.0] * 30 + [-1.0] * 15 + [0.0] * 40)
    assert found.exact
    assert found.value == pytest.approx(stats.binomtest(30, 45).pvalue)


def test_too_many_sizes_are_drawn_and_come_near_scipys() -> None:
    values = np.random.default_rng(4).normal(0.2, 1, 60)
    reference = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=20_000, rng=5)
    found = sign_flip_test(values)
    assert not found.exact
    assert found.value == pytest.approx(reference.pvalue, abs=0.015)


def test_a_drawn_p_value_is_never_zero() -> None:
    values = np.linspace(0.5, 1, 50)
    assert sign_flip_test(values, resamples=999).value == pytest.approx(1 / 1000)


@given(differences)
@settings(max_examples=50)
def test_exchanging_the_variants_changes_no_p_value(values: list[float]) -> None:
    assert sign_flip_test(values).value == pytest.approx(sign_flip_test([-value for value in values]).value)


def test_no_difference_has_a_p_value_of_1() -> None:
    assert sign_flip_test([0.0, 0.0]).value == 1.0
    assert sign_flip_test([1.0, -1.0]).value == pytest.approx(1.0)


def test_holm_by_hand() -> None:
    # Sorted .01 .02 .03 .04: times 4, 3, 2, 1, and never less than the one before.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []


@given(p_values)
def test_holm_lies_between_the_p_value_and_bonferroni_and_keeps_the_order(values: list[float]) -> None:
    corrected = holm(values)
    for value, after in zip(values, corrected, strict=True):
        assert value <= after <= min(1.0, len(values) * value) + 1e-12
    order = sorted(range(len(values)), key=lambda place: values[place])
    assert [corrected[place] for place in order] == sorted(corrected)


def test_few_questions_can_show_nothing() -> None:
    assert [can_differ(number) for number in (1, 5, 6)] == [False, False, True]
    assert sign_flip_test([1.0] * 5).value > 0.05 > sign_flip_test([1.0] * 6).value


def test_the_detectable_difference_by_hand() -> None:
    # The normal quantiles 1.959964 and 0.841621 together, times a tenth of 0.5.
    assert detectable_difference(0.5, 100) == pytest.approx(0.140079, abs=1e-6)
    assert questions_needed(0.5, 0.140079) == 101
    assert questions_needed(0.5, 0.0) is None
    assert questions_needed(0.0, 0.1) == 1


@given(st.floats(0.01, 1), st.integers(1, 10_000))
def test_detectable_difference_and_questions_needed_are_each_others_inverse(deviation: float, questions: int) -> None:
    needed = questions_needed(deviation, detectable_difference(deviation, questions))
    assert needed in (questions, questions + 1)


def test_a_detectable_difference_is_seen_four_times_in_five() -> None:
    grades, chances = np.array([1, 0.6, 0.4, 0, -0.4, -0.6]), np.array([0.15, 0.1, 0.15, 0.5, 0.05, 0.05])
    truth = float(grades @ chances)
    questions = questions_needed(math.sqrt(float(grades**2 @ chances) - truth**2), truth)
    assert questions is not None
    random = np.random.default_rng(7)
    seen = [sign_flip_test(random.choice(grades, questions, p=chances)).value < 0.05 for _ in range(400)]
    # Two standard errors of 0.8 among 400 are 0.04.
    assert np.mean(seen) == pytest.approx(0.8, abs=0.06)


def test_intervals_hold_the_truth_and_the_test_errs_as_often_as_they_say() -> None:
    random = np.random.default_rng(8)
    chances = np.array([0.05, 0.1, 0.05, 0.3, 0.3, 0.1, 0.05, 0.05])
    truth, held, wrong, trials = float(GRADES @ chances), 0, 0, 600
    for _ in range(trials):
        values = random.choice(GRADES, 60, p=chances)
        found = estimate(values, (-1, 1), resamples=400)
        held += found.low <= truth <= found.high
        # No difference: each value as likely as its opposite.
        wrong += sign_flip_test(values * random.choice([-1, 1], 60), resamples=400).value < 0.05
    # Three standard errors of a share of 0.95 among 600 are 0.027; bootstrap intervals of 60 are a little short.
    assert 0.915 <= held / trials <= 0.975
    assert wrong / trials <= 0.05 + 0.027
