"""Which finder stands behind --faces, and what it finds."""

import numpy as np
import pytest

from mesoscope.errors import OptionError
from mesoscope.faces.finder import finder_for
from mesoscope.types import Frame


@pytest.mark.parametrize("faces", ["auto", "whole"])
def test_the_picture_is_the_face(faces):
    finder = finder_for(faces)
    (face,) = finder.find(Frame(np.zeros((30, 20, 3), np.uint8), "x"))
    assert face.box == (0, 0, 20, 30)
    assert face.confidence == 1
    assert finder.name == "whole"


def test_an_unknown_finder():
    with pytest.raises(OptionError, match="auto or whole, got 'mtcnn'"):
        finder_for("mtcnn")
