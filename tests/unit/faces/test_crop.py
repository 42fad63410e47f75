"""Geometry of the one crop."""

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mesoscope.errors import OptionError
from mesoscope.faces.crop import crop, square

sides = st.integers(1, 60)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@st.composite
def picture_and_box(draw):
    """A picture and a box that overlaps it, whole or in part, of any shape."""
    width, height = draw(sides), draw(sides)
    x1 = draw(st.floats(-50, width - 1))
    y1 = draw(st.floats(-50, height - 1))
    x2 = max(1.0, x1 + 1) + draw(st.floats(0, 100))
    y2 = max(1.0, y1 + 1) + draw(st.floats(0, 100))
    return noise(height, width), (x1, y1, x2, y2)


@given(picture_and_box(), st.floats(1, 3), st.sampled_from([1, 7, 64]))
def test_shape_and_type_for_any_box_that_overlaps(drawn, margin, size_px):
    pixels, box = drawn
    before = pixels.copy()
    result = crop(pixels, box, margin=margin, size_px=size_px)
    assert result.shape == (size_px, size_px, 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    assert np.array_equal(pixels, before)


@given(st.integers(1, 40), st.data())
def test_a_square_box_of_the_right_size_is_cut_out_as_it_is(size, data):
    pixels = noise(50, 70)
    x, y = data.draw(st.integers(0, 70 - size)), data.draw(st.integers(0, 50 - size))
    result = crop(pixels, (x, y, x + size, y + size), size_px=size)
    assert np.array_equal(result, pixels[y : y + size, x : x + size])


@given(st.integers(2, 40), st.integers(-30, 60), st.integers(-30, 60))
def test_beyond_the_border_the_picture_is_mirrored(size, x, y):
    pixels = noise(37, 41)
    assume(x < 41 and y < 37 and x + size > 0 and y + size > 0)
    left, top = max(0, -x), max(0, -y)
    right, bottom = max(0, x + size - 41), max(0, y + size - 37)
    inside = pixels[max(y, 0) : y + size, max(x, 0) : x + size]
    expected = np.pad(inside, ((top, bottom), (left, right), (0, 0)), mode="reflect")
    assert np.array_equal(crop(pixels, (x, y, x + size, y + size), size_px=size), expected)


@given(st.integers(-8, 8), st.integers(-8, 8), st.integers(4, 20), st.integers(4, 20))
def test_moving_picture_and_box_together_changes_nothing(dx, dy, wide, high):
    # By two pixels a step: a middle that falls between two pixels is rounded to the even one.
    canvas = noise(100, 100)
    box = (40, 40, 40 + wide, 40 + high)
    moved = np.roll(canvas, (2 * dy, 2 * dx), (0, 1))
    there = (box[0] + 2 * dx, box[1] + 2 * dy, box[2] + 2 * dx, box[3] + 2 * dy)
    assert np.array_equal(
        crop(canvas, box, margin=1.3, size_px=32), crop(moved, there, margin=1.3, size_px=32)
    )


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((10, 20, 30, 40), 1.0, (10, 20, 20)),
        ((10, 20, 30, 40), 1.5, (5, 15, 30)),
        ((10, 20, 30, 60), 1.0, (0, 20, 40)),  # the longest side counts
        ((0, 0, 10, 10), 2.0, (-5, -5, 20)),
        ((5, 5, 5.2, 5.2), 1.0, (5, 5, 1)),  # never less than a pixel
    ],
)
def test_the_square_stands_on_the_middle_of_the_box(box, margin, expected):
    assert square(box, margin) == expected


def test_the_margin_widens_what_is_seen():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[24:40, 24:40] = 255
    box = (24, 24, 40, 40)
    assert (crop(pixels, box, size_px=16) == 255).all()
    wide = crop(pixels, box, margin=2, size_px=32)
    assert (wide[8:24, 8:24] == 255).all()
    assert wide.sum() == 16 * 16 * 3 * 255


def test_a_wide_picture_is_mirrored_above_and_below():
    pixels = noise(10, 40)
    result = crop(pixels, (0, 0, 40, 10), size_px=40)
    assert np.array_equal(result[15:25], pixels)
    assert np.array_equal(result[14], pixels[1])
    assert np.array_equal(result[25], pixels[8])


