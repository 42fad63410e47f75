"""Warped faces: what they may change, and what they leave."""

import cv2
import numpy as np
import pytest

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.synth.warped import SIDES_PX, warp

FIVE = np.array(
    [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]], np.float32
)
SEEDS = range(12)


def warped(pixels, seed, landmarks=None, **options):
    return warp(pixels, np.random.default_rng(seed), landmarks, **options)


@pytest.mark.parametrize("landmarks", [None, FIVE], ids=["ellipse", "landmarks"])
def test_only_what_lies_in_the_mask_changes(astronaut_face, landmarks):
    before = astronaut_face.copy()
    for seed in SEEDS:
        made = warped(astronaut_face, seed, landmarks)
        outside = made.mask == 0
        assert 0.2 < outside.mean() < 0.995
        assert np.array_equal(made.pixels[outside], before[outside])
        assert not np.array_equal(made.pixels, before)
        assert np.array_equal(made.twin, before)
        assert np.array_equal(astronaut_face, before)


@pytest.mark.parametrize("landmarks", [None, FIVE], ids=["ellipse", "landmarks"])
def test_the_seed_decides_it(astronaut_face, landmarks):
    made = [warped(astronaut_face, seed, landmarks) for seed in SEEDS]
    for seed, one in zip(SEEDS, made, strict=True):
        again = warped(astronaut_face, seed, landmarks)
        assert np.array_equal(one.pixels, again.pixels)
        assert one.numbers == again.numbers
    assert len({one.pixels.tobytes() for one in made}) == len(made)


def test_the_face_is_smoother_than_it_was_and_its_surroundings_are_not(astronaut_face):
    def detail(pixels, mask):
        fine = cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_32F)
        return fine[mask].std()

    for seed in SEEDS:
        made = warped(astronaut_face, seed, FIVE, strength=0)
        inside = cv2.erode((made.mask > 0.95).astype(np.uint8), np.ones((5, 5))) > 0
        if inside.sum() > 200:
            assert detail(made.pixels, inside) < 0.9 * detail(made.twin, inside)


def test_the_small_face_has_the_size_of_early_networks_or_less(astronaut_face):
    sides = [warped(astronaut_face, seed).numbers["side_px"] for seed in range(30)]
    assert max(sides) <= SIDES_PX[1]
    assert min(sides) >= 40


def test_a_grey_picture_stays_grey(astronaut_face):
    grey = cv2.cvtColor(cv2.cvtColor(astronaut_face, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    made = warped(grey, 3).pixels
    assert np.array_equal(made[..., 0], made[..., 2])


def test_portraits_of_any_shape_are_taken_and_tiny_ones_refused():
    rng = np.random.default_rng(0)
    for shape in ((300, 200, 3), (64, 90, 3)):
        picture = rng.integers(0, 256, shape, dtype=np.uint8)
        assert warped(picture, 1).pixels.shape == shape
    with pytest.raises(SourceUnsuitable, match="smaller than 12 pixels"):
        warped(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), 1)
    with pytest.raises(SourceUnsuitable):
        warped(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8), 1, FIVE / 30 + 100)


def test_landmarks_must_be_points(astronaut_face):
    with pytest.raises(OptionError, match="landmarks"):
        warped(astronaut_face, 0, FIVE[:2])
