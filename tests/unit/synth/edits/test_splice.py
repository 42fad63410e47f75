"""Parts of others: where they come to lie, how they are matched, from which donor."""

import dataclasses

import numpy as np
import pytest

from mesoscope.synth.edits import Donor
from mesoscope.synth.edits.anatomy import anatomy
from mesoscope.synth.edits.matching import (
    alignment,
    careful_mask,
    match_colour,
    match_grain,
    match_light,
    warp_donor,
)
from mesoscope.synth.edits.recipe import PARTS, SpliceKeys
from mesoscope.synth.edits.splice import _draw_parts, yaw
from mesoscope.synth.outline import Region

FULL = Region(0, 0, 64, 48)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("seam", [0.0, 1.0])
def test_each_part_lies_where_it_should(astronaut, forge, check, part, seam):
    points = dict(zip(("left_eye", "right_eye", "nose", "_", "mouth"), astronaut.landmarks,
                      strict=True))  # fmt: skip
    points["mouth"] = astronaut.landmarks[3:].mean(0)
    for seed in range(3):
        forgery = check(
            forge(astronaut, "splice", seed, parts=(part,), poisson=seam), astronaut.pixels
        )
        (told,) = forgery.numbers["splice"]["parts"]
        assert told["part"] == part
        assert (told["seam"] == "feather") == (seam == 0)
        inside = points.get(part, astronaut.landmarks.mean(0))
        if part in ("eyes", "upper"):
            inside = astronaut.landmarks[:2].mean(0)
        if part == "lower":
            inside = points["mouth"]
        x, y = np.rint(inside).astype(int)
        assert forgery.mask[y, x] > 0.6
        assert (forgery.mask > 0.5).mean() < 0.3
        assert forgery.numbers["splice"]["donor"] == "hopper"


def test_highlights_of_a_donor_darken_with_a_very_dark_target():
    """A shift alone left the contrast of the light donor: white noses in very dark faces."""
    patch = np.full((48, 64, 3), 170, np.float32)
    patch[16:32, 24:40] = 230  # what shines
    under = np.full((48, 64, 3), 20, np.float32)
    ring = np.ones((48, 64), np.float32)
    ring[12:36, 20:44] = 0
    dark = match_colour(patch, under, ring, share=1.0)
    assert dark[0, 0] == pytest.approx([20, 20, 20], abs=1.5)
    assert dark[24, 32].max() < 2 * 20
    as_it_was = match_colour(patch, under, ring, share=0.0)
    assert as_it_was == pytest.approx(patch, abs=0.5)


def test_a_part_of_oneself_changes_little(astronaut, forge):
    """Same place, same colours: what is left is the misplacement, which is drawn small."""
    own = Donor(astronaut.pixels, astronaut.landmarks, "self")
    keys = {"parts": ("nose",), "misplaced_max": 0.0}
    changes = [
        (
            forge(astronaut, "splice", seed, donor=own, **keys).numbers["change"],
            forge(astronaut, "splice", seed, **keys).numbers["change"],
        )
        for seed in range(6)
    ]
    mine, others = np.mean(changes, 0)
    assert mine < 0.6 * others


@pytest.mark.parametrize("scale", [0.12, 0.4, 3.0])
def test_donors_of_any_size(astronaut, hopper, forge, check, scale):
    small = hopper.scaled(scale, scale)
    donor = Donor(small.pixels, small.landmarks)
    for seed in range(4):
        forgery = check(forge(astronaut, "splice", seed, donor=donor), astronaut.pixels)
        assert forgery.mask.max() > 0.5


def test_where_the_donor_ends_so_does_the_part(astronaut, hopper, forge, check):
    half = hopper.cut(0, 0, 215, 400)  # without its right half
    donor = Donor(half.pixels, half.landmarks)
    forgery = check(forge(astronaut, "splice", 1, donor=donor, parts=("face",)), astronaut.pixels)
    middle = int(astronaut.landmarks[:2, 0].mean())
    assert forgery.mask[:, : middle - 5].sum() > 5 * forgery.mask[:, middle + 12 :].sum()


def test_a_mirrored_donor_gives_the_same_part(astronaut, hopper):
    donor = Donor(hopper.pixels, hopper.landmarks, "h")
    back = donor.mirrored().mirrored()
    assert (back.pixels == donor.pixels).all()
    assert back.landmarks == pytest.approx(donor.landmarks, abs=1e-3)
    there = anatomy(donor.landmarks, donor.pixels.shape)
    mirrored = donor.mirrored()
    here = anatomy(mirrored.landmarks, mirrored.pixels.shape)
    assert yaw(here) == pytest.approx(-yaw(there), abs=0.05)


