"""Platt scaling and the cuts, on data whose truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesoscope.errors import OptionError
from mesoscope.metrics import log_loss, measure
from mesoscope.training.decide.calibrate import (
    choose_thresholds,
    half_error_thresholds,
    platt,
    probability,
    temperature,
)


def sigmoid(u):
    return 1 / (1 + np.exp(-np.asarray(u, np.float64)))


def drawn(n, scale, shift, seed=0, spread=2.0):
    """Logits, and labels that are fake with probability sigmoid(scale · logit + shift)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.5, spread, n)
    return logits, (rng.random(n) < sigmoid(scale * logits + shift)).astype(int)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.4, 1.0), (2.5, -1.5), (0.05, 0.2)])
def test_known_scale_and_shift_are_recovered(scale, shift):
    found = platt(*drawn(200_000, scale, shift), method_note="drawn")
    assert found.scale == pytest.approx(scale, rel=0.03, abs=0.01)
    assert found.shift == pytest.approx(shift, abs=0.05)
    assert (found.method, found.fitted_on) == ("Platt scaling", "drawn")


def test_fit_is_the_one_that_scikit_learn_finds():
    linear_model = pytest.importorskip("sklearn.linear_model")
    logits, labels = drawn(400, 0.7, 0.3, seed=3)
    rng = np.random.default_rng(4)
    weights = rng.uniform(0.1, 3, len(labels))
    found = platt(logits, labels, weights)
    # Smoothed targets are each sample twice, once with either label, in shares.
    effective = [
        weights[labels == c].sum() ** 2 / (weights[labels == c] ** 2).sum() for c in (0, 1)
    ]
    target = np.where(labels == 1, (effective[1] + 1) / (effective[1] + 2), 1 / (effective[0] + 2))
    model = linear_model.LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000)
    model.fit(
        np.concatenate([logits, logits])[:, None],
        np.repeat([1, 0], len(labels)),
        np.concatenate([weights * target, weights * (1 - target)]),
    )
    assert found.scale == pytest.approx(model.coef_[0, 0], rel=1e-4)
    assert found.shift == pytest.approx(model.intercept_[0], abs=1e-4)


def test_logits_of_another_unit_give_the_same_probabilities():
    logits, labels = drawn(1000, 0.8, 0.1)
    a, b = platt(logits, labels), platt(1e4 * logits - 3e5, labels)
    assert a.scale * logits + a.shift == pytest.approx(
        b.scale * (1e4 * logits - 3e5) + b.shift, abs=1e-6
    )


def test_weights_count_like_repeated_samples():
    logits, labels = drawn(300, 1.0, 0.0)
    one = labels == 1
    # Doubling a class lifts the shift by about ln 2, and leaves the slope nearly alone.
    plain, doubled = platt(logits, labels), platt(logits, labels, np.where(one, 2.0, 1.0))
    assert doubled.shift - plain.shift == pytest.approx(math.log(2), abs=0.15)
    scaled = platt(logits, labels, np.full(300, 7.0))
    assert (scaled.scale, scaled.shift) == pytest.approx((plain.scale, plain.shift), rel=1e-6)


def test_separable_classes_give_a_finite_fit():
    logits = np.r_[np.linspace(-30, -20, 50), np.linspace(20, 30, 50)]
    found = platt(logits, np.repeat([0, 1], 50))
    p = sigmoid(found.scale * logits + found.shift)
    assert 0 < found.scale < 10
    assert p[49] < 0.05
    assert p[50] > 0.95
    assert p[:50].mean() == pytest.approx(1 / 52, abs=5e-3)  # Platt's target for a real one


@pytest.mark.parametrize(
    "logits", [np.r_[np.ones(50), -np.ones(50)], np.zeros(100), np.full(100, -0.03)]
)
def test_logit_that_ranks_backwards_or_not_at_all_says_cannot_tell(logits):
    labels = np.repeat([0, 1], 50)
    found = platt(logits, labels)
    assert found.scale > 0
    assert np.abs(sigmoid(found.scale * logits + found.shift) - 0.5).max() < 0.01
    assert "does not rank" in found.method
    cuts = choose_thresholds(sigmoid(found.scale * logits + found.shift), labels, 0.2)
    assert (cuts.real_below, cuts.fake_above) == (0.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.floats(1e-3, 1e5))
