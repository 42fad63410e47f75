"""The generator: its configuration, mapping and synthesis networks, mean style and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesoscope.errors import OptionError
from mesoscope.synth.stylegan.layers import (
    BINOMIAL,
    SLOPE,
    SMOOTH,
    AdaIN,
    EqualConv,
    Mapping,
    ModulatedConv,
    filter_taps,
    leaky,
    resample,
    upsample,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


ARCHITECTURES: Final = ("stylegan", "stylegan2")
SIZE_MIN: Final = 4
SIZE_MAX: Final = 1024
_WIDTH_TIMES_SIZE = 16384  # in both papers: 512 channels up to 32², then halved per resolution


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """Configuration of a generator.

    Attributes:
        architecture: ``stylegan`` (Karras, Laine & Aila, CVPR 2019) or ``stylegan2`` (Karras et
            al., CVPR 2020, configuration F).
        size: Side of the pictures in pixels: a power of two from 4 to 1024.
        style_dim: Size of a latent and of a style.
        mapping_layers: Number of layers of the mapping network.
        channel_multiplier: The number of channels at a resolution is ``16384 · multiplier /
            resolution``, at most ``channels_max``. The large published networks have 2.
        channels_max: Maximum number of channels.

    Raises:
        OptionError: A value is out of range.
    """

    architecture: str = "stylegan2"
    size: int = 256
    style_dim: int = 512
    mapping_layers: int = 8
    channel_multiplier: float = 2.0
    channels_max: int = 512

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise OptionError(
                f"architecture {self.architecture!r}: there are {' and '.join(ARCHITECTURES)}"
            )
        if not SIZE_MIN <= self.size <= SIZE_MAX or self.size & (self.size - 1):
            raise OptionError(
                f"size {self.size}: style-based generators make pictures of 4, 8, 16 … 1024 pixels"
            )
        for name in ("style_dim", "mapping_layers", "channels_max"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name} {getattr(self, name)}: must be at least 1")
            if getattr(self, name) > 16_384:
                raise OptionError(f"{name} {getattr(self, name)}: must be at most 16,384")
        if not 0 < self.channel_multiplier <= 64:
            raise OptionError(
                f"channel_multiplier {self.channel_multiplier}: must be above 0 and at most 64"
            )

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Resolutions: 4, 8, …, size."""
        return tuple(2**i for i in range(2, self.size.bit_length()))

    def channels(self, resolution: int) -> int:
        """Return the number of channels at a resolution."""
        wide = int(_WIDTH_TIMES_SIZE * self.channel_multiplier / resolution)
        return max(1, min(self.channels_max, wide))

    @property
    def style_layers(self) -> int:
        """Number of layers with a separate style."""
        return 2 * len(self.resolutions)

    @property
    def noise_sizes(self) -> tuple[int, ...]:
        """Side of the noise map of each layer with noise."""
        sizes = tuple(r for r in self.resolutions for _ in range(2))
        # StyleGAN2 has only one layer with noise at 4².
        return sizes[1:] if self.architecture == "stylegan2" else sizes


class StyledConv(nn.Module):
    """StyleGAN2's layer: modulated convolution, noise, bias, leaky ReLU (section 2.2, figure 2).

    Args:
        inputs: Input channels.
        outputs: Output channels.
        style_dim: Size of a style.
        up: Upsample by two.
    """

    def __init__(self, inputs: int, outputs: int, style_dim: int, *, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style_dim, up=up)
        self.noise = nn.Parameter(torch.zeros(()))  # one strength for all channels
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """Map ``[N, inputs, H, W]``, ``[N, D]`` and ``[N, 1, H, W]`` to ``[N, outputs, H, W]``."""
        x = self.conv(x, w) + self.noise * noise
        return leaky(x + self.bias[:, None, None])


class ToRGB(nn.Module):
    """A modulated convolution to RGB, without demodulation (StyleGAN2, section 4.1).

    Args:
        inputs: Input channels.
        style_dim: Size of a style.
    """

    filter: Tensor

    def __init__(self, inputs: int, style_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, 3, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))
        self.register_buffer("filter", filter_taps(SMOOTH), persistent=False)

    def forward(self, x: Tensor, w: Tensor, before: Tensor | None) -> Tensor:
        """Add to the upsampled picture ``[N, 3, H/2, W/2]``; return ``[N, 3, H, W]``."""
        rgb: Tensor = self.conv(x, w) + self.bias[:, None, None]
        return rgb if before is None else rgb + upsample(before, self.filter)


