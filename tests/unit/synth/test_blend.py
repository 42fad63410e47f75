"""Self-blended pictures: what a blend may change, and that its seed makes it again."""

import json
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.synth.blend import RATIOS, draw_hull, self_blend, twin
from mesoscope.synth.outline import HULLS, hull, mesh

FIVE = np.array(
    [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]], np.float32
)
SEEDS = range(12)


def blend(pixels, seed, landmarks=FIVE, **options):
    return self_blend(pixels, landmarks, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_changes_outside_of_the_mask(astronaut_face, seed):
    before = astronaut_face.copy()
    made = blend(astronaut_face, seed)
    assert np.array_equal(astronaut_face, before)  # the caller's picture stays
    outside = made.mask == 0
    assert 0.3 < outside.mean() < 0.995
    assert np.array_equal(made.pixels[outside], made.twin[outside])
    assert not np.array_equal(made.pixels, made.twin)
    assert made.mask.dtype == np.float32
    assert made.mask[~outside].min() >= 1 / 255
    assert made.mask.max() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_twin_is_the_picture_unless_all_of_it_was_changed(astronaut_face, seed):
    made = blend(astronaut_face, seed)
    same = np.array_equal(made.twin, astronaut_face)
    assert same == (made.numbers["changed"] == "copy")


def test_a_twin_needs_no_landmarks_and_is_the_blends(astronaut_face):
    for seed in SEEDS:
        alone = twin(astronaut_face, np.random.default_rng(seed))
        assert np.array_equal(alone, blend(astronaut_face, seed).twin)


def test_a_seed_makes_the_same_again_and_another_another(astronaut_face):
    made = [blend(astronaut_face, seed) for seed in SEEDS]
    again = [blend(astronaut_face, seed) for seed in SEEDS]
    for one, other in zip(made, again, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.twin, other.twin)
        assert np.array_equal(one.mask, other.mask)
        assert one.numbers == other.numbers
    assert len({made_one.pixels.tobytes() for made_one in made}) == len(made)
    assert len({json.dumps(made_one.numbers) for made_one in made}) == len(made)


def test_threads_make_what_one_makes(astronaut_face):
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(lambda seed: blend(astronaut_face, seed).pixels, SEEDS))
    for seed, pixels in zip(SEEDS, threaded, strict=True):
        assert np.array_equal(pixels, blend(astronaut_face, seed).pixels)


def test_the_mask_lies_on_its_hull(astronaut_face):
    for seed in SEEDS:
        made = blend(astronaut_face, seed)
        outline = hull(mesh(FIVE), made.numbers["hull"])
        drawn = np.zeros(made.mask.shape, np.uint8)
        cv2.fillConvexPoly(drawn, np.rint(outline).astype(np.int32), 1)
        shared = ((made.mask > 0.5) & (drawn > 0)).sum()
        assert shared / ((made.mask > 0.5) | (drawn > 0)).sum() > 0.5
        assert shared / (made.mask > 0.5).sum() > 0.8


def test_grey_pictures_stay_grey(astronaut_face):
    grey = np.repeat(cv2.cvtColor(astronaut_face, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    for seed in SEEDS:
        made = blend(grey, seed)
        for pixels in (made.pixels, made.twin):
            assert np.ptp(pixels.astype(int), axis=2).max() <= 1  # JPEG may round by one
        assert not np.array_equal(made.pixels, made.twin)


@given(st.integers(40, 300), st.integers(40, 300), st.integers(0, 99))
def test_any_size_and_place(width, height, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    size = rng.uniform(20, min(width, height)) / 60
    landmarks = (FIVE - FIVE.mean(axis=0)) * size + rng.uniform(0, 1, 2) * (width, height)
    made = blend(pixels, seed, landmarks)
    assert made.pixels.shape == made.twin.shape == (height, width, 3)
    assert made.mask.shape == (height, width)
    assert np.array_equal(made.pixels[made.mask == 0], made.twin[made.mask == 0])
    json.dumps(made.numbers, allow_nan=False)


def test_a_dense_mesh_does_as_well(astronaut_face):
    dense = mesh(FIVE)
    assert np.array_equal(blend(astronaut_face, 3, dense).pixels, blend(astronaut_face, 3).pixels)


def test_strength_says_how_far_the_sides_differ(astronaut_face):
    def difference(strength):
        made = [blend(astronaut_face, seed, strength=strength) for seed in SEEDS]
        inside = [np.abs(m.pixels.astype(int) - m.twin)[m.mask > 0.9].mean() for m in made]
        return float(np.mean(inside))

    assert difference(0) == 0
    assert 0 < difference(0.5) < difference(2)


def test_ratios_are_the_papers(astronaut_face):
    drawn = [blend(astronaut_face, seed).numbers["ratio"] for seed in range(60)]
    assert set(drawn) == set(RATIOS)
    assert 0.3 < drawn.count(1.0) / len(drawn) < 0.7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"strength": -1}, "strength must lie in"),
        ({"hulls": ()}, "hulls must be some of"),
        ({"hulls": ("ear",)}, "hulls must be some of"),
        ({"landmarks": np.zeros((5, 2))}, "one spot"),
    ],
)
def test_wrong_options_are_refused(astronaut_face, options, said):
    with pytest.raises(OptionError, match=said):
        blend(astronaut_face, 0, **options)


@pytest.mark.parametrize("landmarks", [FIVE / 40, FIVE + 5000])
def test_faces_too_small_or_elsewhere_do_not_do(astronaut_face, landmarks):
    with pytest.raises(SourceUnsuitable, match=r"smaller than 12 pixels or outside"):
        blend(astronaut_face, 0, landmarks)


def test_all_hulls_are_drawn():
    rng = np.random.default_rng(0)
    assert {draw_hull(rng) for _ in range(200)} == set(HULLS)
    assert {draw_hull(rng, ["lower"]) for _ in range(5)} == {"lower"}
