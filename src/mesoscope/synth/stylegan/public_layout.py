"""Conversion of public StyleGAN2 checkpoints.

The layout is that of the widely used PyTorch port: a dictionary with ``g_ema`` (the generator's
averaged weights) and, often, ``latent_avg`` (the mean style). No code of that port is used here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mesoscope.errors import ModelError, OptionError
from mesoscope.synth.stylegan.layers import SMOOTH, filter_taps
from mesoscope.synth.stylegan.networks import Generator, GeneratorConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

Shape = tuple[int, ...]
MEAN = "latent_avg"
_NOISE = "noises.noise_"


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """A tensor of the public layout.

    Attributes:
        ours: Name in the state of :class:`Generator`; the shape may differ, the order not.
        shape: Shape in the public layout.
    """

    ours: str
    shape: Shape


def places(config: GeneratorConfig) -> dict[str, TensorPlace]:
    """Return all tensors of a StyleGAN2 in the public layout, by their public names."""
    d = config.style_dim
    found: dict[str, TensorPlace] = {}
    for i in range(config.mapping_layers):
        # Layer 0 is the pixel norm, without weights.
        found[f"style.{i + 1}.weight"] = TensorPlace(f"mapping.layers.{i}.weight", (d, d))
        found[f"style.{i + 1}.bias"] = TensorPlace(f"mapping.layers.{i}.bias", (d,))
    width = config.channels(4)
    found["input.input"] = TensorPlace("synthesis.constant", (1, width, 4, 4))
    for i, resolution in enumerate(config.resolutions):
        ours, before, width = f"synthesis.blocks.{i}", width, config.channels(resolution)
        first, second = f"convs.{2 * i - 2}", f"convs.{2 * i - 1}"
        if i:
            found |= _styled(first, f"{ours}.up", before, width, d)
        found |= _styled(second if i else "conv1", f"{ours}.conv", width, width, d)
        rgb = f"to_rgbs.{i - 1}" if i else "to_rgb1"
        found |= _modulated(f"{rgb}.conv", f"{ours}.to_rgb.conv", (3, width, 1), d)
        found[f"{rgb}.bias"] = TensorPlace(f"{ours}.to_rgb.bias", (1, 3, 1, 1))
    for i, size in enumerate(config.noise_sizes):
        found[f"{_NOISE}{i}"] = TensorPlace(f"noise_{i}", (1, 1, size, size))
    return found


def kernels(config: GeneratorConfig) -> dict[str, Tensor]:
    """Return the blur kernels that the public layout includes, ``[4, 4]`` each."""
    taps = filter_taps(SMOOTH) * 2  # compensates the inserted zeros of upsampling
    kernel = torch.outer(taps, taps)
    steps = range(len(config.resolutions) - 1)
    names = [f"convs.{2 * i}.conv.blur.kernel" for i in steps]
    names += [f"to_rgbs.{i}.upsample.kernel" for i in steps]
    return dict.fromkeys(names, kernel)


def infer_config(tensors: Mapping[str, Tensor], where: str) -> GeneratorConfig:
    """Infer a generator's configuration from the shapes of its tensors.

    Args:
        tensors: Tensors of ``g_ema``.
        where: Name of the file in messages.

    Raises:
        ModelError: A tensor is missing or has another rank, or a size is not supported.
    """
    constant = _shape(tensors, "input.input", 4, where)
    style = _shape(tensors, "style.1.weight", 2, where)
    steps = _count(tensors, r"to_rgbs\.(\d+)\.conv\.weight")
    size = 4 * 2**steps
    last = f"to_rgbs.{steps - 1}.conv.weight" if steps else "to_rgb1.conv.weight"
    widest, narrowest = constant[1], _shape(tensors, last, 5, where)[2]
    # If all layers have the same width, any large multiplier is equivalent; use the published one.
    multiplier = narrowest * size / 16384
    if narrowest >= widest:
        multiplier = max(2.0, multiplier)
    try:
        return GeneratorConfig(
            architecture="stylegan2",
            size=size,
            style_dim=style[0],
            mapping_layers=_count(tensors, r"style\.(\d+)\.weight"),
            channel_multiplier=multiplier,
            channels_max=widest,
        )
    except OptionError as error:
        raise ModelError(f"{where}: not a StyleGAN2 that can be run: {error}") from error


def from_public(tensors: Mapping[str, Tensor], mean: Tensor | None, where: str) -> Generator:
    """Build a generator from a public checkpoint.

    Args:
        tensors: Tensors of ``g_ema``. Stored noise may be missing, as in old files; it is then
            drawn with a fixed seed.
        mean: ``latent_avg``, ``[D]`` or ``[1, D]``; ``None`` measures it.
        where: Name of the file in messages.

    Raises:
        ModelError: A tensor is missing or unknown, has a wrong shape, or is not finite.
    """
    config = infer_config(tensors, where)
    expected, blurs = places(config), kernels(config)
    missing = [n for n in expected if n not in tensors and not n.startswith(_NOISE)]
    extra = [n for n in tensors if n not in expected and n not in blurs]
    what = f"a StyleGAN2 of {config.size} px"
    if missing:
        raise ModelError(f"{where}: {_named(missing)} missing, and {what} needs it")
    if extra:
        raise ModelError(f"{where}: {_named(extra)} unknown, and {what} has no such tensor")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Generator(config)
    state = {}
    for name, place in expected.items():
        if name in tensors:
            value = _checked(tensors[name], place.shape, f"{where}: {name}", what)
            state[place.ours] = value.reshape(generator.state_dict()[place.ours].shape)
    for name, kernel in blurs.items():
        if name in tensors:
            value = _checked(tensors[name], (4, 4), f"{where}: {name}", what)
            if not torch.allclose(value, kernel, atol=1e-4):
                raise ModelError(f"{where}: {name} is not the filter [1, 3, 3, 1]")
    if mean is not None:
        shape = tuple(mean.shape) if mean.dim() == 1 else (1, config.style_dim)
        checked = _checked(mean, shape, f"{where}: {MEAN}", what).reshape(-1)
        state["w_mean"] = _checked(checked, (config.style_dim,), f"{where}: {MEAN}", what)
    generator.load_state_dict(state, strict=False)
    if mean is None:
        generator.measure_mean()
    return generator.eval()


def _styled(
    public: str, ours: str, inputs: int, outputs: int, style_dim: int
) -> dict[str, TensorPlace]:
    return {
        **_modulated(f"{public}.conv", f"{ours}.conv", (outputs, inputs, 3), style_dim),
        f"{public}.noise.weight": TensorPlace(f"{ours}.noise", (1,)),
        f"{public}.activate.bias": TensorPlace(f"{ours}.bias", (outputs,)),
    }


def _modulated(public: str, ours: str, size: Shape, style_dim: int) -> dict[str, TensorPlace]:
    outputs, inputs, k = size
    style = "modulation"
    return {
        f"{public}.weight": TensorPlace(f"{ours}.weight", (1, outputs, inputs, k, k)),
        f"{public}.{style}.weight": TensorPlace(f"{ours}.{style}.weight", (inputs, style_dim)),
        f"{public}.{style}.bias": TensorPlace(f"{ours}.{style}.bias", (inputs,)),
    }


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    """Return the number of consecutive numbers in names, from the smallest on."""
    numbers = sorted(int(m[1]) for name in tensors if (m := re.fullmatch(pattern, name)))
    start = numbers[0] if numbers else 0
    return sum(1 for at, number in enumerate(numbers, start) if at == number)


def _shape(tensors: Mapping[str, Tensor], name: str, rank: int, where: str) -> Shape:
    if name not in tensors:
        raise ModelError(
            f"{where}: {name} missing: not a StyleGAN2 in the public layout (g_ema); "
            "docs/how-to/make-faces-with-stylegan.md says what can be loaded"
        )
    shape = tuple(tensors[name].shape)
    if len(shape) != rank:
        raise ModelError(f"{where}: {name} has shape {_text(shape)}, and {rank} axes are expected")
    return shape


def _checked(value: Tensor, shape: Shape, what: str, needs: str) -> Tensor:
    if tuple(value.shape) != shape:
        raise ModelError(
            f"{what} has shape {_text(tuple(value.shape))}, and {needs} needs {_text(shape)}"
        )
    if not value.is_floating_point():
        raise ModelError(f"{what} is {value.dtype}, and weights are floating-point numbers")
    value = value.detach().to("cpu", torch.float32)
    if not torch.isfinite(value).all():
        raise ModelError(f"{what} has infinite or NaN values: the file is damaged")
    return value


def _named(names: list[str]) -> str:
    more = f" and {len(names) - 1} more are" if len(names) > 1 else " is"
    return f"{names[0]}{more}"


def _text(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "of a single number"