class Block2(nn.Module):
    """One resolution of StyleGAN2; the first has one convolution, others have two."""

    def __init__(self, inputs: int | None, channels: int, style_dim: int) -> None:
        super().__init__()
        self.up = StyledConv(inputs, channels, style_dim, up=True) if inputs is not None else None
        self.conv = StyledConv(channels, channels, style_dim)
        self.to_rgb = ToRGB(channels, style_dim)

    def forward(
        self, x: Tensor, rgb: Tensor | None, styles: Sequence[Tensor], noises: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Map feature maps and RGB picture of half the size to this size."""
        if self.up is not None:
            x = self.up(x, styles[0], noises[0])
        x = self.conv(x, styles[-2], noises[-1])
        return x, self.to_rgb(x, styles[-1], rgb)


class Synthesis2(nn.Module):
    """StyleGAN2's synthesis network with skip connections (section 4.1).

    Args:
        config: Configuration of the generator.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width = config.channels
        self.constant = nn.Parameter(torch.randn(width(4), 4, 4))
        self.blocks = nn.ModuleList(
            Block2(width(r // 2) if r > 4 else None, width(r), config.style_dim)
            for r in config.resolutions
        )

    def forward(self, styles: Tensor, noises: Sequence[Tensor]) -> Tensor:
        """Map styles ``[N, layers, D]`` and noise maps to pictures ``[N, 3, S, S]``, −1…1."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        w = styles.unbind(1)
        x, rgb = self.blocks[0](x, None, w[:2], noises[:1])
        for i, block in enumerate(self.blocks[1:], start=1):
            # The first layer and the previous toRGB layer share a style.
            x, rgb = block(x, rgb, w[2 * i - 1 : 2 * i + 2], noises[2 * i - 1 : 2 * i + 1])
        picture: Tensor = rgb
        return picture


class NoisyAdaIN(nn.Module):
    """StyleGAN's noise, bias, leaky ReLU and AdaIN after a convolution (figure 1b).

    Args:
        channels: Channels of the feature maps.
        style_dim: Size of a style.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.noise = nn.Parameter(torch.zeros(channels))  # a strength for each channel
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = AdaIN(channels, style_dim)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """Map ``[N, C, H, W]``, ``[N, D]`` and ``[N, 1, H, W]`` to ``[N, C, H, W]``."""
        x = x + self.noise[:, None, None] * noise
        styled: Tensor = self.style(F.leaky_relu(x + self.bias[:, None, None], SLOPE), w)
        return styled


class Block1(nn.Module):
    """One resolution of StyleGAN: two layers with noise and AdaIN.

    The first layer has upsampling, a convolution and a blur, except at 4².
    """

    filter: Tensor

    def __init__(self, inputs: int | None, channels: int, style_dim: int) -> None:
        super().__init__()
        gain = math.sqrt(2)
        self.up = (
            EqualConv(inputs, channels, 3, gain=gain, bias=False) if inputs is not None else None
        )
        self.first = NoisyAdaIN(channels, style_dim)
        self.conv = EqualConv(channels, channels, 3, gain=gain, bias=False)
        self.second = NoisyAdaIN(channels, style_dim)
        self.register_buffer("filter", filter_taps(BINOMIAL), persistent=False)

    def forward(
        self, x: Tensor, styles: tuple[Tensor, Tensor], noises: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Apply the block, ``[N, inputs, H/2, W/2]`` to ``[N, C, H, W]``."""
        if self.up is not None:
            x = self.up(F.interpolate(x, scale_factor=2.0, mode="nearest"))
            x = resample(x, self.filter, pad=(1, 1))
        x = self.first(x, styles[0], noises[0])
        out: Tensor = self.second(self.conv(x), styles[1], noises[1])
        return out


class Synthesis1(nn.Module):
    """StyleGAN's synthesis network at full size (section 2, figure 1b).

    Args:
        config: Configuration of the generator.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width = config.channels
        self.constant = nn.Parameter(torch.ones(width(4), 4, 4))
        self.blocks = nn.ModuleList(
            Block1(width(r // 2) if r > 4 else None, width(r), config.style_dim)
            for r in config.resolutions
        )
        self.to_rgb = EqualConv(width(config.size), 3, 1)

    def forward(self, styles: Tensor, noises: Sequence[Tensor]) -> Tensor:
        """Map styles ``[N, layers, D]`` and noise maps to pictures ``[N, 3, S, S]``, −1…1."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        w = styles.unbind(1)
        for i, block in enumerate(self.blocks):
            x = block(x, (w[2 * i], w[2 * i + 1]), (noises[2 * i], noises[2 * i + 1]))
        rgb: Tensor = self.to_rgb(x)
        return rgb


MEAN_DRAWS = 10_000  # StyleGAN, appendix B
_MEAN_CHUNK = 500


class Generator(nn.Module):
    """Mapping and synthesis network, with the mean style and stored noise.

    Attributes:
        config: Configuration.
        w_mean: Mean style for truncation, ``[D]``.

    Args:
        config: Configuration.
    """

    w_mean: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = Mapping(config.style_dim, config.mapping_layers)
        self.synthesis = (
            Synthesis2(config) if config.architecture == "stylegan2" else Synthesis1(config)
        )
        self.register_buffer("w_mean", torch.zeros(config.style_dim))
        for i, size in enumerate(config.noise_sizes):
            self.register_buffer(f"noise_{i}", torch.randn(1, 1, size, size))

    @property
    def stored_noise(self) -> list[Tensor]:
        """Noise maps that are stored with the weights, ``[1, 1, H, W]`` per layer."""
        return [self.get_buffer(f"noise_{i}") for i in range(len(self.config.noise_sizes))]

    def forward(self, styles: Tensor, noises: Sequence[Tensor] | None = None) -> Tensor:
        """Synthesise pictures.

        Args:
            styles: ``[N, layers, D]``, see :meth:`styles`.
            noises: ``[N or 1, 1, H, W]`` per layer; ``None`` for the stored noise.

        Returns:
            ``[N, 3, size, size]``, −1 = black, 1 = white; not clipped.
        """
        noises = self.stored_noise if noises is None else noises
        pictures: Tensor = self.synthesis(styles, noises)
        return pictures

    def styles(self, z: Tensor) -> Tensor:
        """Map latents ``[N, D]`` to equal styles for all layers, ``[N, layers, D]``."""
        w: Tensor = self.mapping(z)
        return w[:, None].expand(-1, self.config.style_layers, -1)

    @torch.no_grad()
    def measure_mean(self) -> None:
        """Set the mean style to the mean over 10,000 fixed latents."""
        draws = np.random.default_rng(0).standard_normal((MEAN_DRAWS, self.config.style_dim))
        z = torch.from_numpy(draws.astype(np.float32)).to(self.w_mean.device)
        parts = [self.mapping(chunk).double().sum(0) for chunk in torch.split(z, _MEAN_CHUNK)]
        self.w_mean.copy_(torch.stack(parts).sum(0) / MEAN_DRAWS)


def truncate(styles: Tensor, mean: Tensor, psi: float, layers: int | None = None) -> Tensor:
    """Truncation trick (StyleGAN, appendix B): interpolate styles towards the mean.

    Args:
        styles: ``[N, layers, D]``.
        mean: ``[D]``.
        psi: 1 = no truncation, 0 = the mean.
        layers: Number of truncated layers, from the coarsest; ``None`` for all.
    """
    truncated = mean + psi * (styles - mean)
    if layers is None:
        return truncated
    return torch.cat([truncated[:, :layers], styles[:, layers:]], 1)


def mix(first: Tensor, second: Tensor, cut: int) -> Tensor:
    """Style mixing (StyleGAN, section 3.1).

    Args:
        first: Styles of the coarse layers, ``[N, layers, D]``.
        second: Styles of the fine layers, ``[N, layers, D]``.
        cut: Number of coarse layers.
    """
    return torch.cat([first[:, :cut], second[:, cut:]], 1)
