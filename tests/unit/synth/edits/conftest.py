"""Faces to edit: photographed ones with their landmarks, and how any forgery is checked."""

import dataclasses

import cv2
import numpy as np
import pytest

from mesoscope.synth.edits import EditRecipe, edit
from mesoscope.synth.edits.splice import Donor


@dataclasses.dataclass(frozen=True)
class Face:
    pixels: np.ndarray
    landmarks: np.ndarray

    @property
    def width_px(self):
        """From cheekbone to cheekbone, by another rule than the code's own: its two axes."""
        eyes, mouth = self.landmarks[:2], self.landmarks[3:]
        apart = np.hypot(*(eyes[1] - eyes[0]))
        return 2.1 * max(apart, 0.95 * np.hypot(*(mouth.mean(0) - eyes.mean(0))))

    def scaled(self, x, y):
        height, width = self.pixels.shape[:2]
        pixels = cv2.resize(self.pixels, (round(width * x), round(height * y)))
        return Face(pixels, np.float32(self.landmarks * (x, y)))

    def cut(self, left, top, right, bottom):
        pixels = np.ascontiguousarray(self.pixels[top:bottom, left:right])
        return Face(pixels, np.float32(self.landmarks - (left, top)))

    def filled(self, value):
        return Face(np.full_like(self.pixels, value), self.landmarks)


@pytest.fixture(scope="session")
def astronaut(astronaut_face):
    points = [[91.4, 100.3], [134.3, 102.6], [111.8, 128.2], [88.2, 138.9], [133.3, 140.9]]
    return Face(astronaut_face, np.float32(points))


@pytest.fixture(scope="session")
def hopper():
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        data = np.frombuffer(file.read(), np.uint8)
    pixels = np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)[:400, 60:460])
    points = [[161.2, 191.0], [248.7, 187.0], [206.2, 237.3], [172.3, 277.1], [242.4, 272.8]]
    return Face(pixels, np.float32(points))


@pytest.fixture(scope="session")
def donor(hopper):
    return Donor(hopper.pixels, hopper.landmarks, "hopper")


@pytest.fixture(scope="session")
def forge(donor):
    """``forge(face, edit, seed=0, donor=hopper, **keys)`` → a forgery by that edit alone."""

    def make(face, name, seed=0, *, donor=donor, strength=(0.0, 1.0), **keys):
        recipe = EditRecipe(strength_min=strength[0], strength_max=strength[1], least_change=0)
        changed = dataclasses.replace(getattr(recipe, name), chance=1.0, **keys)
        recipe = dataclasses.replace(recipe.only((name,)), **{name: changed})
        rng = np.random.default_rng(seed)
        return edit(face.pixels, face.landmarks, rng, recipe=recipe, donor=donor)

    return make


@pytest.fixture(scope="session")
def check():
    """What holds for every forgery."""

    def checked(forgery, pixels):
        assert forgery.pixels.shape == forgery.twin.shape == pixels.shape
        assert forgery.pixels.dtype == forgery.twin.dtype == np.uint8
        assert forgery.mask.dtype == np.float32
        assert forgery.mask.min() >= 0
        assert forgery.mask.max() <= 1
        untouched = forgery.mask == 0
        assert (forgery.pixels[untouched] == forgery.twin[untouched]).all()
        return forgery

    return checked
