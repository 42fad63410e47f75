"""The guard of a file that is calibrated anew refuses few of the faces that it is calibrated on."""

from types import SimpleNamespace

import numpy as np
import pytest

from mesoscope.types.card import Guard

pytest.importorskip("torch", reason="the train extra is not installed")

from mesoscope.training.adopt.calibrated import _refusing_few

GUARD = Guard(unfamiliar_above=1.0, false_refusals=0.05, rule="a distance", fitted_on="faces")


def faces(n):
    return [SimpleNamespace(source="one", label=i % 2) for i in range(n)]


def test_a_guard_that_refuses_more_gets_a_higher_threshold():
    distances = list(np.linspace(0, 1.1, 4000))  # a tenth lie beyond 1
    guard = _refusing_few(GUARD, faces(4000), distances)
    assert guard.unfamiliar_above == pytest.approx(0.99 * 1.1, abs=1e-3)
    beyond = np.mean(np.array(distances) > guard.unfamiliar_above)
    assert 0 < beyond <= 0.01
    assert guard.rule == "a distance; at most 1% of the faces of its calibration exceed 1.0891"


@pytest.mark.parametrize(
    ("n", "longest"),
    [(4000, 1.0), (4000, 1.005), (100, 1.2), (10, 5.0)],
    ids=["none beyond", "few beyond", "too few faces", "hardly any face"],
)
def test_else_the_guard_stays(n, longest):
    assert _refusing_few(GUARD, faces(n), list(np.linspace(0, longest, n))) is GUARD


def test_faces_without_a_distance_do_not_count():
    assert _refusing_few(GUARD, faces(3000), [None] * 3000) is GUARD
