"""Mixed pictures and their labels."""

import numpy as np
import pytest

from mesoscope.training.data.augment import mix, rectangle
from mesoscope.training.recipe.keys import MixKeys


def batch(n=6, side=16):
    """Flat pictures whose grey level says which they are, and labels 0 and 1 in turn."""
    levels = (np.arange(n) * 40).astype(np.uint8)
    crops = np.broadcast_to(levels[:, None, None, None], (n, side, side, 3)).copy()
    return crops, (np.arange(n) % 2).astype(np.float32)


def test_without_a_chance_nothing_changes():
    crops, labels = batch()
    out, wanted = mix(crops, labels, MixKeys(), np.random.default_rng(0))
    assert out is crops
    assert wanted is labels


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_labels_are_the_share_of_pixels(seed):
    crops, labels = batch()
    before = crops.copy()
    out, wanted = mix(crops, labels, MixKeys(cutmix=1), np.random.default_rng(seed))
    assert np.array_equal(crops, before), "the batch that was given stays"
    fake = (out[..., 0] // 40) % 2
    np.testing.assert_allclose(wanted, fake.mean((1, 2)), atol=1e-6)
    assert set(np.unique(out)) <= set(np.unique(crops))


@pytest.mark.parametrize("seed", range(8))
def test_mixup_labels_are_the_weights(seed):
    crops, labels = batch()
    out, wanted = mix(crops, labels, MixKeys(mixup=1), np.random.default_rng(seed))
    order = np.random.default_rng(seed)
    order.random()
    order = order.permutation(len(crops))
    changed = crops[order, 0, 0, 0] != crops[:, 0, 0, 0]
    share = (out[:, 0, 0, 0].astype(float) - crops[:, 0, 0, 0])[changed]
    share /= crops[order, 0, 0, 0].astype(float)[changed] - crops[changed, 0, 0, 0]
    assert np.ptp(share) < 0.06, "one weight for the whole batch, to rounding"
    expected = labels + share.mean() * (labels[order] - labels)
    np.testing.assert_allclose(wanted, expected, atol=0.03)


def test_the_same_seed_mixes_alike_and_one_picture_is_left_alone():
    crops, labels = batch()
    keys = MixKeys(mixup=0.5, cutmix=0.5)
    one, other = (mix(crops, labels, keys, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])
    alone = mix(crops[:1], labels[:1], keys, np.random.default_rng(4))
    assert np.array_equal(alone[0], crops[:1])


def test_rectangles_lie_within_and_are_a_tenth_to_nine_tenths():
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(300):
        top, left, high, wide = rectangle(200, 100, rng)
        assert 0 <= top <= top + high <= 200
        assert 0 <= left <= left + wide <= 100
        areas.append(high * wide / 20_000)
    assert 0.08 < min(areas) < 0.15
    assert 0.85 < max(areas) <= 0.9
