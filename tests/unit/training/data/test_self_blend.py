"""Forgeries made of one picture."""

import numpy as np
import pytest

from mesoscope.training.data.forging import blend_mask, self_blend


@pytest.mark.parametrize("seed", range(6))
def test_a_self_blend_changes_a_part_and_is_decided_by_its_seed(make_face, seed):
    face = make_face(3, 128)
    one, same = (self_blend(face, np.random.default_rng(seed)) for _ in range(2))
    other = self_blend(face, np.random.default_rng(seed + 100))
    assert one.shape == face.shape
    assert one.dtype == np.uint8
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, face)


def test_the_face_itself_is_not_touched(make_face):
    face = make_face(1, 96)
    before = face.copy()
    self_blend(face, np.random.default_rng(0))
    assert np.array_equal(face, before)


def test_portraits_and_small_pictures_are_blended_too():
    rng = np.random.default_rng(0)
    for shape in ((300, 200, 3), (40, 64, 3), (3, 2, 3)):
        picture = rng.integers(0, 256, shape, dtype=np.uint8)
        assert self_blend(picture, rng).shape == shape


def test_masks_are_soft_blobs_about_the_middle():
    shares = []
    for seed in range(60):
        mask = blend_mask(128, 96, np.random.default_rng(seed))
        assert mask.shape == (128, 96)
        assert mask.min() >= 0
        assert mask.max() <= 1 + 1e-6
        assert ((mask > 0.02) & (mask < 0.98)).any(), "a seam that is soft"
        corners = mask[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.max() < 0.2
        shares.append(float(mask.mean()))
    assert min(shares) > 0.02
    assert max(shares) < 0.7
    assert np.std(shares) > 0.03
