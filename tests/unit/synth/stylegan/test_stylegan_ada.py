"""Adaptive augmentation: p follows the discriminator, and changes are what they are said to be."""

import numpy as np
import pytest
import torch

from mesoscope.synth.stylegan.ada import (
    RAMP_PICTURES,
    TARGET,
    Controller,
    augment,
    colour,
    geometry,
)


def told(p, signs, times=1):
    controller = Controller(p=p)
    for _ in range(times):
        controller.accumulate(torch.tensor(signs))
        controller.update()
    return controller


def test_p_rises_while_the_discriminator_is_sure():
    controller = told(0.1, [2.0, 0.5, 3.0, 1.0])  # all reals taken for real
    assert controller.heard == 1
    assert controller.p == pytest.approx(0.1 + 4 / RAMP_PICTURES)


def test_p_falls_while_it_is_not():
    controller = told(0.1, [2.0, -0.5, 3.0, 1.0])
    assert controller.heard == 0.5 < TARGET
    assert controller.p == pytest.approx(0.1 - 4 / RAMP_PICTURES)


def test_p_stays_a_probability():
    assert told(0.0, [-1.0] * 8).p == 0
    assert told(1.0, [1.0] * 8).p == 1


def test_p_reaches_one_in_half_a_million_pictures_at_most():
    controller = told(0.0, [1.0] * 1000, times=499)
    assert 0.99 < controller.p < 1
    assert told(0.0, [1.0] * 1000, times=501).p == 1


def test_nothing_heard_moves_nothing():
    controller = Controller(p=0.3)
    controller.update()
    assert controller.p == 0.3


def test_p_of_zero_leaves_pictures_alone():
    pictures = torch.randn(2, 3, 8, 8)
    assert augment(pictures, 0.0, torch.Generator()) is pictures


def test_share_of_changed_pictures_follows_p():
    for p in (0.05, 0.3, 1.0):
        rng = torch.Generator().manual_seed(1)
        places = geometry(4000, 16, p, rng)
        moved = (places - torch.eye(3)).abs().amax((1, 2)) > 1e-6
        # Six kinds of change; a turn by 0 of 4 quarters, or a shift by no pixel, changes nothing.
        at_least = 1 - (1 - p) ** 4
        at_most = 1 - (1 - p) ** 7
        assert at_least - 0.03 <= moved.float().mean() <= at_most + 0.03
        colours = (colour(4000, p, rng) - torch.eye(4)).abs().amax((1, 2)) > 1e-6
        wanted = 1 - (1 - p) ** 4 * (1 - p / 2)
        assert colours.float().mean() == pytest.approx(wanted, abs=0.03)


def test_turns_by_quarters_shifts_and_flips_lose_nothing():
    """Of changes by whole pixels, every pixel is one of the old picture."""
    pictures = torch.rand(64, 3, 8, 8)
    rng = torch.Generator().manual_seed(3)
    places = geometry(64, 8, 0.2, rng)
    # Of these keep those without scaling, turning or shifting by parts of a pixel.
    whole = ((places * 4).round() / 4 - places).abs().amax((1, 2)) < 1e-6
    moved = (places - torch.eye(3)).abs().amax((1, 2)) > 1e-6
    chosen = whole & moved
    assert chosen.sum() > 5
    where = torch.nn.functional.affine_grid(places[:, :2], [64, 3, 8, 8], align_corners=False)
    out = torch.nn.functional.grid_sample(
        pictures, where, padding_mode="reflection", align_corners=False
    )
    for before, after in zip(pictures[chosen], out[chosen], strict=True):
        old = before.flatten(1).T
        distance = torch.cdist(after.flatten(1).T, old).amin(1)
        assert distance.max() < 1e-3


def test_colour_maps_are_the_papers():
    """Greys stay grey under turns of hue and saturation; brightness and contrast move them."""
    maps = colour(500, 1.0, torch.Generator().manual_seed(2))[:, :3]
    grey = torch.tensor([0.25, 0.25, 0.25, 1.0])
    out = maps @ grey
    torch.testing.assert_close(out, out.mean(1, keepdim=True).expand(-1, 3), atol=1e-5, rtol=1e-5)
    assert out.std() > 0.1


def test_same_draws_for_same_state():
    pictures = torch.rand(3, 3, 8, 8)
    one, two, other = (augment(pictures, 0.7, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert one.shape == pictures.shape


def test_gradients_go_through():
    pictures = torch.rand(2, 3, 8, 8, requires_grad=True)
    augment(pictures, 0.8, torch.Generator().manual_seed(4)).square().sum().backward()
    assert pictures.grad.abs().sum() > 0
    assert torch.isfinite(pictures.grad).all()


def test_maps_of_probability_zero_change_nothing():
    rng = torch.Generator().manual_seed(0)
    np.testing.assert_array_equal(geometry(16, 16, 0.0, rng), np.eye(3)[None].repeat(16, 0))
    torch.testing.assert_close(colour(16, 0.0, rng), torch.eye(4).repeat(16, 1, 1))


def test_geometry_is_drawn_as_the_paper_says():
    """Scales are log-normal of .2 octaves, together and against each other."""
    maps = geometry(20_000, 64, 1.0, torch.Generator().manual_seed(0))
    areas = maps[:, :2, :2].det().abs().log2() / 2
    assert areas.mean() == pytest.approx(0, abs=0.01)
    assert areas.std() == pytest.approx(0.2, abs=0.01)
    stretches = torch.linalg.svdvals(maps[:, :2, :2])
    octaves = (stretches[:, 0] / stretches[:, 1]).log2() / 2
    assert octaves.square().mean().sqrt() == pytest.approx(0.2, abs=0.01)
    flipped = (maps[:, :2, :2].det() < 0).float().mean()
    assert flipped == pytest.approx(0.5, abs=0.02)  # at p = 1 either way round is as likely
