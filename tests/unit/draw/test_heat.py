"""The geometry of evidence maps, and their one absolute scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.draw.heat import FULL, colours, draw_heat, draw_scale, log_odds, overlay_heat, spread
from mesoscope.errors import OptionError

SIDES = st.integers(1, 60)


@given(
    left=st.floats(-80, 80), top=st.floats(-80, 80), side=st.floats(1, 120),
    height=SIDES, width=SIDES, cells=st.integers(1, 9),
)  # fmt: skip
def test_spread_covers_the_pixels_whose_middles_lie_in_the_square(
    left, top, side, height, width, cells
):
    placed, (x, y) = spread(np.ones((cells, cells), np.float32), (left, top, side), (height, width))
    inside = np.zeros((height, width), bool)
    inside[y : y + placed.shape[0], x : x + placed.shape[1]] = True
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    expected = np.outer((rows >= top) & (rows < top + side), (columns >= left) & (columns < left + side))  # fmt: skip  # noqa: E501
    if expected.any():
        assert (inside == expected).all()
        np.testing.assert_allclose(placed, 1, rtol=1e-5)
    else:
        assert placed.size == 0


@given(
    row=st.integers(0, 7), column=st.integers(0, 7), left=st.integers(-100, 40),
    top=st.integers(-100, 40), cell=st.integers(3, 30),
)  # fmt: skip
def test_a_hot_cell_lands_on_its_own_part_of_the_square(row, column, left, top, cell):
    """Wherever the square stands, the hottest pixel is the middle of the hot cell."""
    heat = np.zeros((8, 8), np.float32)
    heat[row, column] = 1
    placed, (x, y) = spread(heat, (left, top, 8 * cell), (200, 200))
    middle = left + (column + 0.5) * cell, top + (row + 0.5) * cell
    if not (1 <= middle[0] < 199 and 1 <= middle[1] < 199):
        return  # in the mirrored part: it has no place in the picture
    at = placed[int(middle[1] - y), int(middle[0] - x)]
    assert at == pytest.approx(placed.max(), abs=1e-5)
    assert at > (1 - 1 / cell) ** 2 - 1e-5
    far = middle[0] + 1.01 * cell  # beyond the next cell's middle nothing is left
    if column < 7 and far - x < placed.shape[1]:
        assert placed[int(middle[1] - y), int(far - x)] <= 1e-5


@given(left=st.integers(-30, 30), top=st.integers(-30, 30), side=st.integers(4, 50))
def test_what_lies_in_the_picture_does_not_depend_on_what_was_mirrored(left, top, side):
    """A square over the border shows the same as in a picture that goes on behind it."""
    heat = np.random.default_rng(0).uniform(0, 1, (8, 8)).astype(np.float32)
    placed, (x, y) = spread(heat, (left, top, side), (40, 40))
    larger, (far_x, far_y) = spread(heat, (left + 100, top + 100, side), (240, 240))
    if placed.size:
        dx, dy = x + 100 - far_x, y + 100 - far_y
        same = larger[dy : dy + placed.shape[0], dx : dx + placed.shape[1]]
        np.testing.assert_allclose(placed, same, atol=1e-5)


def test_a_vast_square_costs_no_more_than_the_picture():
    """A whole panorama as a face: its square is 100,000 pixels high, the picture ten."""
    placed, _ = spread(np.ones((8, 8), np.float32), (0, -49_995, 100_000), (10, 100_000))
    assert placed.shape == (10, 100_000)


def test_scale_is_absolute_and_the_same_for_any_number_of_cells():
    coarse, fine = np.full((8, 8), 0.05, np.float32), np.full((32, 32), 0.05 / 16, np.float32)
    np.testing.assert_allclose(log_odds(coarse), 3.2, rtol=1e-5)
    np.testing.assert_allclose(log_odds(fine), 3.2, rtol=1e-5)
    crop = np.full((64, 64, 3), 90, np.uint8)
    assert (draw_heat(crop, coarse) == draw_heat(crop, fine)).all()
    # Twice the evidence is drawn otherwise: nothing is divided by a picture's own maximum.
    assert (draw_heat(crop, 2 * coarse) != draw_heat(crop, coarse)).any()


def test_no_evidence_leaves_the_shades_of_grey():
    grey = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    assert (draw_heat(grey, np.zeros((8, 8), np.float32)) == grey).all()


def test_drawing_changes_no_input():
    rng = np.random.default_rng(1)
    crop, heat = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8), np.ones((4, 4), np.float32)
    before = crop.copy(), heat.copy()
    drawn = draw_heat(crop, heat)
    assert drawn.shape == crop.shape
    assert drawn.dtype == np.uint8
    assert (crop == before[0]).all()
    assert (heat == before[1]).all()


def test_lay_heat_stays_within_the_square():
    picture = np.full((50, 60, 3), (200, 40, 40), np.uint8)
    overlay_heat(picture, np.full((8, 8), 1.0, np.float32), (10, -5, 20))
    changed = (picture != (200, 40, 40)).any(axis=2)
    expected = np.zeros((50, 60), bool)
    expected[0:15, 10:30] = True
    assert (changed == expected).all()


def test_the_scale_grows_steadily_lighter():
    """So it can be read in grey, and with any colour vision."""
    grey = colours(np.linspace(0, 1, 64, dtype=np.float32)[None])[0] @ [0.299, 0.587, 0.114]
    assert (np.diff(grey) > -1).all()
    assert grey[-1] - grey[0] > 120


def test_scale_bar_ends_in_the_full_colour():
    bar = draw_scale(300, 14)
    assert bar.shape == (35, 300, 3)
    np.testing.assert_allclose(bar[7, -3], draw_heat(np.full((1, 1, 3), 150, np.uint8), np.full((1, 1), FULL, np.float32))[0, 0], atol=8)  # fmt: skip  # noqa: E501


def test_a_map_of_another_shape_is_refused():
    with pytest.raises(OptionError, match=r"must be \(h, w\), this one is \(2, 3, 4\)"):
        draw_heat(np.zeros((8, 8, 3), np.uint8), np.zeros((2, 3, 4), np.float32))
