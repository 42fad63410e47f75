"""Crops before forging, with landmarks that move along."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.synth.outline import mesh
from mesoscope.synth.reals import Framing, box_of

FIVE = np.array(
    [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]], np.float32
)


def test_keeping_changes_nothing(astronaut_face):
    pixels, landmarks = Framing().face(astronaut_face, FIVE, "a")
    assert pixels is astronaut_face
    assert landmarks is FIVE
    assert Framing().plain(astronaut_face, "a") is astronaut_face


@given(st.integers(64, 400), st.floats(1, 2.5), st.integers(0, 99))
def test_landmarks_move_with_the_crop(size_px, margin, seed):
    """A ramp of grey levels tells where each pixel of the crop came from."""
    rng = np.random.default_rng(seed)
    landmarks = FIVE + rng.uniform(-20, 60, 2).astype(np.float32)
    x, y = np.meshgrid(np.arange(320), np.arange(300))
    ramp = np.stack([x * 0.75, y * 0.75, x * 0], axis=2).astype(np.uint8)
    pixels, moved = Framing(size_px, margin).face(ramp, landmarks, "a")
    assert pixels.shape == (size_px, size_px, 3)
    for (u, v), (at_x, at_y) in zip(moved, landmarks, strict=True):
        if 1 <= u < size_px - 1 and 1 <= v < size_px - 1 and at_x < 300 and at_y < 280:
            seen = pixels[round(float(v)), round(float(u))]
            assert seen[:2] == pytest.approx([at_x * 0.75, at_y * 0.75], abs=3)


def test_a_crop_holds_the_face():
    pixels = np.zeros((300, 300, 3), np.uint8)
    _, five = Framing(256, 1.3).face(pixels, FIVE, "a")
    outline = mesh(five)
    assert (outline > 0).all()
    assert (outline < 256).all()
    assert np.ptp(outline[:, 1]) > 256 * 0.5
    _, dense = Framing(256, 1.3).face(pixels, mesh(FIVE), "a")
    assert np.ptp(dense[:, 1]) == pytest.approx(np.ptp(outline[:, 1]), rel=0.25)


def test_a_dense_mesh_and_five_points_give_like_boxes():
    five, dense = box_of(FIVE), box_of(mesh(FIVE))
    assert five == pytest.approx(dense, abs=0.2 * (five[3] - five[1]))


def test_without_a_finder_the_middle_is_taken():
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 255
    assert (Framing(64).plain(pixels, "a") == 255).all()


def test_what_does_not_do_says_why(astronaut_face):
    with pytest.raises(SourceUnsuitable, match=r"me\.jpg: no face was found"):
        Framing().face(astronaut_face, None, "me.jpg")
    with pytest.raises(SourceUnsuitable, match="the face is smaller than 48 pixels"):
        Framing().face(astronaut_face, FIVE * 0.2, "me.jpg")
    with pytest.raises(SourceUnsuitable, match="smaller than 48 pixels"):
        Framing().plain(astronaut_face[:40], "me.jpg")


@pytest.mark.parametrize("options", [{"size_px": 63}, {"margin": 0.9}, {"margin": 11}])
def test_sizes_and_margins_have_bounds(options):
    with pytest.raises(OptionError, match=r"must be at least 64|must lie in 1\.\.10"):
        Framing(**options)
