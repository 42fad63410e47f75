"""The pictures that a guard is asked about, and the shares that are told of it."""

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from mesoscope.data.manifest import Sample
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import Scores
from mesoscope.types import Guard, ModelCard, Thresholds

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
try:
    strange, unfamiliar = (importlib.import_module(n) for n in ("strange", "unfamiliar"))
finally:
    del sys.path[0]


class Darkness:
    """p_fake = brightness; unfamiliar as far as a crop is dark."""

    card = ModelCard("dark", "none", input_px=64, thresholds=Thresholds(0.5, 0.5), guard=Guard())
    model_id = "dark@00000000"

    def score(self, crops, *, heat=False):
        assert not heat
        p = crops.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
        return Scores(p, p, None, 2 * (1 - p))


@pytest.mark.parametrize("kind", strange.OBJECTS)
def test_objects_are_pictures_that_come_again(kind):
    first, second = strange.objects(kind, 2)
    for x in (first, second):
        assert (x.shape, x.dtype) == ((256, 256, 3), np.uint8)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, next(strange.objects(kind, 1)))


@pytest.mark.parametrize("kind", strange.SPOILT)
def test_spoilt_faces_are_other_pictures_of_the_same_size(kind, make_face):
    face = make_face(3, 256)
    before = face.copy()
    x = strange.SPOILT[kind](face)
    assert (x.shape, x.dtype) == ((256, 256, 3), np.uint8)
    assert not np.array_equal(x, face)
    assert np.array_equal(face, before)


def grey(level):
    return np.full((64, 64, 3), level, np.uint8)


def test_a_row_tells_what_was_decided_with_the_guard_and_without():
    detector = Detector(Darkness(), faces="whole")
    kind = unfamiliar.Kind(detector)
    # The first two are dark, so strange; one of them would be taken for real wrongly.
    for level, label in ((0, 0), (50, 1), (140, 0), (200, 1)):
        sample = Sample("x.png", label, "one", f"g{level}", "validation")
        kind.add(detector.check(grey(level)), sample)
    row = kind.row("faces", "one", kind)
    assert (row["n"], row["unfamiliar"]) == (4, 0.5)
    assert row["unfamiliar_low"] < 0.5 < row["unfamiliar_high"]
    assert (row["decided_unguarded"], row["decided"]) == (1.0, 0.5)
    assert (row["wrong_unguarded"], row["wrong"]) == (0.5, 0.5)
    assert "auroc" not in row

    things = unfamiliar.Kind(detector)
    things.add(detector.check(grey(0)))
    row = things.row("no faces", "black", kind)
    assert row["auroc"] == pytest.approx(0.875)  # one face is as dark
    assert "wrong" not in row


def test_other_models_rows_stay_in_the_table(tmp_path):
    path = tmp_path / "unfamiliar.csv"
    row = dict.fromkeys(unfamiliar.COLUMNS, "") | {"trained_on": "all sources", "kind": "all"}
    unfamiliar._write(path, [row | {"model": "a@1", "n": 1}, row | {"model": "b@1", "n": 2}])
    unfamiliar._write(path, [row | {"model": "a@2", "n": 3}])
    with path.open() as file:
        found = [(r["model"], r["n"]) for r in csv.DictReader(file)]
    assert found == [("b@1", "2"), ("a@2", "3")]


def test_a_source_held_out_must_be_one_of_the_data():
    sample = Sample("x.png", 0, "one", "g", "validation")
    with pytest.raises(SystemExit, match=r"--held-out two=m\.onnx: give a source"):
        list(unfamiliar.rows_held_out(["two=m.onnx"], [sample]))


def test_some_of_each_source_and_class():
    samples = [Sample(f"{i}", i % 2, "ab"[i % 3 == 0], str(i), "validation") for i in range(60)]
    some = unfamiliar.some_of_each(samples, 4)
    assert len(some) == 16
    assert len({(s.source, s.label) for s in some}) == 4
