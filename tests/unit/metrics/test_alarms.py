"""Thresholds at a false-positive rate, what they cost, and how many alarms are true."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import OptionError
from mesoscope.metrics import alarms_at, reals_needed, threshold_at_fpr, true_share
from mesoscope.metrics.alarms import Alarms, Rate


def scored(n, seed, *, steps=None):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    p = np.clip(0.3 * labels + 0.75 * draw.random(n), 0, 1)
    return labels, p if steps is None else np.round(p * steps) / steps


def test_counts_are_those_of_the_threshold():
    labels, p = [0, 0, 0, 1, 1], [0.2, 0.7, 0.9, 0.7, 0.6]
    found = alarms_at(labels, p, 0.7, ["a", "a", "b", "c", "d"])
    assert (found.false.hits, found.false.n) == (2, 3)
    assert found.false.effective_n == pytest.approx(9 / 5)
    assert found.found == Rate(1, 2, 2.0)
    assert found.found.share == 0.5
    assert found.false.interval()[0] < 2 / 3 < found.false.interval()[1]


@given(
    st.integers(0, 10_000), st.integers(20, 800), st.sampled_from([None, 40, 9]),
    st.floats(0.006, 0.9),
)  # fmt: skip
def test_threshold_is_the_lowest_that_keeps_the_rate(seed, n, steps, fpr):
    labels, p = scored(n, seed, steps=steps)
    labels[:2] = 0, 1
    cut = threshold_at_fpr(labels, p, fpr)
    reals = p[labels == 0]
    lower = [t for t in np.unique(p) if (reals >= t).mean() <= fpr]
    if len(reals) * fpr < 5:
        assert cut is None
    elif lower:
        assert (p >= cut).tolist() == (p >= lower[0]).tolist()
        assert cut not in p
    else:
        assert cut is None or (reals >= cut).sum() == 0


def test_rate_holds_on_new_faces():
    cut = threshold_at_fpr(*scored(20_000, seed=1), 0.05)
    again = alarms_at(*scored(20_000, seed=2), cut)
    assert again.false.share == pytest.approx(0.05, abs=0.01)
    low, high = again.false.interval()
    assert low < 0.05 < high


def test_too_few_reals_support_no_rate():
    labels, p = np.r_[np.zeros(499), np.ones(100)].astype(int), np.linspace(0, 1, 599)
    assert threshold_at_fpr(labels, p, 0.01) is None
    assert threshold_at_fpr(np.r_[labels, 0], np.r_[p, 0.5], 0.01) is not None
    assert (reals_needed(0.01), reals_needed(0.001), reals_needed(0.1)) == (500, 5000, 50)


def test_frames_of_one_video_support_less_than_their_number():
    labels, p = np.r_[np.zeros(600), np.ones(100)].astype(int), np.linspace(0, 1, 700)
    assert threshold_at_fpr(labels, p, 0.01) is not None
    assert threshold_at_fpr(labels, p, 0.01, np.arange(700) // 2) is None


def test_reals_that_share_the_highest_score_leave_no_cut():
    labels, p = np.r_[np.zeros(100), np.ones(10)].astype(int), np.ones(110)
    assert threshold_at_fpr(labels, p, 0.1) is None


def test_true_share_is_bayes_rule():
    alarms = Alarms(0.5, Rate(50, 1000, 1000.0), Rate(80, 100, 100.0))
    share, (low, high) = true_share(alarms, 0.01)
    assert share == pytest.approx(0.01 * 0.8 / (0.01 * 0.8 + 0.99 * 0.05))  # one in seven
    assert low < share < high
    # On a set of which so many are fake, it is simply the precision.
    labels, p = scored(500, seed=3)
    found = alarms_at(labels, p, 0.6)
    assert true_share(found, labels.mean())[0] == pytest.approx(labels[p >= 0.6].mean())


@given(
    st.integers(0, 300), st.integers(1, 300), st.integers(0, 300), st.integers(1, 300),
    st.floats(1e-5, 0.99), st.floats(1e-5, 0.99),
)  # fmt: skip
def test_true_share_lies_in_its_interval_and_rises_with_prevalence(f, n, t, m, one, other):
    alarms = Alarms(0.5, Rate(min(f, n), n, float(n)), Rate(min(t, m), m, float(m)))
    rarer, commoner = sorted([one, other])
    share, (low, high) = true_share(alarms, rarer)
    assert 0 <= low <= high <= 1
    if f or t:
        assert low <= share <= high
        assert share <= true_share(alarms, commoner)[0]
    else:
        assert math.isnan(share)


def test_true_share_interval_holds_the_truth():
    draw = np.random.default_rng(5)
    truth = 0.02 * 0.7 / (0.02 * 0.7 + 0.98 * 0.04)
    held = []
    for _ in range(200):
        rates = (
            Rate(int(draw.binomial(300, 0.04)), 300, 300.0),
            Rate(int(draw.binomial(200, 0.7)), 200, 200.0),
        )
        low, high = true_share(Alarms(0.5, *rates), 0.02)[1]
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.95


def test_without_a_class_nothing_is_said():
    share, interval = true_share(alarms_at([0, 0], [0.1, 0.9], 0.5), 0.1)
    assert math.isnan(share)
    assert math.isnan(interval[0])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: threshold_at_fpr([0, 1], [0.1, 0.9], 0.0), "false-positive rate"),
        (lambda: threshold_at_fpr([0, 1], [0.1, 0.9], 1.0), "false-positive rate"),
        (lambda: true_share(alarms_at([0, 1], [0.1, 0.9], 0.5), 0.0), "prevalence"),
        (lambda: true_share(alarms_at([0, 1], [0.1, 0.9], 0.5), math.nan), "prevalence"),
        (lambda: alarms_at([0, 1], [0.1, 1.9], 0.5), "0..1"),
        (lambda: alarms_at([0, 1], [0.1, 0.9], 0.5, ["a"]), "groups"),
    ],
)
def test_what_cannot_be_is_refused(call, says):
    with pytest.raises(OptionError, match=says):
        call()
