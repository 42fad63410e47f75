"""Boxes agree with those of the package ``mtcnn`` on TensorFlow.

``benchmarks/mtcnn_answers.py`` wrote its answers, boxes rounded to whole pixels.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mesoscope.faces import mtcnn
from mesoscope.faces.crop import overlaps
from mesoscope.types import Frame

ANSWERS = json.loads((Path(__file__).parent / "mtcnn_answers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pictures(scenes, photographs):
    composed = {k: Frame(scenes.scene(k, n).pixels, k) for n, k in enumerate(scenes.kinds())}
    return photographs | composed


def agreement(pictures, min_face_px):
    """Of each of their faces: the overlap with ours, and the landmarks' distance in widths."""
    told = ANSWERS["min_face_px"][str(min_face_px)]
    assert sorted(told) == sorted(pictures)
    finder = mtcnn.MtcnnFinder(min_face_px)
    shared, apart = [], []
    for name, theirs in told.items():
        (found,) = finder.find([pictures[name]])
        assert len(found.faces) == len(theirs), name
        for face in theirs:
            over = overlaps(np.array([face["box"]]), np.array([f.box for f in found.faces]))[0]
            same = found.faces[over.argmax()]
            points = np.subtract(face["landmarks"], same.landmarks)
            shared.append(over.max())
            apart.append(np.abs(points).max() / (face["box"][2] - face["box"][0]))
            assert same.confidence == pytest.approx(face["confidence"], abs=0.05)
    return np.array(shared), np.array(apart)


@pytest.mark.parametrize("min_face_px", [20, 40])
def test_the_same_faces(pictures, min_face_px):
    shared, apart = agreement(pictures, min_face_px)
    assert len(shared) == 16
    assert shared.mean() > 0.92
    assert shared.min() > 0.7
    assert apart.max() < 0.1


@pytest.mark.skipif(
    int(cv2.__version__.split(".")[0]) < 5,
    reason="the answers are to scenes that OpenCV 5 turned, and OpenCV 4 rounds otherwise",
)
def test_but_for_the_quicker_pyramid_and_rounding_they_are_the_same(pictures, monkeypatch):
    monkeypatch.setattr(mtcnn, "_SPARE", np.inf)  # each level from the picture itself
    shared, apart = agreement(pictures, 40)
    assert shared.mean() > 0.97
    assert shared.min() > 0.93
    assert apart.max() < 0.06
