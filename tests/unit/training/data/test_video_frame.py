import numpy as np
import pytest

from mesoscope.training.data.augment import h264


def test_a_picture_comes_back_a_little_changed(astronaut_face):
    fine, coarse = h264(astronaut_face, crf=18), h264(astronaut_face, crf=35)
    assert fine.shape == astronaut_face.shape
    assert fine.dtype == np.uint8

    def error(y):
        return float(np.abs(y.astype(int) - astronaut_face).mean())

    assert 0 < error(fine) < error(coarse) < 10


@pytest.mark.parametrize("sides", [(256, 256), (64, 128)])
def test_any_even_size(sides):
    assert h264(np.full((*sides, 3), 77, np.uint8), crf=23).shape == (*sides, 3)
