"""Crops around the face, as tight and as loose as finders and data sets cut them."""

import dataclasses

import cv2
import numpy as np
import pytest

from mesoscope.data.sample import Sample
from mesoscope.errors import OutputError, RunError
from mesoscope.training.data import faces
from mesoscope.training.data.augment import augment, square_around
from mesoscope.training.data.dataset import Survey, training_crop
from mesoscope.training.data.faces import BOXES, find_main_faces
from mesoscope.training.fit.watcher import SilentWatcher
from mesoscope.training.recipe.keys import AugmentKeys
from mesoscope.training.recipe.recipe import Recipe

PLAIN = dict.fromkeys(("flip", "colour", "rescale", "blur", "noise", "jpeg"), 0.0)
KEYS = AugmentKeys(crop_scale_min=1.0, crop_scale_max=1.15, reframe=1.0, **PLAIN)
FACE = (80.0, 60.0, 140.0, 136.0)  # 60×76 in a picture of 256×256


class Alone:
    is_global_zero = True

    def barrier(self):
        pass


def squares(face, keys=KEYS, width=256, height=256, n=200):
    return np.array(
        [square_around(face, width, height, np.random.default_rng(i), keys) for i in range(n)]
    )


def test_crops_stand_around_the_face_as_loose_as_the_recipe_says():
    found = squares(FACE)
    sides = found[:, 2] - found[:, 0]
    assert sides == pytest.approx(found[:, 3] - found[:, 1])
    margins = sides / 76
    assert margins.min() >= 1.0
    assert margins.max() <= 2.0
    assert margins.min() < 1.1
    assert margins.max() > 1.9
    middle = (found[:, :2] + found[:, 2:]) / 2 - (110, 98)
    assert np.abs(middle).max() <= 0.06 * 76 + 1e-6
    assert np.abs(middle).max() > 0.03 * 76


def test_no_crop_is_much_larger_than_the_picture():
    sides = np.diff(squares((10.0, 10.0, 246.0, 250.0))[:, ::2])
    assert sides.max() == pytest.approx(1.15 * 256)
    sides = np.diff(squares((10.0, 10.0, 246.0, 250.0), width=400)[:, ::2])
    assert sides.max() == pytest.approx(1.15 * 256)  # of the shorter side


def test_the_face_fills_a_tight_crop(astronaut_face):
    y, x = np.mgrid[:256, :256].astype(np.uint8)
    pixels = np.stack([x, y, np.zeros_like(x)], -1)  # each pixel says where it stands
    keys = dataclasses.replace(KEYS, reframe_margin_min=1.0, reframe_margin_max=1.0)
    crop = augment(pixels, np.random.default_rng(0), keys, margin=1.0, size_px=64, face=FACE)
    assert crop[0, 0, :2].astype(float) == pytest.approx([72, 60], abs=7)
    assert crop[-1, -1, :2].astype(float) == pytest.approx([148, 136], abs=7)


def test_where_no_face_is_known_crops_are_random_as_ever(astronaut_face):
    seen = augment(astronaut_face, np.random.default_rng(3), KEYS, margin=1.0, size_px=64)
    never = dataclasses.replace(KEYS, reframe=0.0)
    plain = augment(astronaut_face, np.random.default_rng(3), never, margin=1.0, size_px=64)
    assert np.array_equal(seen, plain)


def test_a_forgery_is_cut_out_by_the_box_of_what_it_was_made_of(tmp_path):
    """By its own, or by none, it would be framed otherwise than reals are, and known by that."""
    dark, light = (np.full((200, 200, 3), v, np.uint8) for v in (20, 220))
    fake, real = (
        Sample(tmp_path / f"{n}.png", n == "fake", "a", n, "train") for n in ("fake", "real")
    )
    for one, pixels in ((fake, dark), (real, light)):
        pixels[:100, :100] = 128  # where the box of the real one is
        cv2.imwrite(str(one.path), pixels)
    tight = dataclasses.replace(KEYS, reframe_margin_max=1.0, self_blend=1.0)
    recipe = dataclasses.replace(Recipe(), augment=tight)
    boxes = {real: (10.0, 10.0, 90.0, 90.0)}
    crop = training_crop(
        fake, recipe, (1, 2, 3), [real, real], face=(110.0, 110.0, 190.0, 190.0), face_of=boxes.get
    )
    assert crop.mean() == pytest.approx(128, abs=12)
    crop = training_crop(fake, recipe, (1, 2, 3), [real, real], face_of=lambda _: None)
    assert crop.mean() > 150  # of the whole picture


