"""Intervals against references, and where they degenerate."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lib.ledger.intervals import (
    Estimate,
    bootstrap_interval,
    exact,
    over_items,
    over_seeds,
    proportion,
    t_interval,
    wilson_interval,
)

unhurried = settings(deadline=None, max_examples=50)  # a busy machine is no failure


def test_the_t_interval_is_scipys():
    values = [0.371, 0.374, 0.372, 0.379]
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((reference.low, reference.high), rel=1e-12)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (1, 1), (210, 210)])
def test_wilsons_interval_is_scipys(successes, trials):
    reference = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((reference.low, reference.high), abs=1e-12)


@unhurried
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilsons_interval_holds_the_share_and_stays_between_0_and_1(case):
    low, high = wilson_interval(*case)
    assert 0 <= low <= case[0] / case[1] <= high <= 1


def test_the_bootstrap_is_close_to_the_t_interval_for_many_items():
    items = np.random.default_rng(0).normal(3, 1, 400)
    assert bootstrap_interval(items) == pytest.approx(t_interval(list(items)), abs=0.03)


def test_the_bootstrap_is_the_same_with_the_same_seed_alone():
    items = list(np.random.default_rng(0).normal(size=30))
    assert bootstrap_interval(items, seed=1) == bootstrap_interval(items, seed=1)
    assert bootstrap_interval(items, seed=1) != bootstrap_interval(items, seed=2)


def test_the_bootstrap_takes_any_statistic():
    items = np.random.default_rng(0).normal((0, 5), size=(50, 2))
    low, high = bootstrap_interval(items, lambda drawn: drawn[:, :, 1].max(axis=1))
    assert high == items[:, 1].max() >= low > 5


def test_large_samples_are_drawn_in_pieces():
    items = np.arange(30000.0)
    low, high = bootstrap_interval(items, resamples=300)
    assert low < items.mean() < high


@unhurried
@given(st.floats(-1e6, 1e6), st.integers(2, 20))
def test_equal_values_have_an_interval_of_width_zero(value, count):
    assert over_seeds([value] * count).interval == (value, value)
    assert over_items([value] * count).value == value


@pytest.mark.parametrize("estimate", [over_seeds([1.5]), over_items([1.5])])
def test_one_value_has_no_interval_and_says_so(estimate):
    assert (estimate.value, estimate.interval) == (1.5, None)
    assert "no interval" in estimate.basis


@pytest.mark.parametrize("make", [over_seeds, over_items])
@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf, 1.0]])
def test_no_values_and_values_that_are_not_finite_are_refused(make, values):
    with pytest.raises(ValueError, match=r"no values|finite"):
        make(values)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_a_proportion_of_nothing_is_refused(successes, trials):
    with pytest.raises(ValueError, match="0 <= successes <= trials"):
        proportion(successes, trials)


def test_estimates_say_what_they_rest_on():
    assert proportion(3, 4, "answer").basis == "3 of 4 answers"
    assert over_seeds([1, 2, 3]).basis == "mean of 3 seeds"
    assert exact(2).interval is None


def test_an_estimate_is_finite():
    with pytest.raises(ValueError, match="finite"):
        Estimate(math.nan, None, "")
