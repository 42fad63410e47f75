import numpy as np
import pytest

from mesoscope import Detector
from mesoscope.faces.finder import WideEnough, is_narrow
from mesoscope.types import Frame


class Recorder:
    name = "recorder"

    def __init__(self):
        self.asked = []

    def find(self, frames):
        self.asked += [frame.pixels.shape[1::-1] for frame in frames]
        return [f"answer {frame.source}" for frame in frames]


def frame(width, height, name="x"):
    return Frame(np.full((height, width, 3), 128, np.uint8), name)


@pytest.mark.parametrize(
    ("size", "narrow"),
    [
        ((33_000, 1), True), ((1, 65_535), True), ((1_000_000, 10), True), ((3000, 19), True),
        ((3000, 20), True), ((1900, 20), False), ((10_000, 600), False), ((256, 256), False),
        ((39, 10), False), ((2, 3), False), ((1, 1), False),
    ],
)  # fmt: skip
def test_what_is_narrow(size, narrow):
    assert is_narrow(frame(*size), 40) == narrow


def test_the_finder_is_asked_about_the_others_in_their_order():
    finder = Recorder()
    frames = [frame(100, 100, "a"), frame(50_000, 1, "b"), frame(60, 80, "c")]
    answers = WideEnough(finder, 40).find(frames)
    assert answers[0] == "answer a"
    assert answers[1].faces == ()
    assert answers[2] == "answer c"
    assert finder.asked == [(100, 100), (60, 80)]


@pytest.mark.parametrize("faces", ["auto", "mtcnn", "whole"])
def test_a_narrow_picture_is_an_answer_with_every_finder(faces):
    detector = Detector("meso4", faces=faces, jobs=1)
    for width, height in ((33_000, 1), (1, 65_535), (300_000, 10)):
        verdict = detector.check(np.full((height, width, 3), 128, np.uint8))
        assert (verdict.label, verdict.p_fake, verdict.reason) == (None, None, "no_face")


@pytest.mark.parametrize("faces", ["auto", "mtcnn", "whole"])
def test_tiny_pictures_are_answers_too(faces):
    detector = Detector("meso4", faces=faces, jobs=1)
    for width, height in ((1, 1), (2, 3), (3, 2)):
        verdict = detector.check(np.full((height, width, 3), 128, np.uint8))
        assert verdict.label is None
        assert verdict.reason in ("no_face", "face_too_small")