def test_shrinking_averages_and_enlarging_keeps_the_middle():
    small = crop(noise(64, 64), (0, 0, 64, 64), size_px=16)
    means = noise(64, 64).reshape(16, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(small - means).max() <= 0.51
    large = crop(noise(8, 8), (0, 0, 8, 8), size_px=64)
    bicubic = cv2.resize(noise(8, 8), (64, 64), interpolation=cv2.INTER_CUBIC)
    assert np.array_equal(large, bicubic)


def test_colours_keep_their_channels():
    pixels = np.full((30, 20, 3), (200, 100, 10), np.uint8)
    for size_px in (5, 30, 99):
        assert (crop(pixels, (0, 0, 20, 30), size_px=size_px) == (200, 100, 10)).all()


def test_one_pixel_fills_the_crop():
    result = crop(np.full((1, 1, 3), (1, 2, 3), np.uint8), (0, 0, 1, 1), margin=3, size_px=16)
    assert (result == (1, 2, 3)).all()


@pytest.mark.parametrize("shape", [(10, 100_000, 3), (100_000, 10, 3)])
def test_a_strip_needs_no_memory_for_its_square(shape):
    strip = np.broadcast_to(np.uint8(77), shape).copy()
    tracemalloc.start()
    result = crop(strip, (0, 0, shape[1], shape[0]), margin=1.3, size_px=256)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (result == 77).all()
    assert peak < 20_000_000  # the square itself would take 30 gigabytes


def test_a_box_far_larger_than_the_picture():
    result = crop(noise(20, 20), (-1e6, -1e6, 1e6, 1e6), size_px=64)
    assert result.shape == (64, 64, 3)


def test_views_of_any_layout_are_taken():
    pixels = noise(40, 40)
    for view in (pixels[::-1, ::-1], pixels[::2, ::2], np.asfortranarray(pixels)):
        box = (1, 1, view.shape[1] - 1, view.shape[0] - 1)
        expected = crop(np.ascontiguousarray(view), box, margin=1.3, size_px=24)
        assert np.array_equal(crop(view, box, margin=1.3, size_px=24), expected)


@pytest.mark.parametrize("box", [(20, 0, 30, 10), (-10, 0, 0, 10), (0, 15, 10, 25), (0, -9, 9, 0)])
def test_a_box_beside_the_picture_is_refused(box):
    with pytest.raises(OptionError, match="lies outside a picture of 20×15"):
        crop(noise(15, 20), box)


def test_an_unknown_filter_is_refused():
    with pytest.raises(OptionError, match="unknown resize filter 'nearest'"):
        crop(noise(8, 8), (0, 0, 8, 8), resize="nearest")


@given(st.integers(1, 3), st.integers(8, 40), st.sampled_from([1, 1.2, 1.5, 2]))
def test_a_face_on_its_side_is_turned_upright(quarters, size_px, margin):
    """Turned by quarters, as no pixel then falls between others."""
    upright = noise(80, 80)
    box, eyes = (30, 30, 50, 50), np.array([[35.0, 36.0], [44.0, 36.0]])
    turned = np.ascontiguousarray(np.rot90(upright, quarters))
    for _ in range(quarters):  # a quarter to the left: (x, y) -> (y, 79 - x)
        eyes = np.stack([eyes[:, 1], 79 - eyes[:, 0]], axis=1)
    where = {"margin": margin, "size_px": size_px}
    level = crop(turned, box, eyes=(tuple(eyes[0]), tuple(eyes[1])), **where)
    apart = np.abs(level.astype(int) - crop(upright, box, **where))
    assert apart.max() <= 1  # rows and columns are averaged in another order


@given(picture_and_box(), st.floats(-180, 180), st.sampled_from([1, 7, 64]))
def test_turned_crops_have_the_same_shape(drawn, angle, size_px):
    pixels, box = drawn
    turn = np.radians(angle)
    right = (10 * np.cos(turn), 10 * np.sin(turn))
    result = crop(pixels, box, margin=1.3, size_px=size_px, eyes=((0.0, 0.0), right))
    assert result.shape == (size_px, size_px, 3)
    assert result.dtype == np.uint8


@given(picture_and_box())
def test_level_eyes_turn_nothing(drawn):
    pixels, box = drawn
    level = crop(pixels, box, size_px=32, eyes=((3.0, 5.0), (9.0, 5.0)))
    assert np.array_equal(level, crop(pixels, box, size_px=32))


@pytest.mark.parametrize("tilt", [-40, -15, 20, 35])
def test_a_tilted_photograph_looks_as_before(astronaut_face, tilt):
    smooth = cv2.GaussianBlur(astronaut_face, (0, 0), 2)
    side = smooth.shape[0]
    turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), -tilt, 1.0)
    tilted = cv2.warpAffine(smooth, turn, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    eyes = cv2.transform(np.array([[[90.0, 100.0], [130.0, 100.0]]]), turn)[0]
    box = (72, 72, 152, 152)
    level = crop(tilted, box, size_px=80, eyes=(tuple(eyes[0]), tuple(eyes[1])))
    before = crop(smooth, box, size_px=80)
    assert np.abs(level.astype(int) - before).mean() < 2
    assert np.abs(crop(tilted, box, size_px=80).astype(int) - before).mean() > 8
