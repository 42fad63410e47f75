"""Pictures by seed: the same ones every time, few at a time."""

import numpy as np
import pytest
import torch

from mesoscope.errors import OptionError
from mesoscope.synth.stylegan.networks import truncate
from mesoscope.synth.stylegan.sampling import SamplingSettings, generate, latent, to_pixels


def pictures(generator, seeds, *, batch=1, **settings):
    return [
        made.pixels
        for made in generate(generator, seeds, settings=SamplingSettings(**settings), batch=batch)
    ]


@pytest.mark.parametrize("noise", ["random", "constant", "none"])
@pytest.mark.parametrize("architecture", ["stylegan", "stylegan2"])
def test_a_seed_is_a_picture(small_generator, architecture, noise):
    generator = small_generator(architecture, 16)
    made = pictures(generator, [3, 4, 3], noise=noise)
    assert made[0].shape == (16, 16, 3)
    assert made[0].dtype == np.uint8
    assert np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[1])
    torch.manual_seed(99)  # the process's own random numbers have no part in it
    assert np.array_equal(pictures(generator, [4], noise=noise)[0], made[1])


def test_batches_change_next_to_nothing(small_generator):
    generator = small_generator(size=16)
    alone, together = pictures(generator, range(5)), pictures(generator, range(5), batch=3)
    difference = np.abs(np.array(alone, int) - np.array(together, int))
    assert difference.max() <= 1
    assert difference.mean() < 0.01


def test_few_pictures_at_a_time(small_generator):
    generator, sizes = small_generator(), []
    generator.synthesis.register_forward_pre_hook(lambda _m, given: sizes.append(len(given[0])))
    asked = []

    def seeds():
        for seed in range(7):
            asked.append(seed)
            yield seed

    made = generate(generator, seeds(), batch=3)
    next(made)
    assert asked == [0, 1, 2]  # no further ahead than a batch
    assert len(list(made)) == 6
    assert sizes == [3, 3, 1]


def test_latents_are_those_of_published_scripts():
    """np.random.RandomState(85).randn(1, 512), whose first numbers are known."""
    drawn = latent(85, 512)
    assert drawn.shape == (512,)
    np.testing.assert_allclose(latent(0, 2), [1.7640524, 0.40015721], rtol=1e-6)


def test_settings_reach_the_picture(small_generator):
    generator = small_generator(size=16)
    mean, usual, all_ = (pictures(generator, [1, 2], truncation=t) for t in (0, 0.7, 1))
    w = generator.styles(latent(1, 6)[None])
    with torch.no_grad():
        plain = generator(truncate(w, generator.w_mean, 0.7))
    assert np.array_equal(
        pictures(generator, [1], truncation=0.7, noise="constant")[0], to_pixels(plain)[0]
    )
    assert not np.array_equal(usual[0], all_[0])
    none = pictures(generator, [1, 2], truncation=0, noise="none")
    assert np.array_equal(*none)  # the mean face, whatever the seed
    assert not np.array_equal(*mean)  # but for noise
    coarse = pictures(generator, [1], truncation=0.0, truncated_layers=2)
    assert not np.array_equal(coarse[0], mean[0])


def test_mixing_is_drawn_and_written_down(small_generator):
    generator = small_generator(size=16)
    settings = SamplingSettings(mixing=True, noise="none", truncation=1.0)
    made = list(generate(generator, range(12), settings=settings))
    mixed = [one.numbers["mixing"] for one in made]
    assert {m["from_layer"] for m in mixed} <= set(range(1, 6))
    assert len({m["from_layer"] for m in mixed}) > 2
    assert len({m["seed"] for m in mixed}) == 12
    first, second = (generator.styles(latent(seed, 6)[None]) for seed in (0, mixed[0]["seed"]))
    cut = mixed[0]["from_layer"]
    styles = torch.cat([first[:, :cut], second[:, cut:]], 1)
    with torch.no_grad():
        plain = generator(styles, [torch.zeros(1)] * 5)
    assert np.array_equal(made[0].pixels, to_pixels(plain)[0])
    assert made[0].numbers | {"mixing": None} == {
        "seed": 0, "truncation": 1.0, "truncated_layers": None, "noise": "none", "mixing": None,
    }  # fmt: skip


def test_levels():
    values = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0]).reshape(1, 1, 1, 5).expand(1, 3, 1, 5)
    assert to_pixels(values)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("settings", [{"truncation": 3}, {"noise": "loud"}])
def test_settings_out_of_range(settings):
    with pytest.raises(OptionError):
        SamplingSettings(**settings)


def test_requests_out_of_range(small_generator):
    generator = small_generator()
    with pytest.raises(OptionError, match="seed -1"):
        pictures(generator, [-1])
    with pytest.raises(OptionError, match="seed 4294967296"):
        pictures(generator, [2**32])
    with pytest.raises(OptionError, match="batch 0"):
        pictures(generator, [1], batch=0)
    with pytest.raises(OptionError, match="truncated layers 9"):
        pictures(generator, [1], truncated_layers=9)
