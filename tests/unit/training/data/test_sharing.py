"""Saving and sharing change pixels a little, keep the picture, and do it alike for one seed."""

import dataclasses

import numpy as np
import pytest

from mesoscope.imaging.encode import through_video
from mesoscope.training.data.augment import augment
from mesoscope.training.data.sharing import (
    through_avif,
    through_messengers,
    through_screenshot,
)
from mesoscope.training.recipe.keys import AugmentKeys

CODECS = ("h264", "hevc")


def error(one, other):
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("codec", CODECS)
def test_a_frame_comes_back_a_little_changed(codec, astronaut_face):
    fine, coarse = (through_video(astronaut_face, codec, crf=crf) for crf in (18, 35))
    assert fine.shape == astronaut_face.shape
    assert fine.dtype == np.uint8
    assert 0 < error(fine, astronaut_face) < error(coarse, astronaut_face) < 10


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("sides", [(256, 256), (64, 128), (65, 64), (64, 65), (75, 77), (17, 1)])
def test_any_size_comes_back_whole(codec, sides):
    back = through_video(np.full((*sides, 3), 77, np.uint8), codec, crf=23)
    assert back.shape == (*sides, 3)
    assert np.abs(back.astype(int) - 77).max() <= 3


def test_codecs_of_clips_are_two(astronaut_face):
    one, other = (through_video(astronaut_face, codec, crf=30) for codec in CODECS)
    assert not np.array_equal(one, other)


def test_avif_follows_its_quality(astronaut_face):
    fine, coarse = through_avif(astronaut_face, 95), through_avif(astronaut_face, 40)
    assert 0 < error(fine, astronaut_face) < error(coarse, astronaut_face) < 12


@pytest.mark.parametrize("seed", range(6))
def test_messengers_and_screenshots_keep_the_picture_in_place(seed, astronaut_face):
    def both():
        rng = np.random.default_rng(seed)
        return (
            through_messengers(astronaut_face, rng, 40),
            through_screenshot(astronaut_face, rng),
        )

    for made, again in zip(both(), both(), strict=True):
        assert made.shape == astronaut_face.shape
        assert np.array_equal(made, again)
        assert 0 < error(made, astronaut_face) < 12
        shifted = np.roll(astronaut_face, 6, 1)  # what is out of place by six pixels is far off
        assert error(made[:, 8:-8], astronaut_face[:, 8:-8]) < error(
            shifted[:, 8:-8], astronaut_face[:, 8:-8]
        )


def test_full_chroma_keeps_colour_at_full_resolution():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2, 0], stripes[:, 1::2, 2] = 200, 200  # colour alternates by columns
    keys = AugmentKeys(
        crop_scale_min=1.0, flip=0, colour=0, rescale=0, blur=0, noise=0, jpeg=1.0,
        jpeg_quality_min=95,
    )  # fmt: skip

    def kept(full_chroma):
        rng = np.random.default_rng(1)
        of = dataclasses.replace(keys, full_chroma=full_chroma)
        return error(augment(stripes, rng, of, margin=1.0, size_px=64), stripes)

    assert kept(1.0) < 0.5 * kept(0.0)
