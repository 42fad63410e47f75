"""Changes of colour and sharpness, and matching of one picture to another."""

import cv2
import numpy as np
import pytest

from mesoscope.synth.colour import (
    FREQUENCIES,
    Frequency,
    draw_frequency,
    draw_shift,
    is_grey,
    luminance_gap,
    match_colour,
    match_sharpness,
    shading_correlation,
)


@pytest.mark.parametrize("seed", range(5))
def test_no_strength_changes_nothing(astronaut_face, seed):
    rng = np.random.default_rng(seed)
    assert np.array_equal(draw_shift(rng, 0).apply(astronaut_face), astronaut_face)
    assert draw_frequency(rng, 0) == Frequency()
    assert np.array_equal(Frequency().apply(astronaut_face), astronaut_face)


def test_shifts_are_bounded_and_differ(astronaut_face):
    rng = np.random.default_rng(0)
    means = [
        draw_shift(rng, 1).apply(astronaut_face).reshape(-1, 3).mean(axis=0) for _ in range(50)
    ]  # fmt: skip
    apart = np.array(means) - astronaut_face.reshape(-1, 3).mean(axis=0)
    assert np.abs(apart).max() < 45
    assert apart.std(axis=0).min() > 2
    tint = apart - apart.mean(axis=1, keepdims=True)
    assert np.abs(tint).max() < 15  # no green and no purple faces


def test_each_frequency_does_what_it_says(astronaut_face):
    def detail(pixels):
        return float(cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())

    before = detail(astronaut_face)
    assert detail(Frequency("shrink", 2.5, "cubic").apply(astronaut_face)) < 0.7 * before
    assert detail(Frequency("sharpen", 0.8).apply(astronaut_face)) > 1.2 * before
    squeezed = Frequency("compress", 30).apply(astronaut_face)
    assert 0 < np.abs(squeezed.astype(int) - astronaut_face).mean() < 8
    rng = np.random.default_rng(0)
    drawn = {draw_frequency(rng, 1).kind for _ in range(60)}
    assert drawn == set(FREQUENCIES)


def test_grey_is_told_from_colour(astronaut_face):
    grey = np.repeat(astronaut_face[:, :, :1], 3, axis=2)
    assert is_grey(grey)
    assert not is_grey(astronaut_face)
    for seed in range(5):
        assert is_grey(draw_shift(np.random.default_rng(seed), 1, grey=True).apply(grey))


def test_matching_gives_the_others_colours(astronaut_face):
    other = np.clip(astronaut_face * 0.7 + (40, 5, 0), 0, 255).astype(np.uint8)
    within = np.zeros(astronaut_face.shape[:2], np.float32)
    within[60:180, 60:180] = 1
    done = match_colour(astronaut_face, other, within)
    inside = within > 0
    assert done[inside].mean(axis=0) == pytest.approx(other[inside].mean(axis=0), abs=4)
    unchanged = match_colour(astronaut_face, other, within, share=0)
    assert np.abs(unchanged.astype(int) - astronaut_face).max() <= 2
    nowhere = np.zeros_like(within)
    assert np.array_equal(match_colour(astronaut_face, other, nowhere), astronaut_face)
    assert np.array_equal(match_sharpness(astronaut_face, other, nowhere), astronaut_face)


def test_softening_brings_detail_down_to_the_others(astronaut_face):
    soft = cv2.GaussianBlur(astronaut_face, (0, 0), 1.0)
    everywhere = np.ones(astronaut_face.shape[:2], np.float32)
    done = match_sharpness(astronaut_face, soft, everywhere)
    assert np.abs(done.astype(int) - soft).mean() < np.abs(astronaut_face.astype(int) - soft).mean()
    assert np.array_equal(
        match_sharpness(soft, astronaut_face, everywhere), soft
    )  # never sharpened


def test_likeness_is_of_coarse_light_and_shade(astronaut_face):
    everywhere = np.ones(astronaut_face.shape[:2], np.float32)
    grained = astronaut_face + np.random.default_rng(0).normal(0, 20, astronaut_face.shape)
    alike = shading_correlation(
        np.clip(grained, 0, 255).astype(np.uint8), astronaut_face, everywhere
    )
    assert alike > 0.98
    assert shading_correlation(255 - astronaut_face, astronaut_face, everywhere) < -0.98
    assert (
        abs(shading_correlation(np.full_like(astronaut_face, 9), astronaut_face, everywhere)) < 0.1
    )
    assert shading_correlation(astronaut_face, astronaut_face, np.zeros_like(everywhere)) == 0


def test_light_is_compared_where_it_counts(astronaut_face):
    everywhere = np.ones(astronaut_face.shape[:2], np.float32)
    assert luminance_gap(astronaut_face, astronaut_face, everywhere) == (0, 1)
    darker, flatter = luminance_gap(astronaut_face // 4, astronaut_face, everywhere)
    assert darker > 60
    assert flatter == pytest.approx(4, rel=0.1)