def test_scale_is_positive_and_finite_whatever_comes(seed, n, spread):
    rng = np.random.default_rng(seed)
    labels = np.r_[0, 1, rng.integers(0, 2, n - 2)] if n > 2 else np.array([0, 1])
    found = platt(rng.standard_t(2, n) * spread, labels, rng.uniform(0.01, 5, n))
    assert found.scale > 0
    assert math.isfinite(found.scale)
    assert math.isfinite(found.shift)


@pytest.mark.parametrize("scale", [0.05, 0.4, 1.0, 2.5])
def test_known_temperature_is_recovered(scale):
    found = temperature(*drawn(100_000, scale, 0.0), method_note="drawn")
    assert found.scale == pytest.approx(scale, rel=0.03, abs=0.01)
    assert found.shift == 0
    assert (found.method, found.fitted_on) == ("temperature scaling", "drawn")


def test_temperature_is_the_best_of_all_scales():
    logits, labels = drawn(2000, 0.6, 0.4, seed=8)
    best = temperature(logits, labels).scale
    losses = {s: log_loss(labels, sigmoid(s * logits)) for s in (0.8 * best, best, 1.25 * best)}
    assert min(losses, key=losses.get) == best


def test_temperature_takes_logits_of_another_unit_and_weights():
    logits, labels = drawn(1000, 0.8, 0.1)
    plain = temperature(logits, labels)
    assert temperature(1e4 * logits, labels).scale == pytest.approx(1e-4 * plain.scale, rel=1e-5)
    assert temperature(logits, labels, np.full(1000, 7.0)).scale == pytest.approx(plain.scale)
    # The first half alone, by weights of nearly nothing.
    half = temperature(logits[:500], labels[:500]).scale
    weighted = temperature(logits, labels, np.r_[np.ones(500), np.full(500, 1e-12)]).scale
    assert weighted == pytest.approx(half, rel=1e-4)


def test_temperature_of_a_backward_logit_says_cannot_tell():
    logits, labels = np.r_[np.ones(50), -np.ones(50)], np.repeat([0, 1], 50)
    found = temperature(logits, labels)
    assert 0 < found.scale < 0.01
    assert "does not rank" in found.method


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 4), st.floats(-2, 2))
def test_both_calibrators_lower_the_loss_and_keep_the_ranking(seed, scale, shift):
    logits, labels = drawn(800, scale, shift, seed=seed)
    if len(set(labels)) < 2:
        return
    before = log_loss(labels, probability(logits))
    by_temperature = log_loss(labels, probability(logits, temperature(logits, labels)))
    by_platt = log_loss(labels, probability(logits, platt(logits, labels)))
    room = 0.01  # smoothed targets are not quite the labels
    assert by_platt <= by_temperature + room
    assert by_temperature <= before + room
    scores = probability(logits, platt(logits, labels))
    assert (np.diff(scores[np.argsort(logits)]) >= 0).all()


def test_calibration_brings_promise_and_truth_together():
    logits, labels = drawn(20_000, 0.4, 0.0, seed=2)
    assert measure(labels, probability(logits))["ece"] > 0.1
    assert measure(labels, probability(logits, temperature(logits, labels)))["ece"] < 0.02


def calibrated(n, seed, spread=2.0):
    rng = np.random.default_rng(seed)
    p = sigmoid(rng.normal(0, spread, n))
    return p, (rng.random(n) < p).astype(int)


def sides(cuts, p, labels):
    """Share of wrong ones among those called fake, and among those called real."""
    fake, real = p >= cuts.fake_above, p < cuts.real_below
    return (labels[fake] == 0).mean(), (labels[real] == 1).mean()


@pytest.mark.parametrize("target", [0.05, 0.15, 0.3])
def test_cuts_keep_their_promise_here_and_on_new_data(target):
    p, labels = calibrated(20_000, seed=1)
    cuts = choose_thresholds(p, labels, target)
    assert all(share <= target for share in sides(cuts, p, labels))
    assert all(share <= target + 0.02 for share in sides(cuts, *calibrated(20_000, seed=2)))
    assert 0 < cuts.real_below <= 0.5 <= cuts.fake_above < 1


