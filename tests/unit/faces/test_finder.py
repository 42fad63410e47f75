"""Which finder stands behind --faces, and what it finds."""

import numpy as np
import pytest

from mesoscope.faces.finder import finder_for
from mesoscope.types import DetectOptions, Frame


@pytest.mark.parametrize("faces", ["whole"])
def test_the_picture_is_the_face(faces):
    finder = finder_for(DetectOptions(faces=faces))
    (found,) = finder.find([Frame(np.zeros((30, 20, 3), np.uint8), "x")])
    assert [face.box for face in found.faces] == [(0, 0, 20, 30)]
    assert found.faces[0].confidence == 1
    assert found.whole
    assert finder.name == found.finder == "whole"
