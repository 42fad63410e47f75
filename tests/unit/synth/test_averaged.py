"""The mean of two faces, within one of them."""

import json

import cv2
import numpy as np
import pytest

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.media.image import open_image
from mesoscope.synth.averaged import SHARES, average

ASTRONAUT = np.array(
    [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]], np.float32
)
HOPPER = np.array(
    [[221.2, 191.0], [308.7, 187.0], [266.2, 237.3], [232.3, 277.1], [302.4, 272.8]], np.float32
)


@pytest.fixture(scope="module")
def hopper():
    from matplotlib import cbook

    return open_image(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).pixels


@pytest.fixture
def averaged(astronaut_face, hopper):
    def make(seed, pixels=astronaut_face, donor=hopper):
        return average(pixels, ASTRONAUT, donor, HOPPER, np.random.default_rng(seed))

    return make


@pytest.mark.parametrize("seed", range(6))
def test_only_what_lies_in_the_mask_changes_and_the_seed_decides_it(astronaut_face, averaged, seed):
    before = astronaut_face.copy()
    made, again = averaged(seed), averaged(seed)
    outside = made.mask == 0
    assert 0.3 < outside.mean() < 0.99
    assert np.array_equal(made.pixels[outside], before[outside])
    assert np.array_equal(astronaut_face, before)
    assert np.array_equal(made.twin, before)
    assert np.abs(made.pixels.astype(int) - before)[made.mask > 0.9].mean() > 2
    assert SHARES[0] <= made.numbers["share"] <= SHARES[1]
    assert np.array_equal(made.pixels, again.pixels)
    assert json.dumps(made.numbers, allow_nan=False) == json.dumps(again.numbers)
    assert not np.array_equal(made.pixels, averaged(seed + 50).pixels)


def test_a_face_averaged_with_itself_stays(astronaut_face):
    made = average(
        astronaut_face, ASTRONAUT, astronaut_face, ASTRONAUT, np.random.default_rng(0)
    )  # fmt: skip
    assert np.abs(made.pixels.astype(int) - astronaut_face).max() <= 3


def test_a_grey_picture_stays_grey(astronaut_face, averaged):
    grey = cv2.cvtColor(cv2.cvtColor(astronaut_face, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    made = averaged(1, pixels=grey).pixels.astype(int)
    assert np.abs(made[..., 0] - made[..., 2]).max() <= 2


def test_what_cannot_be_averaged_is_refused(astronaut_face, hopper):
    rng = np.random.default_rng(0)
    with pytest.raises(SourceUnsuitable):
        average(astronaut_face, ASTRONAUT / 30 + 100, hopper, HOPPER, rng)
    with pytest.raises(SourceUnsuitable, match="light"):
        average(astronaut_face, ASTRONAUT, 255 - hopper, HOPPER, rng)
    with pytest.raises(OptionError, match="landmarks"):
        average(astronaut_face, ASTRONAUT[:2], hopper, HOPPER, rng)
