"""The public layout: names and shapes, in and out, and what is said of a file that is wrong."""

import pytest
import torch

from mesoscope.errors import ModelError
from mesoscope.synth.stylegan.networks import GeneratorConfig
from mesoscope.synth.stylegan.public_layout import from_public, infer_config, places
from public_checkpoints import to_public

NAMES_AT_8_PX = {  # as published, for 8 × 8 pixels, 4 channels, 6 numbers a style, 2 layers
    "style.1.weight": (6, 6), "style.1.bias": (6,),
    "style.2.weight": (6, 6), "style.2.bias": (6,),
    "input.input": (1, 4, 4, 4),
    "conv1.conv.weight": (1, 4, 4, 3, 3),
    "conv1.conv.modulation.weight": (4, 6), "conv1.conv.modulation.bias": (4,),
    "conv1.noise.weight": (1,), "conv1.activate.bias": (4,),
    "to_rgb1.conv.weight": (1, 3, 4, 1, 1),
    "to_rgb1.conv.modulation.weight": (4, 6), "to_rgb1.conv.modulation.bias": (4,),
    "to_rgb1.bias": (1, 3, 1, 1),
    "convs.0.conv.weight": (1, 3, 4, 3, 3), "convs.0.conv.blur.kernel": (4, 4),
    "convs.0.conv.modulation.weight": (4, 6), "convs.0.conv.modulation.bias": (4,),
    "convs.0.noise.weight": (1,), "convs.0.activate.bias": (3,),
    "convs.1.conv.weight": (1, 3, 3, 3, 3),
    "convs.1.conv.modulation.weight": (3, 6), "convs.1.conv.modulation.bias": (3,),
    "convs.1.noise.weight": (1,), "convs.1.activate.bias": (3,),
    "to_rgbs.0.upsample.kernel": (4, 4), "to_rgbs.0.conv.weight": (1, 3, 3, 1, 1),
    "to_rgbs.0.conv.modulation.weight": (3, 6), "to_rgbs.0.conv.modulation.bias": (3,),
    "to_rgbs.0.bias": (1, 3, 1, 1),
    "noises.noise_0": (1, 1, 4, 4), "noises.noise_1": (1, 1, 8, 8), "noises.noise_2": (1, 1, 8, 8),
}  # fmt: skip


def test_names_and_shapes_are_the_published_ones(small_generator):
    found = to_public(small_generator(mapping_layers=2))
    assert {name: tuple(value.shape) for name, value in found.items()} == NAMES_AT_8_PX
    kernel = [[float(a * b) / 16 for b in (1, 3, 3, 1)] for a in (1, 3, 3, 1)]
    assert found["convs.0.conv.blur.kernel"].tolist() == kernel


@pytest.mark.parametrize("size", [4, 8, 32])
def test_round_trip(small_generator, size):
    generator = small_generator(size=size)
    again = from_public(to_public(generator), generator.w_mean[None], "file")
    assert again.config.resolutions == generator.config.resolutions
    before, after = generator.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    styles = generator.styles(torch.ones(1, 6))
    assert torch.equal(generator(styles), again(styles))


def test_every_weight_has_a_place(small_generator):
    generator = small_generator(size=32)
    ours = [place.ours for place in places(generator.config).values()]
    assert len(set(ours)) == len(ours)
    assert {*ours, "w_mean"} == set(generator.state_dict())


@pytest.mark.parametrize(
    ("size", "multiplier"), [(1024, 2.0), (1024, 1.0), (256, 2.0), (256, 1.0), (64, 2.0), (32, 2.0)]
)
def test_sizes_are_read_off_the_tensors(size, multiplier):
    config = GeneratorConfig(size=size, channel_multiplier=multiplier)
    shapes = {n: torch.empty(p.shape, device="meta") for n, p in places(config).items()}
    assert infer_config(shapes, "file") == config


def test_mean_style_is_measured_where_a_file_has_none(small_generator):
    generator = small_generator()
    again = from_public(to_public(generator), None, "file")
    generator.measure_mean()
    torch.testing.assert_close(again.w_mean, generator.w_mean)


def test_noise_may_be_missing(small_generator):
    held = {n: v for n, v in to_public(small_generator()).items() if not n.startswith("noises")}
    one, two = (from_public(held, torch.zeros(6), "file") for _ in range(2))
    assert torch.equal(one.noise_2, two.noise_2)
    assert one.noise_2.std() > 0.5


def changed(tensors, name, value):
    held = dict(tensors)
    if value is None:
        del held[name]
    else:
        held[name] = value
    return held


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("conv1.noise.weight", None, r"conv1\.noise\.weight is missing, and a StyleGAN2 of 8 px"),
        ("extra.weight", torch.zeros(1), r"extra\.weight is unknown"),
        ("convs.1.conv.weight", torch.zeros(1, 3, 3, 3, 1), r"1×3×3×3×1.* needs 1×3×3×3×3"),
        ("input.input", None, r"input\.input missing: not a StyleGAN2"),
        ("input.input", torch.zeros(4, 4), r"shape 4×4, and 4 axes"),
        ("style.2.bias", torch.full((6,), torch.nan), "infinite or NaN"),
        ("style.2.bias", torch.zeros(6, dtype=torch.int64), "int64"),
        ("convs.0.conv.blur.kernel", torch.ones(4, 4), r"not the filter \[1, 3, 3, 1\]"),
        ("to_rgbs.0.conv.weight", None, "unknown"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(small_generator, name, value, says):
    held = changed(to_public(small_generator()), name, value)
    with pytest.raises(ModelError, match=says) as error:
        from_public(held, torch.zeros(6), "some.pt")
    assert str(error.value).startswith("some.pt: ")
    assert "\n" not in str(error.value)


def test_several_are_counted(small_generator):
    held = {n: v for n, v in to_public(small_generator()).items() if "activate" not in n}
    with pytest.raises(ModelError, match=r"conv1\.activate\.bias and 2 more are missing"):
        from_public(held, None, "some.pt")


def test_mean_of_another_length(small_generator):
    with pytest.raises(ModelError, match="latent_avg has shape 7"):
        from_public(to_public(small_generator()), torch.zeros(7), "some.pt")
