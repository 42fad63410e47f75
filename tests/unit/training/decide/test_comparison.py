"""The guard of a quantised copy: as strict as that of its original."""

from types import SimpleNamespace

import numpy as np
import pytest

from mesoscope.data.sample import Sample
from mesoscope.training.decide.comparison import _guard_as_strict
from mesoscope.types import Guard


def scorer(above=1.0):
    guard = Guard(unfamiliar_above=above, false_refusals=0.01, rule="a distance", fitted_on="faces")
    return SimpleNamespace(card=SimpleNamespace(guard=guard))


def samples(count):
    return [Sample(f"{i}.jpg", i % 2, "one", str(i), "validation") for i in range(count)]


@pytest.mark.parametrize(("share", "above"), [(0.03, 1.0), (0.03, 2.5), (0.2, 1.0)])
def test_as_many_faces_are_refused_as_before(share, above):
    draw = np.random.default_rng(7)
    distances = draw.gamma(9, 1, 3000)
    distances *= above / np.quantile(distances, 1 - share)
    longer = 1.4 * distances + draw.normal(0, 0.1 * above, 3000)
    guard = _guard_as_strict([scorer(above), scorer(above)], samples(3000), (distances, longer))
    assert np.mean(longer > guard.unfamiliar_above) == pytest.approx(share, abs=0.005)
    assert guard.false_refusals == pytest.approx(share, abs=0.005)
    assert guard.rule.startswith("a distance; the threshold ")
    assert guard.fitted_on == "faces; after the quantisation on 3000 faces"


def test_a_dozen_faces_none_of_them_refused_set_it_by_the_ratio_of_distances():
    distances = np.linspace(0.3, 0.7, 12)
    longer = 1.25 * distances
    longer[-1] = 3  # one odd face decides nothing
    guard = _guard_as_strict([scorer(), scorer()], samples(12), (distances, longer))
    assert guard.unfamiliar_above == pytest.approx(1.25, abs=0.01)


def test_without_a_guard_or_a_distance_nothing_is_set():
    none = SimpleNamespace(card=SimpleNamespace(guard=None))
    some, nan = np.ones(4), np.full(4, np.nan)
    assert _guard_as_strict([none, none], samples(4), (some, some)) is None
    assert _guard_as_strict([scorer(), scorer()], samples(4), (some, nan)) is None
