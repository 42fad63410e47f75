"""Retouching, dodge and burn, whitening, inpainting and cloning: what each does to pixels."""

import dataclasses

import cv2
import numpy as np
import pytest

from mesoscope.synth.edits.anatomy import anatomy, skin_mask
from mesoscope.synth.edits.skin import METHODS


def inside_of(face, mask, part):
    """Mean of a mask about a landmark."""
    x, y = np.rint(part).astype(int)
    return mask[y - 2 : y + 3, x - 2 : x + 3].mean()


def unevenness(pixels, where):
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 3))
    return float(fine[where].mean())


def test_skin_is_the_face_without_eyes_and_mouth(astronaut):
    face = anatomy(astronaut.landmarks, astronaut.pixels.shape)
    region, found = skin_mask(astronaut.pixels, face)
    whole = np.zeros(astronaut.pixels.shape[:2], np.float32)
    whole[region.slices] = found
    for eye in astronaut.landmarks[:2]:
        assert inside_of(astronaut, whole, eye) < 0.05
    assert inside_of(astronaut, whole, astronaut.landmarks[3:].mean(0)) < 0.05
    for cheek in (face.at(-0.45, 0.55), face.at(0.45, 0.55)):
        assert inside_of(astronaut, whole, cheek) > 0.8
    assert whole[:25].max() == 0  # hair


def test_each_way_of_retouching_smooths_the_skin(hopper, forge):
    seen = set()
    for seed in range(10):
        forgery = forge(hopper, "retouch", seed, grain=0.0)
        where = forgery.mask > 0.8
        assert unevenness(forgery.pixels, where) < unevenness(forgery.twin, where)
        for eye in hopper.landmarks[:2]:
            assert inside_of(hopper, forgery.mask, eye) < 0.05
        seen.add(forgery.numbers["retouch"]["method"])
    assert seen == set(METHODS)


@pytest.mark.parametrize("sign", [1, -1])
def test_stops_make_lighter_or_darker(astronaut, forge, sign):
    grey = astronaut.filled(128)
    for seed in range(30):
        forgery = forge(grey, "dodge_burn", seed, strokes_most=1)
        (stroke,) = forgery.numbers["dodge_burn"]["strokes"]
        if np.sign(stroke["stops"]) != sign:
            continue
        core = forgery.mask > 0.9 * forgery.mask.max()
        change = forgery.pixels[core].astype(float).mean() - 128
        assert np.sign(change) == sign
        stops = 2.2 * np.log2((128 + change) / 128)
        assert 0 < stops / stroke["stops"] <= 1.05


def test_white_parts_lose_their_colour_and_gain_light(astronaut, forge):
    seen = set()
    for seed in range(12):
        forgery = forge(astronaut, "whiten", seed, amount_min=0.8)
        seen.update(forgery.numbers["whiten"]["parts"])
        core = forgery.mask > 0.6
        if not core.any():
            continue
        before, after = (
            cv2.cvtColor(one, cv2.COLOR_RGB2LAB)[core].astype(float).mean(0)
            for one in (forgery.twin, forgery.pixels)
        )
        assert after[0] > before[0]
        assert np.hypot(*(after[1:] - 128)) < np.hypot(*(before[1:] - 128))
    assert seen == {"eyes", "teeth"}


def test_a_closed_mouth_has_no_teeth(hopper, forge):
    for seed in range(6):
        assert forge(hopper, "whiten", seed).numbers["whiten"]["parts"] == ["eyes"]


def test_spots_that_stand_out_are_painted_out(astronaut, forge):
    face = anatomy(astronaut.landmarks, astronaut.pixels.shape)
    spotted = astronaut.pixels.copy()
    moles = [face.at(-0.45, 0.5), face.at(0.5, 0.55), face.at(0.0, -0.45)]
    for x, y in moles:
        cv2.circle(spotted, (round(x), round(y)), 2, (70, 40, 30), -1)
    marked = dataclasses.replace(astronaut, pixels=spotted)
    healed = 0
    for seed in range(8):
        forgery = forge(marked, "inpaint", seed, strength=(1.0, 1.0), mark=0.0)
        for x, y in moles:
            at = round(y), round(x)
            if forgery.mask[at] > 0.9:
                healed += forgery.pixels[at].mean() > spotted[at].mean() + 15
    assert healed >= 5


def test_larger_marks_are_longer_than_spots(astronaut, forge):
    spots = forge(astronaut, "inpaint", 3, mark=0.0, spots_most=1, strength=(0.0, 0.0))
    marks = forge(astronaut, "inpaint", 3, mark=1.0, spots_most=1, strength=(0.0, 0.0))
    assert marks.numbers["inpaint"]["spots"][0]["mark"]
    assert (marks.mask > 0.5).sum() > 1.5 * (spots.mask > 0.5).sum()


def test_a_stamp_copies_what_lies_elsewhere(astronaut, forge):
    rng = np.random.default_rng(0)
    noise = dataclasses.replace(
        astronaut, pixels=rng.integers(100, 180, astronaut.pixels.shape, dtype=np.uint8)
    )
    for seed in range(6):
        forgery = forge(noise, "clone", seed, stamps_most=1, heal=0.0, size_min=0.15)
        (stamp,) = forgery.numbers["clone"]["stamps"]
        (x, y), (u, v) = stamp["to"], stamp["from"]
        for dx, dy in ((0, 0), (1, -1)):  # in its middle, where its soft edge has ended
            copied, there, before = (
                np.int64(one[row + dy, column + dx])
                for one, row, column in (
                    (forgery.pixels, y, x), (noise.pixels, v, u), (noise.pixels, y, x),
                )
            )  # fmt: skip
            assert np.abs(copied - there).max() <= max(2, 0.1 * np.abs(before - there).max())


def test_the_healing_brush_keeps_the_light(astronaut, forge):
    height, width = astronaut.pixels.shape[:2]
    slant = np.repeat(np.linspace(40, 220, width)[None, :, None], height, 0)
    face = dataclasses.replace(astronaut, pixels=np.repeat(slant, 3, 2).astype(np.uint8))
    healed, plain = (
        np.mean([forge(face, "clone", s, heal=heal).numbers["change"] for s in range(8)])
        for heal in (1.0, 0.0)
    )
    assert healed < 0.7 * plain
