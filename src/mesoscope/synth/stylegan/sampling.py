"""Sampling of pictures from a generator by seed, and grids of pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from mesoscope.errors import OptionError
from mesoscope.files.atomic import write_bytes
from mesoscope.imaging.encode import encode
from mesoscope.synth.files import GO_ON
from mesoscope.synth.sheet import refuse_suffix
from mesoscope.synth.stylegan.networks import Generator, mix, truncate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mesoscope.types import Json, Pixels


_GROUND = 255


def grid(pictures: Sequence[Pixels], *, gap_px: int = 2) -> Pixels:
    """Arrange pictures of one size in a square grid.

    Args:
        pictures: ``(S, S, 3) uint8`` each.
        gap_px: White gap between them.

    Returns:
        ``(H, W, 3) uint8``.
    """
    size = len(pictures[0])
    across = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / across)
    step = size + gap_px
    sheet = np.full((rows * step - gap_px, across * step - gap_px, 3), _GROUND, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = (index * step for index in divmod(number, across))
        sheet[y : y + size, x : x + size] = picture
    return sheet


def write_picture(path: Path, pixels: Pixels) -> None:
    """Write a picture atomically.

    Raises:
        OptionError: The suffix is none of :data:`mesoscope.synth.sheet.SUFFIXES`.
        OutputError: The file cannot be written.
    """
    refuse_suffix(path)
    write_bytes(path, encode(pixels, path.suffix.lower()), hint=GO_ON, parents=True)


NOISE_MODES: Final = ("random", "constant", "none")
SEED_MAX: Final = 2**32 - 1
_MIXING, _NOISE = 1, 2  # streams of a seed's random numbers, besides the latent


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How pictures are sampled.

    Attributes:
        truncation: ψ, −2 to 2: 1 = no truncation, 0 = the mean face.
        truncated_layers: Number of truncated layers, from the coarsest; ``None`` for all.
        mixing: Style mixing (StyleGAN, section 3.1): fine layers use a second latent; the latent
            and the first of these layers are drawn.
        noise: ``random`` (drawn by the seed), ``constant`` (stored with the weights) or ``none``.

    Raises:
        OptionError: A value is out of range.
    """

    truncation: float = 0.7
    truncated_layers: int | None = None
    mixing: bool = False
    noise: str = "random"

    def __post_init__(self) -> None:
        if not -2 <= self.truncation <= 2:
            raise OptionError(f"truncation {self.truncation}: must lie in -2..2; usual is 0.5..1")
        if self.noise not in NOISE_MODES:
            raise OptionError(f"noise {self.noise!r}: there are {', '.join(NOISE_MODES)}")


@dataclass(frozen=True, slots=True)
class GeneratedFace:
    """A generated picture and its parameters.

    Attributes:
        seed: Seed of the latent.
        pixels: ``(size, size, 3) uint8``.
        numbers: All drawn and set parameters, as JSON values.
    """

    seed: int
    pixels: Pixels
    numbers: dict[str, Json] = field(default_factory=dict)


def refuse(generator: Generator, settings: SamplingSettings, seeds: Iterable[int]) -> None:
    """Refuse settings and seeds that the generator does not support.

    Raises:
        OptionError: A seed or ``truncated_layers`` is out of range.
    """
    layers = generator.config.style_layers
    if settings.truncated_layers is not None and not 0 <= settings.truncated_layers <= layers:
        raise OptionError(f"truncated layers {settings.truncated_layers}: must lie in 0..{layers}")
    for seed in seeds:
        if not 0 <= seed <= SEED_MAX:
            raise OptionError(f"seed {seed}: must lie in 0..{SEED_MAX}")


def latent(seed: int, style_dim: int) -> Tensor:
    """Draw the latent of a seed, ``[D]``, in the same way as published scripts."""
    return torch.from_numpy(np.random.RandomState(seed).randn(style_dim).astype(np.float32))


def generate(
    generator: Generator,
    seeds: Iterable[int],
    *,
    settings: SamplingSettings | None = None,
    batch: int = 1,
) -> Iterator[GeneratedFace]:
    """Generate pictures in batches.

    With ``batch`` 1, a seed gives the same picture in every run on the same machine. With larger
    batches or on another device, the order of summation differs, and single values may differ by
    one level.

    Args:
        generator: The generator, on its device.
        seeds: One seed per picture.
        settings: Sampling settings.
        batch: Batch size.

    Yields:
        Pictures in the order of the seeds.

    Raises:
        OptionError: A seed, the batch or ``truncated_layers`` is out of range.
    """
    settings = settings or SamplingSettings()
    if batch < 1:
        raise OptionError(f"batch {batch}: must be at least 1")
    pending: list[int] = []
    for seed in seeds:
        refuse(generator, settings, [seed])
        pending.append(seed)
        if len(pending) == batch:
            yield from _batch(generator, pending, settings)
            pending = []
    if pending:
        yield from _batch(generator, pending, settings)


@torch.no_grad()
def _batch(
    generator: Generator, seeds: list[int], settings: SamplingSettings
) -> list[GeneratedFace]:
    # Deterministic kernels in full precision, for reproducible pictures.
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        styled = [_styles(generator, seed, settings) for seed in seeds]
        styles = torch.cat([style for style, _ in styled])
        pictures = generator(styles, _noises(generator, seeds, settings.noise))
        pixels = to_pixels(pictures)
    return [
        GeneratedFace(seed, one, {"seed": seed, "truncation": settings.truncation,
                                  "truncated_layers": settings.truncated_layers,
                                  "noise": settings.noise, "mixing": mixing})
        for seed, one, (_, mixing) in zip(seeds, pixels, styled, strict=True)
    ]  # fmt: skip


def _styles(generator: Generator, seed: int, settings: SamplingSettings) -> tuple[Tensor, Json]:
    """Draw the styles of one picture, ``[1, layers, D]``, and the parameters of the mixing."""
    config, mean = generator.config, generator.w_mean
    styles = generator.styles(latent(seed, config.style_dim)[None].to(mean.device))
    mixing: Json = None
    if settings.mixing:
        rng = np.random.default_rng((seed, _MIXING))
        other, cut = int(rng.integers(SEED_MAX + 1)), int(rng.integers(1, config.style_layers))
        second = generator.styles(latent(other, config.style_dim)[None].to(mean.device))
        styles = mix(styles, second, cut)
        mixing = {"seed": other, "from_layer": cut}
    return truncate(styles, mean, settings.truncation, settings.truncated_layers), mixing


def _noises(generator: Generator, seeds: list[int], mode: str) -> list[Tensor]:
    """Return one noise map per layer."""
    stored = generator.stored_noise
    if mode == "constant":
        return stored
    if mode == "none":
        return [torch.zeros_like(map_) for map_ in stored]
    # Drawn on the CPU per seed, so that the noise does not depend on the device or the batch.
    rngs = [np.random.default_rng((seed, _NOISE)) for seed in seeds]
    noises = []
    for map_ in stored:
        maps = [rng.standard_normal(map_.shape[1:], np.float32) for rng in rngs]
        noises.append(torch.from_numpy(np.stack(maps)).to(map_.device))
    return noises


def to_pixels(pictures: Tensor) -> Pixels:
    """Convert pictures ``[N, 3, H, W]``, −1…1, to ``(N, H, W, 3) uint8``."""
    levels = (pictures.float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())
