"""What an explanation holds, and how its picture is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from mesoscope.detection.detector import Detector
from mesoscope.draw import Terms
from mesoscope.errors import OptionError, OutputError, SourceMissing
from mesoscope.evidence.explain import Explanation, explain, format_of, save_picture, terms_of
from mesoscope.types import FaceScore, Verdict


def test_maps_are_told_row_by_row_beside_their_squares():
    heat = np.arange(6, dtype=np.float32).reshape(2, 3) / 10
    face = FaceScore((10.0, 20.0, 50.0, 60.0), 1.0, 0.5, heat=heat)
    bare = FaceScore((0.0, 0.0, 9.0, 9.0), 1.0, 0.5)
    verdict = Verdict("a", "image", "fake", 0.5, "m", faces=(face, bare), finder="mtcnn")
    told = Explanation(
        verdict, np.zeros((1, 1, 3), np.uint8), "00", Terms(face_margin=1.5)
    ).to_dict()
    assert json.loads(json.dumps(told))["evidence"] == [
        {"square": [0, 10, 60], "heat": [[0.0, 0.1, 0.2], [0.3, 0.4, 0.5]]},
        {"square": [-2, -2, 14], "heat": []},
    ]
    assert told["verdict"] == verdict.to_dict()


def test_a_detector_without_maps_is_refused(tmp_path):
    with pytest.raises(OptionError, match="make it with heat=True"):
        explain(Detector(faces="whole"), tmp_path / "a.jpg")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(SourceMissing, match="no such file"):
        explain(Detector(faces="whole", heat=True), tmp_path / "a.jpg")


def test_terms_are_the_detectors_own():
    guarded = terms_of(Detector(heat=True))
    card = Detector(heat=True).card
    assert guarded == Terms(card.thresholds, card.guard, card.face_margin, card.crop_margin)
    asked = terms_of(Detector(heat=True, guard=False, threshold=0.4))
    assert asked.guard is None
    assert (asked.thresholds.real_below, asked.thresholds.fake_above) == (0.4, 0.4)


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.jpeg", "deep/er/a.webp"])
def test_pictures_come_back(tmp_path, name):
    pixels = np.full((40, 60, 3), (10, 120, 200), np.uint8)
    save_picture(pixels, tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        assert picture.format == format_of(tmp_path / name)
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - pixels).max() < 12
    assert [p.name for p in (tmp_path / name).parent.iterdir()] == [(tmp_path / name).name]


def test_a_sheet_too_high_for_webp_is_said(tmp_path):
    with pytest.raises(OutputError, match="too many for WebP: write a PNG"):
        save_picture(np.zeros((17_000, 2, 3), np.uint8), tmp_path / "a.webp")
    assert list(tmp_path.iterdir()) == []


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(OptionError, match=r"name the picture \.png"):
        format_of(tmp_path / "a.gif")