def test_cut_is_the_lowest_that_fits():
    p, labels = calibrated(3000, seed=5, spread=1.0)
    cuts = choose_thresholds(p, labels, 0.2)
    assert cuts.fake_above > 0.5
    assert cuts.real_below < 0.5
    for t in np.unique(p[(p >= 0.5) & (p < cuts.fake_above)]):
        assert (labels[p >= t] == 0).mean() > 0.2
    for t in np.unique(p[(p <= 0.5) & (p > cuts.real_below)]):
        assert (labels[p < t] == 1).mean() > 0.2 or (p < t).sum() == (p < cuts.real_below).sum()


def test_strong_model_decides_everything_at_one_half():
    p, labels = calibrated(2000, seed=6, spread=9.0)
    cuts = choose_thresholds(p, labels, 0.25)
    assert (cuts.real_below, cuts.fake_above) == (0.5, 0.5)


def test_too_few_faces_support_no_claim():
    p, labels = np.repeat([0.1, 0.9], 19), np.repeat([0, 1], 19)
    cuts = choose_thresholds(p, labels, 0.2)
    assert (cuts.real_below, cuts.fake_above) == (0.0, 1.0)
    assert cuts.rule.count("never") == 2
    p, labels = np.repeat([0.1, 0.9], 20), np.repeat([0, 1], 20)
    cuts = choose_thresholds(p, labels, 0.2)
    assert (cuts.real_below, cuts.fake_above) == (0.5, 0.5)
    assert "20% wrong" in cuts.rule
    assert "40 faces" in cuts.rule
    assert "decides 20, 0.0% of them wrongly" in cuts.rule


def test_equal_scores_are_decided_together():
    p = np.r_[np.full(30, 0.9), np.full(30, 0.6), np.full(30, 0.2)]
    labels = np.r_[np.ones(30), np.tile([1, 0], 15), np.zeros(30)].astype(int)
    cuts = choose_thresholds(p, labels, 0.2)  # 15 of 60 would be wrong, so .6 stays undecided
    assert 0.6 < cuts.fake_above < 0.9
    assert cuts.real_below == 0.5
    assert sides(cuts, p, labels) == (0, 0)


def test_exactly_one_half_can_be_called_fake_but_never_real():
    p, labels = np.full(50, 0.5), np.r_[np.ones(48), np.zeros(2)].astype(int)
    cuts = choose_thresholds(p, labels, 0.1)
    assert cuts.fake_above == 0.5
    assert cuts.real_below == 0.0
    worse = choose_thresholds(np.r_[p, np.full(25, 0.8)], np.r_[1 - labels, np.ones(25)], 0.1)
    assert 0.5 < worse.fake_above < 0.8


def test_weights_move_the_cut():
    p, labels = calibrated(5000, seed=7, spread=1.0)
    plain = choose_thresholds(p, labels, 0.2)
    careful = choose_thresholds(p, labels, 0.2, np.where(labels == 0, 2.0, 1.0))
    assert careful.fake_above > plain.fake_above
    assert careful.real_below > plain.real_below
    assert "weighted" in careful.rule
    assert "weighted" not in plain.rule


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=120),
    st.sampled_from([0.05, 0.2, 0.5]),
)
def test_cuts_never_cross_and_never_break_their_promise(rows, target):
    p = np.array([row[0] / 20 for row in rows])
    labels = np.array([int(row[1]) for row in rows])
    labels[:2] = 0, 1
    cuts = choose_thresholds(p, labels, target)
    assert 0 <= cuts.real_below <= 0.5 <= cuts.fake_above <= 1
    fake, real = p >= cuts.fake_above, p < cuts.real_below
    if cuts.fake_above < 1:
        assert fake.sum() >= 20
        assert (labels[fake] == 0).mean() <= target
    if cuts.real_below > 0:
        assert real.sum() >= 20
        assert (labels[real] == 1).mean() <= target


def among_decided(cuts, p, labels, weights=None):
    """Share decided, error among those, error of all."""
    w = np.ones(len(p)) if weights is None else weights
    wrong = (p >= 0.5) != labels
    decided = (p >= cuts.fake_above) | (p < cuts.real_below)
    error = np.average(wrong[decided], weights=w[decided])
    return w[decided].sum() / w.sum(), error, np.average(wrong, weights=w)


