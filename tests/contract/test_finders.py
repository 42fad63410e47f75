"""What every ``FaceFinder`` keeps to."""

import numpy as np
import pytest

from mesoscope.faces.finder import finder_for
from mesoscope.faces.whole import WholeFinder
from mesoscope.types import DetectOptions, Frame


@pytest.fixture(params=["auto", "whole"])
def finder(request):
    return finder_for(DetectOptions(faces=request.param))


@pytest.mark.parametrize("shape", [(1, 1), (40, 30), (30, 400)])
def test_boxes_lie_within_the_frame(finder, shape):
    frame = Frame(np.zeros((*shape, 3), np.uint8), "x")
    (found,) = finder.find([frame])
    for face in found.faces:
        x1, y1, x2, y2 = face.box
        assert 0 <= x1 < x2 <= shape[1]
        assert 0 <= y1 < y2 <= shape[0]
        assert 0 <= face.confidence <= 1


def test_the_frame_is_left_as_it_was(finder, astronaut_face):
    before = astronaut_face.copy()
    finder.find([Frame(astronaut_face, "x")])
    assert (astronaut_face == before).all()


def test_it_has_a_name(finder):
    assert finder.name


def test_whole_takes_the_picture_as_the_face():
    (found,) = WholeFinder().find([Frame(np.zeros((20, 30, 3), np.uint8), "x")])
    assert [f.box for f in found.faces] == [(0.0, 0.0, 30.0, 20.0)]
