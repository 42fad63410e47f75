"""Every public set, built as published with a face in every file, becomes a data set."""

import csv
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from mesoscope.data.manifest import read_dataset
from mesoscope.data.prepare import PrepareOptions, prepare
from mesoscope.media.image import open_image

QUICK = PrepareOptions(frames=1, size_px=48)


def _conftest():
    spec = importlib.util.spec_from_file_location("made", Path(__file__).with_name("conftest.py"))
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def put(collins, tmp_path_factory):
    """Writes the file that a builder asks for: a face, its colours turned round in fakes."""
    made, folder = _conftest(), tmp_path_factory.mktemp("files")
    data = {}
    for label in (0, 1):
        face = np.ascontiguousarray(collins[:, :, :: -1 if label else 1])
        pixels = made.scene([(face, 100)])
        data[label, ".mp4"] = made.write_clip(folder / f"{label}.mp4", [pixels] * 3).read_bytes()
        for suffix in (".jpg", ".png"):
            data[label, suffix] = cv2.imencode(suffix, pixels[:, :, ::-1])[1].tobytes()

    def write(path, label):
        path.write_bytes(data[label, path.suffix])

    return write


@pytest.mark.parametrize(
    "name",
    ["ffpp", "dfdc", "dfdc_sample", "dfdc_test", "dfdc_preview", "celeb_df", "uadfv",
     "faces_140k", "ciplab", "openforensics", "cnndetection", "fal", "plain"],
)  # fmt: skip
def test_a_set_is_prepared(tmp_path, trees, put, name):
    root, out = getattr(trees, name)(tmp_path, put), tmp_path / "out"
    prepared = prepare(root, out, options=QUICK, jobs=2)
    assert prepared.plan.reading.layout == name.partition("_")[0] or name in (
        "celeb_df",
        "faces_140k",
    )
    assert prepared.plan.terms
    census = prepared.census
    assert census.left_out.total() == len(prepared.plan.left_out)
    assert census.total == len(prepared.plan.jobs)
    samples = read_dataset(out)
    groups = {}
    for sample in samples:
        groups.setdefault(sample.group, set()).add(sample.split)
        red, _, blue = open_image(sample.path).pixels.reshape(-1, 3).mean(axis=0)
        assert (blue > red) == sample.label, sample.path  # the label is what the picture shows
        assert bool(sample.method) == bool(sample.label)
    assert all(len(found) == 1 for found in groups.values())
    split = "test" if name in ("dfdc_test", "cnndetection") else "train"
    assert {s.label for s in samples if s.split == split} == {0, 1}
    told = "train is empty: training needs it; `split=group` draws" in " ".join(census.warnings())
    assert told == (split == "test")
    with (out / "left_out.csv").open(newline="") as file:
        assert {row["reason"] for row in csv.DictReader(file)} <= {"split"}
