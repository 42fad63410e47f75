"""Pictures from a generator: by seed, a few at a time, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from mesoscope.errors import OptionError
from mesoscope.files.whole import write_whole
from mesoscope.imaging.encode import encode
from mesoscope.synth.files import GO_ON
from mesoscope.synth.stylegan.networks import Generator, mix, truncate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from mesoscope.types import Json, Pixels


SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_GROUND = 255


def grid(pictures: Sequence[Pixels], *, gap_px: int = 2) -> Pixels:
    """Lay pictures of one size out in rows, about as many as stand in a row.

    Args:
        pictures: ``(S, S, 3) uint8`` each.
        gap_px: White between them.

    Returns:
        ``(H, W, 3) uint8``.
    """
    size = len(pictures[0])
    across = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / across)
    step = size + gap_px
    sheet = np.full((rows * step - gap_px, across * step - gap_px, 3), _GROUND, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = (place * step for place in divmod(number, across))
        sheet[y : y + size, x : x + size] = picture
    return sheet


def write_picture(path: Path, pixels: Pixels) -> None:
    """Write a picture whole or not at all.

    Raises:
        OptionError: A name that no picture has.
        OutputError: It cannot be written.
    """
    refuse_suffix(path)
    write_whole(path, encode(pixels, path.suffix.lower()), hint=GO_ON, parents=True)


def refuse_suffix(path: Path) -> None:
    """Miss a name that no picture has before the work is done.

    Raises:
        OptionError: It has none of :data:`SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: a picture must be named {', '.join(SUFFIXES)}")


NOISE_MODES: Final = ("random", "constant", "none")
SEED_MAX: Final = 2**32 - 1
_MIXING, _NOISE = 1, 2  # streams of a seed's random numbers, beside the latent's


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How pictures are drawn from a generator.

    Attributes:
        truncation: ψ: 1 = all the variety that was learnt, with odd faces; 0 = the mean face.
        truncated_layers: Only so many layers, from the coarsest, are truncated; all where
            ``None``.
        mixing: Fine layers come from a second latent; both it and where it begins are drawn
            (StyleGAN, section 3.1).
        noise: ``random`` (drawn by the seed), ``constant`` (kept with the weights) or ``none``.

    Raises:
        OptionError: A value outside its range.
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
class Made:
    """One picture and what it was made from.

    Attributes:
        seed: Of its latent.
        pixels: ``(size, size, 3) uint8``.
        numbers: All that was set or drawn, ready for JSON.
    """

    seed: int
    pixels: Pixels
    numbers: dict[str, Json] = field(default_factory=dict)


def refuse(generator: Generator, settings: SamplingSettings, seeds: Iterable[int]) -> None:
    """Miss what the generator cannot take before any work is done.

    Raises:
        OptionError: A seed or ``truncated_layers`` outside its range.
    """
    layers = generator.config.style_layers
    if settings.truncated_layers is not None and not 0 <= settings.truncated_layers <= layers:
        raise OptionError(f"truncated layers {settings.truncated_layers}: must lie in 0..{layers}")
    for seed in seeds:
        if not 0 <= seed <= SEED_MAX:
            raise OptionError(f"seed {seed}: must lie in 0..{SEED_MAX}")


def latent(seed: int, style_dim: int) -> Tensor:
    """The latent of a seed, ``[D]``.

    It is drawn as published scripts draw it, so that a seed gives the face that it gives there.
    """
    return torch.from_numpy(np.random.RandomState(seed).randn(style_dim).astype(np.float32))


def generate(
    generator: Generator,
    seeds: Iterable[int],
    *,
    settings: SamplingSettings | None = None,
    batch: int = 1,
) -> Iterator[Made]:
    """Draw pictures, as many at a time as a batch holds, so that memory stays bounded.

    A seed gives the same picture in every run on the same machine, whichever others are asked for
    beside it, where ``batch`` is 1. In larger batches, or on another device, sums are taken in
    another order, and a level of 255 may differ here and there.

    Args:
        generator: On the device to run on.
        seeds: One a picture.
        settings: How they are drawn.
        batch: Pictures at a time.

    Yields:
        Pictures in the seeds' order.

    Raises:
        OptionError: A seed, a batch or ``truncated_layers`` outside its range.
    """
    settings = settings or SamplingSettings()
    if batch < 1:
        raise OptionError(f"batch {batch}: must be at least 1")
    waiting: list[int] = []
    for seed in seeds:
        refuse(generator, settings, [seed])
        waiting.append(seed)
        if len(waiting) == batch:
            yield from _batch(generator, waiting, settings)
            waiting = []
    if waiting:
        yield from _batch(generator, waiting, settings)


@torch.no_grad()
def _batch(generator: Generator, seeds: list[int], settings: SamplingSettings) -> list[Made]:
    # Exact sums and no search for the quickest kernel: the same picture every time.
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        drawn = [_styles(generator, seed, settings) for seed in seeds]
        styles = torch.cat([style for style, _ in drawn])
        pictures = generator(styles, _noises(generator, seeds, settings.noise))
        pixels = to_pixels(pictures)
    return [
        Made(seed, one, {"seed": seed, "truncation": settings.truncation,
                         "truncated_layers": settings.truncated_layers,
                         "noise": settings.noise, "mixing": cut})
        for seed, one, (_, cut) in zip(seeds, pixels, drawn, strict=True)
    ]  # fmt: skip


def _styles(generator: Generator, seed: int, settings: SamplingSettings) -> tuple[Tensor, Json]:
    """Styles of one picture, ``[1, layers, D]``, and what was mixed."""
    config, mean = generator.config, generator.w_mean
    styles = generator.styles(latent(seed, config.style_dim)[None].to(mean.device))
    mixed: Json = None
    if settings.mixing:
        rng = np.random.default_rng((seed, _MIXING))
        other, cut = int(rng.integers(SEED_MAX + 1)), int(rng.integers(1, config.style_layers))
        second = generator.styles(latent(other, config.style_dim)[None].to(mean.device))
        styles = mix(styles, second, cut)
        mixed = {"seed": other, "from_layer": cut}
    return truncate(styles, mean, settings.truncation, settings.truncated_layers), mixed


def _noises(generator: Generator, seeds: list[int], mode: str) -> list[Tensor]:
    """A noise map a layer."""
    stored = generator.stored_noise
    if mode == "constant":
        return stored
    if mode == "none":
        return [torch.zeros_like(map_) for map_ in stored]
    # Drawn on the CPU, for each seed by itself: alike on every device and in every batch.
    rngs = [np.random.default_rng((seed, _NOISE)) for seed in seeds]
    found = []
    for map_ in stored:
        drawn = [rng.standard_normal(map_.shape[1:], np.float32) for rng in rngs]
        found.append(torch.from_numpy(np.stack(drawn)).to(map_.device))
    return found


def to_pixels(pictures: Tensor) -> Pixels:
    """Values −1…1, ``[N, 3, H, W]``, → ``(N, H, W, 3) uint8``."""
    levels = (pictures.float() * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())
