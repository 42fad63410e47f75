"""The calibration error that chance shows, and the log loss."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as reference

from mesoscope.errors import OptionError
from mesoscope.metrics import ece_by_chance, log_loss, measure


def beta(n, seed):
    return np.random.default_rng(seed).beta(0.6, 0.6, n)


def test_floor_is_the_error_of_labels_drawn_from_the_scores():
    p = beta(186, seed=1)
    draw = np.random.default_rng(2)
    errors = [measure((draw.random(186) < p).astype(int), p)["ece"] for _ in range(600)]
    found = ece_by_chance(p, n=2000, seed=3)
    assert found.mean == pytest.approx(np.mean(errors), abs=0.002)
    assert found.high == pytest.approx(np.quantile(errors, 0.95), abs=0.004)
    assert found.mean > 0.04  # of a source of this size, without any fault of the model


def test_floor_sinks_with_the_number_of_faces():
    few, many = ece_by_chance(beta(100, 1)), ece_by_chance(beta(10_000, 1))
    assert many.high < few.mean / 3


def test_a_model_that_promises_too_much_lies_above_it():
    p = beta(3000, seed=4)
    labels = (np.random.default_rng(5).random(3000) < 0.5 + 0.3 * (p - 0.5)).astype(int)
    assert measure(labels, p)["ece"] > ece_by_chance(p).high


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 99))
def test_floor_is_an_error_and_the_same_for_the_same_seed(scores, seed):
    found = ece_by_chance(scores, n=50, seed=seed)
    assert 0 <= found.mean <= 1
    assert 0 <= found.high <= 1
    assert found == ece_by_chance(scores, n=50, seed=seed)
    assert ece_by_chance(np.round(scores), n=5).high == 0  # what is certain leaves no chance


def test_nothing_gives_no_floor():
    assert math.isnan(ece_by_chance([]).mean)
    assert math.isnan(ece_by_chance([0.5], n=0).high)
    with pytest.raises(OptionError, match=r"0\.\.1"):
        ece_by_chance([1.5])


def test_log_loss_is_that_of_scikit_learn():
    p = beta(400, seed=6)
    labels = np.random.default_rng(7).integers(0, 2, 400)
    assert log_loss(labels, p) == pytest.approx(reference(labels, p))
    assert math.isfinite(log_loss([0, 1], [1.0, 0.0]))
    assert math.isnan(log_loss([], []))