@pytest.mark.parametrize("weighted", [False, True])
def test_half_error_is_reached_by_the_fewest_undecided(weighted):
    p, labels = calibrated(6000, seed=11, spread=3.0)
    weights = np.random.default_rng(0).uniform(0.5, 2, 6000) if weighted else None
    cuts = half_error_thresholds(p, labels, 0.5, weights)
    decided, error, error_all = among_decided(cuts, p, labels, weights)
    assert error <= error_all / 2
    assert cuts.fake_above - 0.5 == pytest.approx(0.5 - cuts.real_below)
    for narrower in np.unique(np.abs(p - 0.5)):
        if narrower < cuts.fake_above - 0.5 - 1e-12:
            w = np.ones(6000) if weights is None else weights
            inside = np.abs(p - 0.5) >= narrower
            assert np.average(((p >= 0.5) != labels)[inside], weights=w[inside]) > error_all / 2
    assert (
        f"{decided:.1%} decided, {error:.1%} of them wrongly, {error_all:.1%} if all" in cuts.rule
    )
    assert "at half error" in cuts.rule


def test_half_error_holds_on_new_data():
    cuts = half_error_thresholds(*calibrated(20_000, seed=1, spread=3.0), 0.7)
    decided, error, error_all = among_decided(cuts, *calibrated(20_000, seed=2, spread=3.0))
    assert decided > 0.68
    assert error < 0.55 * error_all


def test_half_error_that_cannot_be_had_is_said():
    p, labels = calibrated(5000, seed=12, spread=0.8)
    cuts = half_error_thresholds(p, labels, 0.9)
    decided, error, error_all = among_decided(cuts, p, labels)
    assert decided >= 0.9
    assert error_all / 2 < error < error_all
    assert "the least error, at least 90% (half is not to be had" in cuts.rule
    assert half_error_thresholds(p, labels, 1.0).fake_above == 0.5


def test_half_of_no_error_decides_all():
    p, labels = np.repeat([0.1, 0.9], 30), np.repeat([0, 1], 30)
    cuts = half_error_thresholds(p, labels, 0.7)
    assert (cuts.real_below, cuts.fake_above) == (0.5, 0.5)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=4, max_size=200),
    st.floats(0.05, 1),
)
def test_half_error_keeps_its_share_whatever_comes(rows, least):
    p = np.array([row[0] for row in rows])
    labels = np.array([int(row[1]) for row in rows])
    labels[:2] = 0, 1
    cuts = half_error_thresholds(p, labels, least)
    assert 0 <= cuts.real_below <= 0.5 <= cuts.fake_above <= 1
    decided, error, error_all = among_decided(cuts, p, labels)
    assert decided >= least - 1e-9
    assert error <= error_all + 1e-12


@pytest.mark.parametrize("least", [0.0, 1.1, math.nan])
def test_share_out_of_range_is_refused(least):
    with pytest.raises(OptionError, match="least_decided"):
        half_error_thresholds([0.1, 0.9], [0, 1], least)


@pytest.mark.parametrize(
    ("values", "labels", "weights", "says"),
    [
        ([0.1, 0.2], [1, 1], None, "both classes"),
        ([0.1, 0.2], [0, 1], [1.0, 0.0], "both classes"),
        ([], [], None, "both classes"),
        ([0.1, 0.2, 0.3], [0, 1], None, "alike"),
        ([0.1, 0.2], [0, 2], None, "0 (real) or 1 (fake)"),
        ([0.1, math.nan], [0, 1], None, "finite"),
        ([0.1, 0.2], [0, 1], [1.0, -1.0], "not negative"),
    ],
)
def test_wrong_input_is_named(values, labels, weights, says):
    for call in (lambda: platt(values, labels, weights),
                 lambda: temperature(values, labels, weights),
                 lambda: half_error_thresholds(values, labels, 0.7, weights),
                 lambda: choose_thresholds(values, labels, 0.2, weights)):  # fmt: skip
        with pytest.raises(OptionError) as caught:
            call()
        assert says in str(caught.value)


@pytest.mark.parametrize("target", [0.0, 0.6, math.nan])
def test_target_out_of_range_is_refused(target):
    with pytest.raises(OptionError, match="target_error"):
        choose_thresholds([0.1, 0.9], [0, 1], target)


def test_probability_out_of_range_is_refused():
    with pytest.raises(OptionError, match=r"0\.\.1"):
        choose_thresholds([0.1, 1.1], [0, 1], 0.2)
