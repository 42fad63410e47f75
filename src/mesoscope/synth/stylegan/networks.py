"""The two synthesis networks: from styles and noise to a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesoscope.synth.stylegan.layers import (
    BINOMIAL,
    SLOPE,
    SMOOTH,
    AdaIN,
    EqualConv,
    ModulatedConv,
    filter_taps,
    leaky,
    resample,
    upsample,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.synth.stylegan.config import GeneratorConfig


class StyledConv(nn.Module):
    """StyleGAN2's layer: modulated convolution, noise, bias, leaky ReLU (section 2.2, figure 2).

    Args:
        inputs: Channels in.
        outputs: Channels out.
        style_dim: Numbers in a style.
        up: Twice as large.
    """

    def __init__(self, inputs: int, outputs: int, style_dim: int, *, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style_dim, up=up)
        self.noise = nn.Parameter(torch.zeros(()))  # one strength for all channels
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """``[N, inputs, H, W]``, ``[N, D]``, noise ``[N, 1, H, W]`` → ``[N, outputs, H, W]``."""
        x = self.conv(x, w) + self.noise * noise
        return leaky(x + self.bias[:, None, None])


class ToRGB(nn.Module):
    """From feature maps to colours, with a style, without demodulation (StyleGAN2, section 4.1).

    Args:
        inputs: Channels in.
        style_dim: Numbers in a style.
    """

    filter: Tensor

    def __init__(self, inputs: int, style_dim: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, 3, 1, style_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))
        self.register_buffer("filter", filter_taps(SMOOTH), persistent=False)

    def forward(self, x: Tensor, w: Tensor, before: Tensor | None) -> Tensor:
        """Add to the picture of half the size: ``[N, 3, H/2, W/2]`` → ``[N, 3, H, W]``."""
        rgb: Tensor = self.conv(x, w) + self.bias[:, None, None]
        return rgb if before is None else rgb + upsample(before, self.filter)


class Block2(nn.Module):
    """One resolution of StyleGAN2; the first has one convolution, the others two."""

    def __init__(self, inputs: int | None, channels: int, style_dim: int) -> None:
        super().__init__()
        self.up = StyledConv(inputs, channels, style_dim, up=True) if inputs is not None else None
        self.conv = StyledConv(channels, channels, style_dim)
        self.to_rgb = ToRGB(channels, style_dim)

    def forward(
        self, x: Tensor, rgb: Tensor | None, styles: Sequence[Tensor], noises: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Feature maps and picture of half the size → of this size."""
        if self.up is not None:
            x = self.up(x, styles[0], noises[0])
        x = self.conv(x, styles[-2], noises[-1])
        return x, self.to_rgb(x, styles[-1], rgb)


class Synthesis2(nn.Module):
    """StyleGAN2's generator: a skip of pictures in place of progressive growing (section 4.1).

    Args:
        config: Sizes and widths.
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
        """Styles ``[N, layers, D]`` and a noise map a layer → pictures ``[N, 3, S, S]``, −1…1."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        w = styles.unbind(1)
        x, rgb = self.blocks[0](x, None, w[:2], noises[:1])
        for i, block in enumerate(self.blocks[1:], start=1):
            # Its first layer shares a style with the toRGB before it, as both read the same maps.
            x, rgb = block(x, rgb, w[2 * i - 1 : 2 * i + 2], noises[2 * i - 1 : 2 * i + 1])
        picture: Tensor = rgb
        return picture


class NoisyAdaIN(nn.Module):
    """What follows each convolution of StyleGAN: noise, bias, leaky ReLU, AdaIN (figure 1b).

    Args:
        channels: Of the feature maps.
        style_dim: Numbers in a style.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.noise = nn.Parameter(torch.zeros(channels))  # a strength for each channel
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = AdaIN(channels, style_dim)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """``[N, C, H, W]``, ``[N, D]``, noise ``[N, 1, H, W]`` → ``[N, C, H, W]``."""
        x = x + self.noise[:, None, None] * noise
        styled: Tensor = self.style(F.leaky_relu(x + self.bias[:, None, None], SLOPE), w)
        return styled


class Block1(nn.Module):
    """One resolution of StyleGAN: two layers, each of which ends in noise and AdaIN.

    The first begins with up-sampling, a convolution and a blur, but at 4², where it begins with the
    constant itself.
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
        """``[N, inputs, H/2, W/2]`` → ``[N, C, H, W]``."""
        if self.up is not None:
            x = self.up(F.interpolate(x, scale_factor=2.0, mode="nearest"))
            x = resample(x, self.filter, pad=(1, 1))
        x = self.first(x, styles[0], noises[0])
        out: Tensor = self.second(self.conv(x), styles[1], noises[1])
        return out


class Synthesis1(nn.Module):
    """StyleGAN's generator at its full size (section 2, figure 1b).

    Args:
        config: Sizes and widths.
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
        """Styles ``[N, layers, D]`` and a noise map a layer → pictures ``[N, 3, S, S]``, −1…1."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        w = styles.unbind(1)
        for i, block in enumerate(self.blocks):
            x = block(x, (w[2 * i], w[2 * i + 1]), (noises[2 * i], noises[2 * i + 1]))
        rgb: Tensor = self.to_rgb(x)
        return rgb
