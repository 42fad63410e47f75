"""What is done to pictures: the same twice, nothing at the level of nothing, more at each level."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.imaging.corruptions import CORRUPTIONS, LONGEST_PX, corrupt, moderate

NAMED = {one.name: one for one in CORRUPTIONS}
EACH = pytest.mark.parametrize("corruption", CORRUPTIONS, ids=NAMED)


def apart(one, other):
    """Mean difference of two pictures, the second brought to the first's size."""
    if one.shape != other.shape:
        other = cv2.resize(other, one.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return float(np.abs(one.astype(float) - other).mean())


@EACH
def test_the_same_seed_gives_the_same_picture(corruption, astronaut_face):
    for level in corruption.levels:
        first = corrupt(astronaut_face, corruption, level, seed=3)
        again = corrupt(astronaut_face.copy(), corruption, level, seed=3)
        assert first.dtype == np.uint8
        assert first.ndim == 3
        np.testing.assert_array_equal(first, again)


@EACH
def test_the_picture_given_stays_as_it_was(corruption, astronaut_face):
    before = astronaut_face.copy()
    for level in corruption.levels:
        assert apart(before, corrupt(astronaut_face, corruption, level)) > 0
    np.testing.assert_array_equal(astronaut_face, before)


@EACH
def test_the_level_of_nothing_changes_nothing(corruption, astronaut_face):
    if corruption.identity is None:
        assert corruption.name in ("jpeg", "video", "shrink")
    else:
        same = corrupt(astronaut_face, corruption, corruption.identity)
        np.testing.assert_array_equal(same, astronaut_face)


@pytest.mark.parametrize("name", ["jpeg", "resize", "shrink", "blur", "noise", "screenshot"])
def test_harder_levels_take_more_away(name, astronaut_face):
    corruption = NAMED[name]
    steps = [
        apart(astronaut_face, corrupt(astronaut_face, corruption, v)) for v in corruption.levels
    ]
    if name == "screenshot":  # its steps differ in kind; the last is the worst
        assert max(steps) == steps[-1]
    else:
        assert steps == sorted(steps)


@pytest.mark.parametrize("name", ["noise", "crop"])
def test_chance_differs_by_seed_and_by_picture(name, astronaut_face):
    corruption = NAMED[name]
    level = corruption.levels[0]
    one = corrupt(astronaut_face, corruption, level, seed=0)
    assert apart(one, corrupt(astronaut_face, corruption, level, seed=1)) > 0
    grey = np.full((64, 64, 3), 128, np.uint8)
    other = np.full((64, 64, 3), 129, np.uint8)
    if name == "noise":
        grains = [corrupt(x, corruption, 4).astype(int) - x for x in (grey, other)]
        assert not np.array_equal(*grains)


def test_levels_share_their_chance(astronaut_face):
    """So that a curve shows the strength and not another draw of the noise."""
    grey = np.full((64, 64, 3), 128, np.uint8)
    weak, strong = (corrupt(grey, NAMED["noise"], sigma).astype(float) - 128 for sigma in (4, 16))
    assert np.corrcoef(weak.ravel(), strong.ravel())[0, 1] > 0.99


def test_brightness_and_contrast_do_what_they_say():
    ramp = np.repeat(np.arange(60, 190, dtype=np.uint8)[None, :, None], 3, axis=2)
    ramp = np.repeat(ramp, 50, axis=0)
    lighter = corrupt(ramp, NAMED["brightness"], 10).astype(int)
    np.testing.assert_array_equal(lighter, np.rint(ramp + 25.5).astype(int))
    flat = corrupt(ramp, NAMED["contrast"], -50)
    assert flat.mean() == pytest.approx(ramp.mean(), abs=0.5)
    assert flat.std() == pytest.approx(ramp.std() / 2, rel=0.02)


def test_noise_has_the_width_it_says():
    grey = np.full((200, 200, 3), 128, np.uint8)
    assert corrupt(grey, NAMED["noise"], 8).std() == pytest.approx(8, rel=0.02)


@given(
    height=st.integers(1, 90), width=st.integers(1, 90),
    percent=st.sampled_from(NAMED["crop"].levels), seed=st.integers(0, 5),
)  # fmt: skip
def test_a_crop_shows_its_share_and_only_what_is_there(height, width, percent, seed):
    y, x = np.indices((height, width))
    pixels = np.stack([y, x, y], axis=2).astype(np.uint8)
    shown = corrupt(pixels, NAMED["crop"], percent, seed=seed)
    for side, whole in zip(shown.shape, (height, width), strict=False):
        assert side == whole + math.copysign(round(abs(percent) / 100 * whole), percent)
    values = {tuple(v) for v in shown.reshape(-1, 3)}
    assert values <= {tuple(v) for v in pixels.reshape(-1, 3)}  # mirrored, never invented
    if percent < 0:
        steps = np.diff(shown[:, 0, 0].astype(int)), np.diff(shown[0, :, 1].astype(int))
        assert all((step == 1).all() for step in steps)  # a piece in one


def test_sizes_are_as_told(astronaut_face):
    side = astronaut_face.shape[0]
    for level in NAMED["shrink"].levels:
        assert max(corrupt(astronaut_face, NAMED["shrink"], level).shape) == level
    small = astronaut_face[:40, :40]
    np.testing.assert_array_equal(corrupt(small, NAMED["shrink"], 48), small)
    for level in NAMED["resize"].levels:
        assert corrupt(astronaut_face, NAMED["resize"], level).shape == astronaut_face.shape
    assert corrupt(astronaut_face, NAMED["screenshot"], 1).shape[0] == round(1.37 * side)


def test_blur_is_as_wide_on_a_larger_face():
    """σ is told for a face of 256 px, so 512 px are blurred with twice as much."""
    point = np.zeros((512, 512, 3), np.uint8)
    point[256, 256] = 255
    row = corrupt(point, NAMED["blur"], 1.5)[256, :, 0].astype(float)
    x = np.arange(512) - 256
    assert np.sqrt((row * x**2).sum() / row.sum()) == pytest.approx(3, abs=0.35)


def test_large_pictures_are_brought_to_a_bound():
    assert moderate(np.zeros((3000, 1500, 3), np.uint8)).shape == (LONGEST_PX, LONGEST_PX // 2, 3)
    small = np.zeros((100, 50, 3), np.uint8)
    assert moderate(small) is small


def test_names_are_told_with_their_signs():
    assert NAMED["crop"].describe(-15) == "-15 % of the side"
    assert NAMED["brightness"].describe(10) == "+10 % of white"
    assert NAMED["jpeg"].describe(30) == "quality 30"
    assert len(NAMED) == len(CORRUPTIONS)
    assert sum(len(one.levels) for one in CORRUPTIONS) == 50  # as the documentation says
