"""Random changes: repeatable, the same for both classes, each one real."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.data.manifest import Sample
from mesoscope.faces.crop import crop
from mesoscope.training.data.augment import augment, random_box
from mesoscope.training.data.dataset import INPUT_PX, training_crop
from mesoscope.training.recipe.keys import AugmentKeys
from mesoscope.training.recipe.recipe import Recipe

OPERATIONS = (
    "flip", "colour", "rescale", "blur", "noise", "jpeg", "sharpen", "smooth", "gamma", "webp",
    "video", "hevc", "avif", "messengers", "screenshot",
)  # fmt: skip
NOTHING = AugmentKeys(crop_scale_min=1.0, **dict.fromkeys(OPERATIONS, 0.0))
EVERYTHING = AugmentKeys(**dict.fromkeys(OPERATIONS, 1.0))


def run(pixels, keys, seed=0, size_px=96):
    return augment(pixels, np.random.default_rng(seed), keys, margin=1.0, size_px=size_px)


def test_nothing_happens_where_all_chances_are_nothing(astronaut_face):
    for seed in range(5):
        plain = crop(astronaut_face, (0, 0, 224, 224), size_px=96)
        assert np.array_equal(run(astronaut_face, NOTHING, seed), plain)


def test_the_same_seed_gives_the_same_pixels(astronaut_face):
    for seed in range(5):
        one, two = run(astronaut_face, EVERYTHING, seed), run(astronaut_face, EVERYTHING, seed)
        assert np.array_equal(one, two)
    assert not np.array_equal(
        run(astronaut_face, EVERYTHING, 1), run(astronaut_face, EVERYTHING, 2)
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_alone_changes_pixels_and_keeps_the_picture(name, astronaut_face):
    keys = dataclasses.replace(NOTHING, **{name: 1.0})
    plain = run(astronaut_face, NOTHING)
    changes = []
    for seed in range(8):
        result = run(astronaut_face, keys, seed)
        assert result.shape == (96, 96, 3)
        assert result.dtype == np.uint8
        assert result.flags.c_contiguous
        # In the mirror or not, it is still that face.
        against = plain[:, ::-1] if name == "flip" else plain
        changes.append(np.abs(result.astype(int) - against).mean())
        assert changes[-1] < 40
    if name == "flip":
        assert max(changes) == 0
    else:
        assert max(changes) > 0.3


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_each_operation_keeps_red_red(name, channel):
    picture = np.full((32, 32, 3), 60, np.uint8)
    picture[:, :, channel] = 200
    result = run(picture, dataclasses.replace(NOTHING, **{name: 1.0}))
    assert result.reshape(-1, 3).mean(0).argmax() == channel


def test_an_operation_happens_as_often_as_its_chance_says(astronaut_face):
    keys = dataclasses.replace(NOTHING, flip=0.25)
    plain = run(astronaut_face, NOTHING, size_px=8)
    flips = sum(not np.array_equal(run(astronaut_face, keys, s, 8), plain) for s in range(400))
    assert 60 <= flips <= 140


def test_noise_does_not_wrap_round():
    keys = dataclasses.replace(NOTHING, noise=1.0, noise_sigma_max=100.0)
    for level in (0, 255):
        picture = np.full((32, 32, 3), level, np.uint8)
        assert np.abs(run(picture, keys).astype(int) - level).mean() < 60


def test_strengths_bound_the_change(astronaut_face):
    for key in ("colour_strength", "noise_sigma_max"):
        weak = dataclasses.replace(NOTHING, colour=1.0, noise=1.0, colour_strength=0.0,
                                   noise_sigma_max=0.0)  # fmt: skip
        assert (
            np.abs(run(astronaut_face, weak).astype(int) - run(astronaut_face, NOTHING)).max() <= 1
        )
        strong = dataclasses.replace(weak, **{key: 1.0 if key == "colour_strength" else 50.0})
        change = np.abs(run(astronaut_face, strong).astype(int) - run(astronaut_face, NOTHING))
        assert change.mean() > 1


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0.1, 1), st.integers(0, 2**32))
def test_the_random_box_lies_within_the_picture_and_keeps_its_shape(width, height, least, seed):
    x1, y1, x2, y2 = random_box(width, height, np.random.default_rng(seed), least)
    assert 0 <= x1 < x2 <= width * (1 + 1e-9)
    assert 0 <= y1 < y2 <= height * (1 + 1e-9)
    assert (x2 - x1) / width == pytest.approx((y2 - y1) / height)
    assert (x2 - x1) / width >= least * (1 - 1e-9)


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(1.01, 2), st.integers(0, 2**32))
def test_a_random_box_larger_than_the_picture_holds_it(width, height, most, seed):
    x1, y1, x2, y2 = random_box(width, height, np.random.default_rng(seed), 1.0, most)
    assert max(x1 / width, y1 / height) <= 1e-9
    assert min(x2 / width, y2 / height) >= 1 - 1e-9
    assert (x2 - x1) / width == pytest.approx((y2 - y1) / height)
    assert (x2 - x1) / width <= most * (1 + 1e-9)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 300, 3), (300, 5, 3), (2, 2, 3)])
def test_pictures_of_any_shape(shape):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for seed in range(5):
        assert run(picture, EVERYTHING, seed).shape == (96, 96, 3)


def test_both_labels_go_the_same_way(tmp_path, make_face):
    import cv2

    path = tmp_path / "a.png"
    cv2.imwrite(str(path), make_face(1))
    real, fake = (Sample(Path(path), label, "s", "g", "train") for label in (0, 1))
    recipe = Recipe(augment=EVERYTHING)
    for key in ((1, 0, 0), (1, 2, 3)):
        one, two = training_crop(real, recipe, key), training_crop(fake, recipe, key)
        assert np.array_equal(one, two)
        assert one.shape == (INPUT_PX, INPUT_PX, 3)


def test_a_native_crop_is_never_resized(astronaut_face):
    keys = dataclasses.replace(NOTHING, native=1.0, crop_scale_min=0.5)
    assert np.array_equal(run(astronaut_face, keys, size_px=224), astronaut_face)


def test_a_window_is_cut_out_of_the_crop_as_it_is(astronaut_face):
    keys = dataclasses.replace(NOTHING, native=1.0, window_px=96)
    corners = set()
    for seed in range(20):
        window = run(astronaut_face, keys, seed, size_px=224)
        assert window.shape == (96, 96, 3)
        places = np.argwhere((astronaut_face[:129, :129] == window[0, 0]).all(2))
        found = [
            (y, x)
            for y, x in places.tolist()
            if np.array_equal(astronaut_face[y : y + 96, x : x + 96], window)
        ]
        assert found
        corners.add(found[0])
    assert len(corners) > 10
