"""Every figure against scikit-learn or a naive loop."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from mesoscope import metrics
from mesoscope.errors import OptionError

NEED_BOTH = ("balanced_accuracy", "auc", "eer", "ap", "tpr_at_fpr_0.01")


def some(n, seed, *, steps=None):
    """Labels and scores that know something; with ``steps``, many scores are tied."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    scores = np.clip(0.25 * labels + 0.8 * draw.random(n), 0, 1)
    return labels, scores if steps is None else np.round(scores * steps) / steps


@pytest.mark.parametrize("steps", [None, 50, 4, 1])
@pytest.mark.parametrize("n", [20, 333, 2000])
def test_figures_are_those_of_scikit_learn(n, steps):
    labels, scores = some(n, seed=n, steps=steps)
    got = metrics.measure(labels, scores)
    called = scores >= 0.5
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert got["accuracy"] == pytest.approx(accuracy_score(labels, called))
    assert got["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, called))
    assert got["auc"] == pytest.approx(roc_auc_score(labels, scores))
    assert got["ap"] == pytest.approx(average_precision_score(labels, scores))
    assert got["brier"] == pytest.approx(brier_score_loss(labels, scores))
    assert got["tpr_at_fpr_0.01"] == pytest.approx(tpr[fpr <= 0.01].max())
    gap = np.abs(1 - tpr - fpr)
    nearest = np.isclose(gap, gap.min(), atol=1e-12)
    assert got["eer"] == pytest.approx((fpr[nearest].min() + fpr[nearest].max()) / 2)


def test_names_and_order_are_those_of_the_report():
    assert metrics.METRICS == (
        "accuracy", "balanced_accuracy", "auc", "eer", "ap", "tpr_at_fpr_0.01", "ece", "brier",
    )  # fmt: skip
    assert tuple(metrics.measure([0, 1], [0.1, 0.9])) == metrics.METRICS


def test_calibration_error_by_hand():
    # Bins are a fifteenth wide: .1 and .12 share one, .13 … .19 another, 1 falls into the last.
    labels = [0, 1, 0, 1, 1]
    scores = [0.10, 0.12, 0.15, 0.95, 1.0]
    expected = 2 / 5 * abs(0.5 - 0.11) + 1 / 5 * 0.15 + 2 / 5 * abs(1 - 0.975)
    assert metrics.measure(labels, scores)["ece"] == pytest.approx(expected)


def test_calibration_error_is_that_of_the_reliability_curve():
    labels, scores = some(500, seed=3)
    curve = metrics.reliability(labels, scores)
    full = curve.samples > 0
    gaps = np.abs(curve.share_fake - curve.mean_p_fake)[full]
    expected = (gaps * curve.samples[full]).sum() / 500
    assert metrics.measure(labels, scores)["ece"] == pytest.approx(expected)
    assert curve.samples.sum() == 500
    assert len(curve.edges) == 16


def test_an_edge_belongs_to_the_bin_above_it_and_one_to_the_last():
    curve = metrics.reliability([0, 0, 1], [0.0, 0.5, 1.0], bins=2)
    assert curve.samples.tolist() == [1, 2]
    assert curve.share_fake.tolist() == [0, 0.5]


def test_one_half_is_called_fake():
    assert metrics.measure([1, 0], [0.5, 0.5])["accuracy"] == 0.5
    assert metrics.measure([1], [0.5])["accuracy"] == 1


@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_equal_scores_are_chance(score):
    got = metrics.measure([0, 1, 1, 0, 0], [score] * 5)
    assert got["auc"] == 0.5
    assert got["eer"] == 0.5
    assert got["ap"] == pytest.approx(0.4)
    assert got["tpr_at_fpr_0.01"] == 0


def test_a_perfect_and_a_perfectly_wrong_score():
    right = metrics.measure([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert (right["auc"], right["eer"], right["ap"], right["tpr_at_fpr_0.01"]) == (1, 0, 1, 1)
    wrong = metrics.measure([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9])
    assert (wrong["auc"], wrong["eer"], wrong["accuracy"]) == (0, 1, 0)


def test_equal_error_rate_between_two_thresholds_is_their_mean():
    # Thresholds .8 (miss 1 of 2, no false alarm) and .5 (miss 1 of 2, all reals) lie equally near.
    assert metrics.measure([1, 0, 1], [0.8, 0.5, 0.2])["eer"] == 0.5


def test_a_rate_of_exactly_one_in_a_hundred_is_allowed():
    labels = [0] * 700 + [1] * 10
    scores = [0.9] * 7 + [0.1] * 693 + [0.8] * 10
    assert metrics.measure(labels, scores)["tpr_at_fpr_0.01"] == 1
    scores[7] = 0.9
    assert metrics.measure(labels, scores)["tpr_at_fpr_0.01"] == 0


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("n", [1, 7])
def test_one_class_alone_has_no_comparison_but_an_accuracy(label, n):
    scores = np.linspace(0.1, 0.9, n)
    got = metrics.measure([label] * n, scores)
    assert all(math.isnan(got[name]) for name in NEED_BOTH)
    assert got["accuracy"] == pytest.approx(np.mean((scores >= 0.5) == label))
    assert got["brier"] == pytest.approx(np.mean((scores - label) ** 2))
    assert got["ece"] == pytest.approx(np.mean(np.abs(scores - label)))
    assert math.isnan(metrics.roc_auc([label] * n, scores))


def test_no_sample_gives_no_number():
    assert all(math.isnan(value) for value in metrics.measure([], []).values())
    assert all(np.isnan(v).all() for v in metrics.bootstrap([], [], [], n=5).values())
    assert metrics.reliability([], []).samples.sum() == 0
    assert len(metrics.precision_recall([], []).x) == 0


def test_area_takes_scores_of_any_range():
    assert metrics.roc_auc([0, 1, 0, 1], [-3, 40, -50, -2]) == 1


@pytest.mark.parametrize(
    ("labels", "scores"),
    [
        ([0, 1], [0.5]),
        ([[0], [1]], [[0.5], [0.5]]),
        ([0, 2], [0.5, 0.5]),
        ([0, 0.5], [0.5, 0.5]),
        ([0, 1], [0.5, math.nan]),
        ([0, 1], [0.5, 1.01]),
        ([0, 1], [-0.01, 0.5]),
    ],
)
def test_what_cannot_be_measured_is_refused(labels, scores):
    with pytest.raises(OptionError):
        metrics.measure(labels, scores)


@pytest.mark.parametrize("steps", [None, 6])
def test_curves_are_those_of_scikit_learn(steps):
    labels, scores = some(200, seed=1, steps=steps)
    ours = metrics.roc(labels, scores)
    fpr, tpr, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(ours.x, fpr)
    np.testing.assert_allclose(ours.y, tpr)
    np.testing.assert_array_equal(ours.thresholds, thresholds)
    ours = metrics.precision_recall(labels, scores)
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    np.testing.assert_allclose(ours.x, recall[:-1][::-1])
    np.testing.assert_allclose(ours.y, precision[:-1][::-1])
    np.testing.assert_array_equal(ours.thresholds, thresholds[::-1])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=2, max_size=30).filter(
        lambda rows: len({label for label, _ in rows}) == 2
    )
)
def test_turning_labels_and_scores_round_changes_no_symmetric_figure(rows):
    labels, scores = np.array([r[0] for r in rows]), np.array([r[1] / 8 for r in rows])
    one, other = metrics.measure(labels, scores), metrics.measure(1 - labels, 1 - scores)
    for name in ("auc", "brier"):
        assert one[name] == pytest.approx(other[name])
    assert 0 <= one["eer"] <= 1


@pytest.mark.parametrize("steps", [None, 5])
def test_bootstrap_is_the_naive_one(steps):
    labels, scores = some(60, seed=5, steps=steps)
    groups = np.random.default_rng(6).integers(0, 14, 60)
    got = metrics.bootstrap(labels, scores, groups, n=150, seed=8)
    draw = np.random.default_rng(8)
    names = np.unique(groups)
    for i in range(150):
        rows = np.concatenate(
            [np.flatnonzero(groups == names[k]) for k in draw.integers(len(names), size=len(names))]
        )
        expected = metrics.measure(labels[rows], scores[rows])
        for name in metrics.METRICS:
            assert got[name][i] == pytest.approx(expected[name], nan_ok=True)


def test_bootstrap_does_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    labels, scores = some(50, seed=2)
    groups = np.arange(50) // 3
    whole = metrics.bootstrap(labels, scores, groups, n=40, seed=1)
    monkeypatch.setattr("mesoscope.metrics.intervals._CHUNK", 150)
    pieces = metrics.bootstrap(labels, scores, groups, n=40, seed=1)
    for name in metrics.METRICS:
        np.testing.assert_allclose(whole[name], pieces[name], rtol=1e-12)
    other = metrics.bootstrap(labels, scores, groups, n=40, seed=2)
    assert not np.array_equal(whole["auc"], other["auc"])


def test_frames_of_one_video_widen_the_interval():
    """Ten copies of a picture in one group say no more than the picture."""
    labels, scores = some(80, seed=4)
    once = metrics.bootstrap(labels, scores, np.arange(80), n=300)["auc"]
    copies = np.repeat(np.arange(80), 10)
    grouped = metrics.bootstrap(labels[copies], scores[copies], copies, n=300)["auc"]
    naive = metrics.bootstrap(labels[copies], scores[copies], np.arange(800), n=300)["auc"]
    np.testing.assert_allclose(grouped, once)
    assert np.ptp(metrics.interval(naive)) < 0.6 * np.ptp(metrics.interval(once))


def test_interval_is_the_middle_of_the_known_values():
    values = np.append(np.linspace(0, 1, 201), np.nan)
    assert metrics.interval(values) == pytest.approx((0.025, 0.975))
    assert all(math.isnan(v) for v in metrics.interval(np.array([np.nan, np.nan])))
    assert all(math.isnan(v) for v in metrics.interval(np.empty(0)))


def test_share_and_its_resamples():
    part, whole, groups = [1, 0, 0, 1], [1, 1, 0, 1], ["a", "a", "b", "c"]
    assert metrics.share(part, whole) == pytest.approx(2 / 3)
    assert math.isnan(metrics.share([0, 0], [0, 0]))
    got = metrics.bootstrap_share(part, whole, groups, n=50, seed=3)
    draw = np.random.default_rng(3)
    of_group = {0: (1, 2), 1: (0, 0), 2: (1, 1)}
    for value in got:
        drawn = [of_group[k] for k in draw.integers(3, size=3)]
        total = sum(w for _, w in drawn)
        expected = sum(p for p, _ in drawn) / total if total else math.nan
        assert value == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("steps", [None, 3, 20])
def test_bootstrap_auc_is_the_bootstraps_auc(steps):
    labels, scores = some(120, 4, steps=steps)
    groups = np.arange(120) // 3
    drawn = metrics.bootstrap_auc(labels, scores, groups, n=30, seed=7)
    whole = metrics.bootstrap(labels, scores, groups, n=30, seed=7)["auc"]
    assert np.allclose(drawn, whole)
    # Of any range, where probabilities are not.
    assert np.allclose(metrics.bootstrap_auc(labels, 5 * scores - 9, groups, n=30, seed=7), whole)


def test_bootstrap_auc_of_nothing_or_one_class_says_nothing():
    assert np.isnan(metrics.bootstrap_auc([], [], [], n=3, seed=0)).all()
    assert np.isnan(metrics.bootstrap_auc([1, 1], [0.1, 0.2], [0, 1], n=3, seed=0)).all()
