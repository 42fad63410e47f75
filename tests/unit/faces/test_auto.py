"""When a picture is taken as the face it shows."""

import cv2
import numpy as np
import pytest

from mesoscope.faces.finder import LONGEST_PX, AutoFinder, fills, is_crop_shaped
from mesoscope.faces.mtcnn import MtcnnFinder
from mesoscope.types import Face, Found, Frame


class Given:
    """Finds the boxes it was given."""

    name = "given"

    def __init__(self, *boxes):
        self.boxes = boxes

    def find(self, frames):
        return [Found(tuple(Face(box) for box in self.boxes), self.name) for _ in frames]


def frame(width, height, **rest):
    return Frame(np.zeros((height, width, 3), np.uint8), "x", **rest)


def answer(finder, one):
    (found,) = AutoFinder(finder).find([one])
    return found


def test_one_face_that_fills_a_small_square():
    found = answer(Given((50, 40, 150, 170)), frame(224, 224))
    assert (found.finder, found.whole) == ("whole", True)
    assert [face.box for face in found.faces] == [(0, 0, 224, 224)]
    assert found.note == "taken as a face crop: one face fills it"


@pytest.mark.parametrize(
    ("boxes", "size"),
    [
        ([(50, 40, 150, 170)], (LONGEST_PX + 1, LONGEST_PX + 1)),  # a photograph
        ([(50, 40, 150, 170)], (320, 240)),  # lying
        ([(90, 90, 140, 150)], (224, 224)),  # the face is small
        ([(0, 0, 90, 90)], (256, 256)),  # it stands in a corner
        ([(10, 60, 100, 160), (130, 60, 220, 160)], (224, 224)),  # two people
    ],
)
def test_faces_of_other_pictures_are_kept(boxes, size):
    found = answer(Given(*boxes), frame(*size))
    assert (found.finder, found.whole, found.note) == ("given", False, None)
    assert [face.box for face in found.faces] == boxes


def test_something_small_beside_the_face_changes_nothing():
    assert answer(Given((50, 40, 150, 170), (0, 0, 40, 50)), frame(224, 224)).whole


def test_without_a_face_a_crop_shaped_picture_is_taken_and_says_so():
    found = answer(Given(), frame(128, 128))
    assert found.whole
    assert found.note.startswith("no face was found; scored as a face crop")
    assert [face.confidence for face in found.faces] == [0.0]


@pytest.mark.parametrize("size", [(320, 240), (1024, 1024), (100, 300)])
def test_without_a_face_other_pictures_have_none(size):
    assert answer(Given(), frame(*size)) == Found((), "given")


def test_a_frame_of_a_clip_without_a_face_has_none():
    assert answer(Given(), frame(128, 128, time_s=0.5)) == Found((), "given")
    assert answer(Given((20, 20, 100, 110)), frame(128, 128, time_s=0.5)).whole


@pytest.mark.parametrize(
    ("width", "height", "crop"),
    [(256, 256, True), (256, 400, True), (280, 256, True), (300, 256, False), (1, 1, True)],
)
def test_crops_are_square_or_upright(width, height, crop):
    assert is_crop_shaped(width, height) is crop


def test_a_face_fills_from_a_third_on():
    assert fills([(100, 100, 200, 200)], 300, 300)
    assert not fills([(101, 101, 200, 200)], 300, 300)


@pytest.mark.parametrize("side", [128, 224, 256])
def test_a_real_crop_at_the_sizes_of_public_sets(astronaut_face, side):
    crop = cv2.resize(astronaut_face, (side, side), interpolation=cv2.INTER_AREA)
    assert answer(MtcnnFinder(), Frame(crop, "x")).whole


def test_the_photograph_that_it_was_cut_from(photographs):
    found = answer(MtcnnFinder(), photographs["astronaut"])
    assert not found.whole
    assert len(found.faces) == 1
