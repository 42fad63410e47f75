"""Intervals of shares, against SciPy and by what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mesoscope.errors import OptionError
from mesoscope.metrics import effective_count, proportion_interval


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_interval_is_that_of_scipy(n, share, level):
    hits = round(share * n)
    found = proportion_interval(hits, n, level=level)
    expected = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.2, 1))
def test_samples_that_belong_together_widen_it(n, share, worth):
    hits = round(share * n)
    low, high = proportion_interval(hits, n)
    wide_low, wide_high = proportion_interval(hits, n, effective_n=worth * n)
    assert 0 <= wide_low <= low + 1e-9
    assert high - 1e-9 <= wide_high <= 1
    assert wide_low <= hits / n <= wide_high


def test_counts_in_between_are_the_beta_distribution():
    found = proportion_interval(7, 50, effective_n=21.3)
    k = 7 / 50 * 21.3
    expected = stats.beta.ppf(0.025, k, 21.3 - k + 1), stats.beta.ppf(0.975, k + 1, 21.3 - k)
    assert found == pytest.approx(expected, abs=1e-9)


def test_it_holds_the_true_share_as_often_as_it_says():
    draw = np.random.default_rng(0)
    for share in (0.01, 0.3):
        pairs = [proportion_interval(int(h), 100) for h in draw.binomial(100, share, 400)]
        assert np.mean([low <= share <= high for low, high in pairs]) >= 0.95


def test_nothing_known_is_everything_possible():
    assert proportion_interval(0, 0) == (0.0, 1.0)
    assert proportion_interval(0, 30)[0] == 0.0
    assert proportion_interval(30, 30)[1] == 1.0


@pytest.mark.parametrize("wrong", [(-1, 3), (4, 3), (math.nan, 3)])
def test_counts_that_cannot_be_are_refused(wrong):
    with pytest.raises(OptionError, match="hits"):
        proportion_interval(*wrong)
    with pytest.raises(OptionError, match="level"):
        proportion_interval(1, 2, level=1.0)


def test_groups_count_by_what_they_are_worth():
    assert effective_count([]) == 0
    assert effective_count(["a", "b", "c"]) == 3
    assert effective_count(["a"] * 9) == 1
    assert effective_count(["a"] * 4 + ["b"] * 4) == 2
    assert effective_count(["a"] * 8 + ["b", "c"]) == pytest.approx(100 / 66)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_worth_lies_between_one_and_the_number_of_groups(groups):
    assert 1 - 1e-9 <= effective_count(groups) <= len(set(groups)) + 1e-9
