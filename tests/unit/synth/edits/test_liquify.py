"""Warps: how far pixels go, which way, and what the twin went through."""

import dataclasses

import cv2
import numpy as np
import pytest

from mesoscope.synth.edits.anatomy import anatomy
from mesoscope.synth.edits.liquify import MOVES, _field, _strokes, liquify, neutral_warp
from mesoscope.synth.edits.recipe import LiquifyKeys, Span

NO_NEUTRAL = LiquifyKeys(neutral_px=0)


def ramp(shape):
    """A picture whose red and green say where a pixel is, in eighths of the range."""
    height, width = shape[:2]
    y, x = np.indices((height, width), np.float32)
    return np.stack([x / width * 255, y / height * 255, 0 * x], 2)


def test_no_pixel_goes_farther_than_the_stated_share(astronaut):
    face = anatomy(astronaut.landmarks, astronaut.pixels.shape)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        forgery = liquify(astronaut.pixels, astronaut.landmarks, rng)
        share = forgery.numbers["displacement"]
        assert 0.005 < share <= 0.06 + 1e-6
        assert all(abs(move["share"]) <= 0.06 + 1e-6 for move in forgery.numbers["moves"])
        assert face.width_px == pytest.approx(astronaut.width_px, rel=0.01)


def test_what_is_seen_moves_as_far_as_it_is_said(astronaut):
    """The warp of a ramp shows where each pixel came from."""
    height, width = astronaut.pixels.shape[:2]
    ground = np.rint(ramp((height, width))).astype(np.uint8)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        forgery = liquify(ground, astronaut.landmarks, rng, keys=NO_NEUTRAL)
        moved = forgery.pixels[..., :2].astype(float) - ground[..., :2]
        far_px = np.hypot(moved[..., 0] * width / 255, moved[..., 1] * height / 255)
        stated = forgery.numbers["displacement"] * astronaut.width_px
        assert far_px.max() <= stated + 1.5  # a grey level of the ramp is 0.9 px
        assert far_px.max() >= stated - 1.5


@pytest.mark.parametrize("kind", MOVES)
@pytest.mark.parametrize("far", [-0.06, 0.06])
def test_a_stroke_never_folds_the_picture(astronaut, kind, far):
    face = anatomy(astronaut.landmarks, astronaut.pixels.shape)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        strokes = _strokes(kind, face, rng, far * face.width_px)
        for stroke in strokes:
            _, field, _ = _field([stroke], astronaut.pixels.shape)
            dx, dy = (np.gradient(field[..., i]) for i in range(2))
            # Where a pixel comes from: the map's Jacobian stays positive.
            jacobian = (1 - dx[1]) * (1 - dy[0]) - dx[0] * dy[1]
            assert jacobian.min() > 0


def test_the_field_ends_within_its_radius(astronaut):
    face = anatomy(astronaut.landmarks, astronaut.pixels.shape)
    (stroke,) = _strokes("nose", face, np.random.default_rng(1), 3.0)
    region, field, reach = _field([stroke], astronaut.pixels.shape)
    y, x = np.indices(field.shape[:2])
    away = np.hypot(x + region.x1 - stroke.centre[0], y + region.y1 - stroke.centre[1])
    assert (field[away > stroke.radius_px] == 0).all()
    assert (reach[away > stroke.radius_px] == 0).all()


@pytest.mark.parametrize(("far", "wider"), [(4.0, True), (-4.0, False)])
def test_bloat_enlarges_and_pinch_makes_small(astronaut, far, wider):
    """A disc at the eye: its area after the warp."""
    height, width = astronaut.pixels.shape[:2]
    face = anatomy(astronaut.landmarks, (height, width))
    strokes = _strokes("eyes", face, np.random.default_rng(0), far)
    region, field, _ = _field(strokes, (height, width))
    disc = np.zeros((height, width), np.float32)
    eye = tuple(int(v) for v in face.five[0])
    cv2.circle(disc, eye, 4, 1.0, -1)
    y, x = np.indices((height, width), np.float32)
    maps = np.stack([x, y], 2)
    maps[region.slices] -= field
    warped = cv2.remap(disc, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR)
    assert (warped.sum() > disc.sum()) == wider


def test_picture_and_twin_are_resampled_alike(astronaut):
    forgery = liquify(astronaut.pixels, astronaut.landmarks, np.random.default_rng(2))
    outside = forgery.mask == 0
    assert outside.mean() > 0.3
    assert (forgery.twin[outside] != astronaut.pixels[outside]).any()
    assert (forgery.pixels[outside] == forgery.twin[outside]).all()
    told = forgery.numbers["neutral"]
    assert 0 < max(abs(v) for v in told["shift_px"]) < 0.5


def test_the_neutral_warp_moves_by_less_than_a_pixel(astronaut):
    for seed in range(10):
        moved = neutral_warp(astronaut.pixels, np.random.default_rng(seed))
        apart = np.abs(moved.astype(int) - astronaut.pixels).mean()
        shifted = np.abs(np.diff(astronaut.pixels.astype(int), axis=1)).mean()
        assert 0 < apart < 1.5 * shifted


def test_without_a_neutral_warp_the_twin_is_the_picture(astronaut):
    rng = np.random.default_rng(2)
    forgery = liquify(astronaut.pixels, astronaut.landmarks, rng, keys=NO_NEUTRAL)
    assert (forgery.twin == astronaut.pixels).all()
    assert forgery.numbers["neutral"] is None
    same = neutral_warp(astronaut.pixels, rng, keys=NO_NEUTRAL)
    assert same is astronaut.pixels


def test_strength_says_how_far(astronaut):
    keys = dataclasses.replace(NO_NEUTRAL, moves_most=1)
    for at, wanted in ((0.0, 0.01), (0.5, 0.035)):
        numbers = [
            liquify(
                astronaut.pixels, astronaut.landmarks, np.random.default_rng(s),
                keys=keys, strength=Span(at, at),
            ).numbers["displacement"]
            for s in range(12)
        ]  # fmt: skip
        # Eyes are bloated less, else they would look like dolls'.
        assert max(numbers) == pytest.approx(wanted, rel=0.05)