def test_the_box_of_a_larger_picture_is_brought_into_a_smaller_one():
    found = squares((600.0, 600.0, 900.0, 900.0))
    middle = (found[:, :2] + found[:, 2:]) / 2
    assert (middle == 256).all()
    augment(np.zeros((256, 256, 3), np.uint8), np.random.default_rng(0), KEYS, margin=1.0,
            size_px=64, face=(600.0, 600.0, 900.0, 900.0))  # fmt: skip


def test_a_pair_is_cut_out_alike(tmp_path, astronaut_face):
    real, fake = (Sample(tmp_path / f"{i}.png", i, "a", "x", "train") for i in (0, 1))
    for one in (real, fake):
        cv2.imwrite(str(one.path), astronaut_face)
    recipe = dataclasses.replace(Recipe(), augment=KEYS)
    box = (90.0, 60.0, 150.0, 140.0)
    crops = [
        training_crop(real, recipe, (1, 2, 3), face=box),
        training_crop(fake, recipe, (1, 2, 3), [real], face=box),
        training_crop(real, recipe, (1, 2, 3)),
    ]
    assert np.array_equal(crops[0], crops[1])
    assert not np.array_equal(crops[0], crops[2])


@pytest.fixture
def data(tmp_path, astronaut_face):
    """A face, and a picture without one."""
    pictures = {"face": astronaut_face, "none": np.full((64, 64, 3), 128, np.uint8)}
    for name, pixels in pictures.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels[:, :, ::-1])
    samples = tuple(Sample(tmp_path / f"{n}.png", 0, "a", n, "train") for n in pictures)
    return Survey(train=samples, validation=(), digests="one")


def reframing(share=0.5):
    return dataclasses.replace(Recipe(), augment=AugmentKeys(reframe=share))


def test_faces_are_found_once_and_kept_with_the_run(tmp_path, data, monkeypatch):
    run = tmp_path / "run"
    found = find_main_faces(data, reframing(), run, Alone(), SilentWatcher())
    x1, y1, x2, y2 = found.box(0)
    assert 60 < x1 < 125 < x2 < 190  # the face is in the middle of 224 px
    assert y1 < 110 < y2
    assert found.box(1) is None
    assert found.box(7) is None  # a forgery yet to be made

    def never(*_, **__):
        raise AssertionError("looked again")

    monkeypatch.setattr(faces, "find_in_pictures", never)
    again = find_main_faces(data, reframing(), run, Alone(), SilentWatcher())
    assert np.array_equal(again.boxes, found.boxes, equal_nan=True)
    other = dataclasses.replace(data, digests="two")
    with pytest.raises(AssertionError, match="looked again"):
        find_main_faces(other, reframing(), run, Alone(), SilentWatcher())


def test_a_recipe_that_does_not_reframe_looks_for_nothing(tmp_path, data):
    assert find_main_faces(data, reframing(0.0), tmp_path / "run", Alone(), None) is data
    assert data.box(0) is None
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_cannot_be_written_is_named(tmp_path, data):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OutputError, match=f"{BOXES}: cannot be written"):
        find_main_faces(data, reframing(), tmp_path / "run", Alone(), SilentWatcher())


@pytest.mark.parametrize("held", [b"", b"PK\x03\x04 cut off", b"no archive"])
def test_damaged_boxes_of_a_run_folder_end_in_one_line(tmp_path, data, held):
    run = tmp_path / "run"
    find_main_faces(data, reframing(), run, Alone(), SilentWatcher())
    (run / BOXES).write_bytes(held)
    with pytest.raises(RunError, match=f"{BOXES}: cannot be read, .*: remove it") as caught:
        find_main_faces(data, reframing(), run, Alone(), SilentWatcher())
    assert "\n" not in str(caught.value)
