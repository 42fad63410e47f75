"""The guard of a file that is calibrated anew refuses few of the faces that it is calibrated on."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from mesoscope.detection.scorer import OnnxScorer, check_pictures
from mesoscope.models.file import graph_sha256, read_card, shipped
from mesoscope.types.card import Calibration, Guard

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch", reason="the train extra is not installed")

from mesoscope.training.adopt.calibrated import _shrunk, _stretch  # noqa: E402 - only where installed
from mesoscope.training.export.onnx_export import with_card  # noqa: E402

GUARD = Guard(unfamiliar_above=2.0, false_refusals=0.05, rule="a distance", fitted_on="faces")


def faces(n):
    return [SimpleNamespace(source="one", label=i % 2) for i in range(n)]


def test_distances_shrink_until_few_faces_are_refused():
    distances = np.linspace(0, 2.2, 4000)  # a tenth lie beyond 2
    stretch = _stretch(GUARD, faces(4000), list(distances))
    assert stretch == pytest.approx(0.99 * 1.1, abs=1e-3)
    assert 0.005 < np.mean(distances / stretch > 2) <= 0.01


@pytest.mark.parametrize(
    ("n", "longest"),
    [(4000, 2.0), (4000, 2.01), (100, 2.4), (10, 9.0)],
    ids=["none beyond", "few beyond", "too few faces", "hardly any face"],
)
def test_else_they_stay(n, longest):
    assert _stretch(GUARD, faces(n), list(np.linspace(0, longest, n))) == 1


def test_faces_without_a_distance_do_not_count():
    assert _stretch(GUARD, faces(3000), [None] * 3000) == 1


def test_the_graph_divides_its_distances_and_nothing_else(tmp_path):
    path, out = shipped()["mesoscope-small"], tmp_path / "shrunk.onnx"
    model = _shrunk(lambda _: onnx.load(path), 1.25, Calibration())
    onnx.checker.check_model(model)
    digest = graph_sha256(model.SerializeToString())
    card = dataclasses.replace(read_card(path), graph_sha256=digest)
    out.write_bytes(with_card(model, card))
    before, after = (OnnxScorer(one).score(check_pictures(256)) for one in (path, out))
    np.testing.assert_allclose(after.unfamiliar, before.unfamiliar / 1.25, rtol=1e-5)
    np.testing.assert_array_equal(after.p_fake, before.p_fake)
