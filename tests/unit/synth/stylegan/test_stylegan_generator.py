"""Whole generators, against the reference and by their own rules."""

import numpy as np
import pytest
import torch

from mesoscope.errors import OptionError
from mesoscope.synth.stylegan.networks import Generator, GeneratorConfig, mix, truncate


@pytest.mark.parametrize("size", [4, 16])
@pytest.mark.parametrize("architecture", ["stylegan", "stylegan2"])
def test_whole_generator_is_the_papers(reference, small_generator, architecture, size):
    generator = small_generator(architecture, size).double()
    state = {name: value.numpy() for name, value in generator.state_dict().items()}
    z = torch.randn(2, 6, dtype=torch.float64)
    styles = generator.styles(z) * torch.linspace(0.5, 1.5, generator.config.style_layers)[:, None]
    pictures = generator(styles).detach().numpy()
    assert pictures.shape == (2, 3, size, size)
    layers = [
        (state[f"mapping.layers.{i}.weight"], state[f"mapping.layers.{i}.bias"]) for i in range(3)
    ]
    noises = [state[f"noise_{i}"][0, 0] for i in range(len(generator.config.noise_sizes))]
    for latent, style, picture in zip(z.numpy(), styles.detach().numpy(), pictures, strict=True):
        w = reference.mapping(latent, layers)
        strengths = np.linspace(0.5, 1.5, len(style), dtype=np.float32)[:, None]
        np.testing.assert_allclose(style, strengths * w, rtol=1e-9, atol=1e-10)
        wanted = getattr(reference, architecture)(state, style, noises)
        np.testing.assert_allclose(picture, wanted, rtol=1e-8, atol=1e-8)
        assert np.ptp(picture) > 0.1


def test_each_layer_has_a_style_and_noise_of_its_own(small_generator):
    for architecture, layers, maps in (("stylegan", 6, 6), ("stylegan2", 6, 5)):
        generator = small_generator(architecture, 16)
        assert generator.config.style_layers == layers
        assert len(generator.stored_noise) == maps
        styles = generator.styles(torch.ones(1, 6)).clone()
        plain = generator(styles)
        for layer in range(layers):
            changed = styles.clone()
            changed[:, layer] += 1
            assert not torch.equal(generator(changed), plain)
        for layer in range(maps):
            noises = generator.stored_noise
            noises[layer] = noises[layer] + 1 + torch.arange(noises[layer].shape[-1])
            assert not torch.equal(generator(styles, noises), plain)


def test_widths_are_those_of_the_published_networks():
    large = GeneratorConfig(size=1024)
    assert [large.channels(r) for r in large.resolutions] == [
        512, 512, 512, 512, 512, 256, 128, 64, 32,
    ]  # fmt: skip
    assert large.style_layers == 18
    assert len(large.noise_sizes) == 17
    assert large.noise_sizes[:3] == (4, 8, 8)
    with torch.device("meta"):
        weights = sum(p.numel() for p in Generator(large).parameters())
    assert weights == 30_370_060  # as published for FFHQ at 1024²: 30.37 million


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"architecture": "gan"}, "stylegan and stylegan2"),
        ({"size": 48}, "4, 8, 16"),
        ({"size": 2048}, "4, 8, 16"),
        ({"size": 2}, "4, 8, 16"),
        ({"style_dim": 0}, "style_dim 0"),
        ({"channel_multiplier": 0}, "channel_multiplier 0"),
    ],
)
def test_sizes_that_cannot_be(changes, says):
    with pytest.raises(OptionError, match=says):
        GeneratorConfig(**changes)


def test_truncation_draws_towards_the_mean():
    styles, mean = torch.randn(2, 4, 3), torch.randn(3)
    np.testing.assert_allclose(
        truncate(styles, mean, 0.7), 0.7 * styles.numpy() + 0.3 * mean.numpy(), rtol=1e-5
    )
    torch.testing.assert_close(truncate(styles, mean, 1.0), styles)
    torch.testing.assert_close(truncate(styles, mean, 0.0), mean.expand(2, 4, 3))
    coarse = truncate(styles, mean, 0.5, 1)
    torch.testing.assert_close(coarse[:, :1], truncate(styles, mean, 0.5)[:, :1])
    assert torch.equal(coarse[:, 1:], styles[:, 1:])


def test_mixing_cuts_between_layers(small_generator):
    first, second = torch.zeros(1, 6, 2), torch.ones(1, 6, 2)
    for cut in range(7):
        assert mix(first, second, cut)[0, :, 0].tolist() == [0.0] * cut + [1.0] * (6 - cut)


def test_fine_layers_leave_the_coarse_picture(small_generator):
    """What a style at the last resolution changes has no part in the smaller pictures."""
    generator = small_generator("stylegan2", 16)
    one, two = generator.styles(torch.randn(2, 6)).split(1)
    seen = []
    block = generator.synthesis.blocks[1]
    block.register_forward_hook(lambda _m, _i, out: seen.append(out[1]))
    generator(one)
    generator(mix(one, two, 4))
    generator(mix(one, two, 3))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_mean_style_is_the_mean_and_always_the_same(small_generator):
    generator = small_generator()
    generator.measure_mean()
    first = generator.w_mean.clone()
    generator.measure_mean()
    assert torch.equal(generator.w_mean, first)
    with torch.no_grad():
        draws = generator.mapping(torch.randn(20_000, 6))
    np.testing.assert_allclose(first, draws.mean(0), atol=5 * float(draws.std()) / 100)
