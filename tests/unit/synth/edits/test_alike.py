"""Whose face looks most like another's."""

import cv2
import numpy as np

from mesoscope.synth.edits import Donor
from mesoscope.synth.edits.maker import SIDE_PX, appearance_distance, most_alike, thumbnail

FIVE = np.array([[80, 90], [140, 90], [110, 125], [88, 150], [132, 150]], np.float32)


def with_glasses(face):
    worn = face.copy()
    for x, y in FIVE[:2]:
        cv2.circle(worn, (int(x), int(y)), 20, (10, 10, 10), -1)
    return worn


def moved(face, scale, shift):
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    points = FIVE * scale + np.array(shift, np.float32)
    side = round(face.shape[0] * max(scale, 1)) + 60
    return cv2.warpAffine(face, matrix, (side, side)), points


def test_a_face_looks_like_itself_wherever_it_lies(astronaut_face):
    here = thumbnail(astronaut_face, FIVE)
    assert here.shape == (SIDE_PX, SIDE_PX, 3)
    for scale, shift in ((1.0, (30, 10)), (2.5, (5, 40)), (0.6, (20, 20))):
        there = thumbnail(*moved(astronaut_face, scale, shift))
        assert appearance_distance(here, there) < 0.4 * appearance_distance(
            here, thumbnail(with_glasses(astronaut_face), FIVE)
        )


def test_without_glasses_none_are_taken_and_light_hardly_counts(astronaut_face):
    darker = np.asarray(astronaut_face * 0.8, np.uint8)
    donors = [Donor(with_glasses(astronaut_face), FIVE, "worn"), Donor(darker, FIVE, "darker")]
    assert most_alike(astronaut_face, FIVE, donors).name == "darker"
    assert most_alike(with_glasses(astronaut_face), FIVE, donors).name == "worn"
    assert most_alike(astronaut_face, FIVE, []) is None