def test_the_eye_behind_the_nose_stays():
    keys = SpliceKeys()
    rng = np.random.default_rng(0)
    for turn, hidden in ((0.5, "right_eye"), (-0.5, "left_eye")):
        drawn = [name for _ in range(60) for name in _draw_parts(keys, turn, rng)]
        assert hidden not in drawn
        assert "nose" in drawn
    only = dataclasses.replace(keys, parts=("left_eye",))
    assert _draw_parts(only, -0.5, rng) == ["left_eye"]  # asked for, so it is done


def test_alignment_recovers_a_similarity():
    rng = np.random.default_rng(1)
    source = rng.uniform(0, 100, (5, 2))
    turn = 1.3 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    target = source @ turn.T + (7, -3)
    for bent in (0.0, 0.5, 1.0):
        matrix = alignment(source, target, np.ones(5), bent=bent)
        assert matrix[:, :2] == pytest.approx(turn, abs=1e-6)
        assert source @ matrix[:, :2].T + matrix[:, 2] == pytest.approx(target, abs=1e-6)


def test_alignment_follows_the_weights():
    source = np.array([[0, 0], [10, 0], [5, 5], [2, 10], [8, 10.0]])
    target = source + np.array([[3, 0]] + [[0, 0]] * 4)
    near = alignment(source, target, np.array([1, 1e-6, 1e-6, 1e-6, 1e-6]), bent=0)
    moved = near[:, :2] @ source[0] + near[:, 2]
    assert moved == pytest.approx(target[0], abs=0.01)


def test_taken_lies_where_the_matrix_says():
    donor = np.zeros((40, 40, 3), np.uint8)
    donor[10:14, 20:24] = 255
    for scale in (1.0, 0.25):
        matrix = np.array([[scale, 0, 5], [0, scale, 8.0]])
        patch, covered = warp_donor(donor, matrix, FULL)
        weights = patch[..., 0] * (covered > 0.5)  # beyond, the donor is mirrored
        weights /= weights.sum()
        y, x = np.indices(weights.shape)
        # The middle of the square lies at (21.5, 11.5) of the donor.
        assert (weights * x).sum() == pytest.approx(scale * 21.5 + 5, abs=0.3)
        assert (weights * y).sum() == pytest.approx(scale * 11.5 + 8, abs=0.3)
        assert covered[10, 8] > 0.9
        assert covered[47, 63] == 0


def two_pictures():
    rng = np.random.default_rng(4)
    under = np.float32(rng.normal((180, 140, 120), 6, (48, 64, 3))).clip(0, 255)
    patch = np.float32(rng.normal((110, 120, 150), 12, (48, 64, 3))).clip(0, 255)
    ring = np.zeros((48, 64), np.float32)
    ring[8:40, 8:56] = 1
    ring[14:34, 16:48] = 0
    return patch, under, ring


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_colours_are_matched_on_the_ring(share):
    patch, under, ring = two_pictures()
    matched = match_colour(patch, under, ring, share=share)
    apart, left = (
        np.abs(one[ring > 0].mean(0) - under[ring > 0].mean(0)) for one in (patch, matched)
    )
    assert left == pytest.approx((1 - share) * apart, abs=6)


def test_light_is_carried_inwards():
    _, under, ring = two_pictures()
    x = np.linspace(0, 60, 64, dtype=np.float32)[None, :, None]
    slanted = np.float32(np.clip(under + x, 0, 255))
    shaded = match_light(under, slanted, ring, share=1.0, wide_px=8)
    gain = (shaded - under).mean((0, 2))
    assert gain[12] < gain[50]  # to the right it became lighter, as the target is there
    assert match_light(under, slanted, ring, share=0.0, wide_px=8) == pytest.approx(under)


@pytest.mark.parametrize(("donor_noise", "target_noise"), [(9.0, 2.0), (1.0, 5.0)])
def test_grain_is_matched(donor_noise, target_noise):
    rng = np.random.default_rng(2)
    flat = np.full((48, 64, 3), 128, np.float32)
    patch = flat + donor_noise * rng.standard_normal((48, 64, 1), np.float32)
    under = flat + target_noise * rng.standard_normal((48, 64, 1), np.float32)
    ring = np.ones((48, 64), np.float32)
    after = match_grain(patch, under, ring, rng)
    assert abs(after.std() - under.std()) < 0.6 * abs(patch.std() - under.std())


def test_a_careful_seam_keeps_clear_of_hair():
    under = np.full((60, 80, 3), 180, np.float32)
    patch = under.copy()
    patch[:18] = 40  # a strip of hair along the upper edge of the piece
    patch[28:34, 35:45] = 40  # and a pupil in its middle
    inside = np.zeros((60, 80), np.float32)
    inside[12:50, 10:70] = 1
    left = careful_mask(patch, under, inside, width_px=120)
    assert left[13:16, 20:60].mean() < 0.3
    assert left[31, 40] > 0.9
    assert left[45, 20:60].min() > 0.9
    assert careful_mask(under, under, inside, width_px=120) == pytest.approx(np.ones((60, 80)))
