"""Layers of StyleGAN and StyleGAN2, and StyleGAN2's discriminator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.synth.stylegan.networks import GeneratorConfig


SLOPE = 0.2  # negative slope of leaky ReLU
SMOOTH = (1.0, 3.0, 3.0, 1.0)  # low-pass filter of StyleGAN2
BINOMIAL = (1.0, 2.0, 1.0)  # low-pass filter of StyleGAN
EPSILON = 1e-8
MAPPING_RATE = 0.01  # relative learning rate of the mapping network, in both papers


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU with slope 0.2 and StyleGAN2's gain of √2, which keeps the second moment."""
    return F.leaky_relu(x, SLOPE) * math.sqrt(2)


def pixel_norm(x: Tensor) -> Tensor:
    """Normalise rows ``[N, D]`` to a mean square of 1 (Karras et al., ICLR 2018, section 4.2)."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPSILON)


def filter_taps(taps: Sequence[float]) -> Tensor:
    """Return the normalised weights of a separable filter, ``[T]``."""
    row = torch.tensor(taps, dtype=torch.float32)
    return row / row.sum()


def resample(
    x: Tensor, taps: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)
) -> Tensor:
    """Upsample with zeros, pad, filter and downsample.

    Args:
        x: ``[N, C, H, W]``.
        taps: ``[T]``, convolved along rows and columns.
        up: Upsampling factor.
        down: Downsampling factor.
        pad: Zeros before and after, along both axes; negative values crop.

    Returns:
        ``[N, C, (H·up + pad − T + 1) / down, …]``.
    """
    n, c, h, w = x.shape
    if up > 1:
        spread = x.new_zeros(n, c, h, up, w, up)
        spread[:, :, :, 0, :, 0] = x
        x = spread.reshape(n, c, h * up, w * up)
    x = F.pad(x, (*pad, *pad))
    # Two depthwise passes: ten times as fast as a square kernel on a CPU.
    flipped = taps.to(x.dtype).flip(0)
    x = F.conv2d(x, flipped.expand(c, 1, 1, -1), stride=(1, down), groups=c)
    return F.conv2d(x, flipped[:, None].expand(c, 1, -1, 1), stride=(down, 1), groups=c)


def upsample(x: Tensor, taps: Tensor) -> Tensor:
    """Upsample by two, ``[N, C, H, W]`` to ``[N, C, 2H, 2W]``, keeping the brightness."""
    extra = len(taps) - 2
    return resample(x, taps * 2, up=2, pad=((extra + 1) // 2 + 1, extra // 2))


class EqualLinear(nn.Module):
    """A linear layer with equalised learning rate (Karras et al., ICLR 2018, section 4.1).

    Weights are initialised from N(0, 1) and scaled by He's constant at run time, so that Adam
    updates all layers at the same relative rate.

    Args:
        inputs: Input features.
        outputs: Output features.
        gain: Gain of He's constant: √2 before a leaky ReLU without a gain.
        rate: Relative learning rate.
        bias: Initial bias.
    """

    def __init__(
        self, inputs: int, outputs: int, *, gain: float = 1.0, rate: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self._scale = gain * rate / math.sqrt(inputs)
        self._rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer, ``[N, inputs]`` to ``[N, outputs]``."""
        return F.linear(x, self.weight * self._scale, self.bias * self._rate)


class EqualConv(nn.Module):
    """A convolution with equalised learning rate and "same" padding.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        kernel: Odd kernel size.
        gain: As for :class:`EqualLinear`.
        down: Blur and stride 2 (StyleGAN2's discriminator).
        bias: Whether there is a bias.
    """

    filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        gain: float = 1.0,
        down: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self._scale = gain / math.sqrt(inputs * kernel * kernel)
        self._down = down
        self.register_buffer("filter", filter_taps(SMOOTH), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer, ``[N, inputs, H, W]`` to ``[N, outputs, H, W]``, or half the size."""
        weight = self.weight * self._scale
        edge = weight.shape[2] // 2
        if not self._down:
            return F.conv2d(x, weight, self.bias, padding=edge)
        extra = len(self.filter) - 2 + 2 * edge
        x = resample(x, self.filter, pad=((extra + 1) // 2, extra // 2))
        return F.conv2d(x, weight, self.bias, stride=2)


class ModulatedConv(nn.Module):
    """A modulated convolution (StyleGAN2, section 2.2, equations 1 and 3).

    Input channels are scaled by the style and output channels by the demodulation. This is equal to
    scaling the weights per picture, without copies of the weights.

    Args:
        inputs: Input channels.
        outputs: Output channels.
        kernel: Odd kernel size.
        style_dim: Size of a style.
        demodulate: Normalise output channels to unit variance.
        up: Upsample by two: a transposed convolution of stride 2, then a blur.
    """

    filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        style_dim: int,
        *,
        demodulate: bool = True,
        up: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(style_dim, inputs, bias=1.0)
        self._scale = 1 / math.sqrt(inputs * kernel * kernel)
        self._demodulate = demodulate
        self._up = up
        self.register_buffer("filter", filter_taps(SMOOTH), persistent=False)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Apply the layer, ``[N, inputs, H, W]`` and styles ``[N, D]`` to ``[N, outputs, …]``."""
        style: Tensor = self.modulation(w)  # [N, inputs]
        weight = self.weight * self._scale
        x = x * style[:, :, None, None]
        if self._up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            extra = len(self.filter) - 2 - (weight.shape[2] - 1)
            x = resample(x, self.filter * 2, pad=((extra + 1) // 2 + 1, extra // 2 + 1))
        else:
            x = F.conv2d(x, weight, padding=weight.shape[2] // 2)
        if self._demodulate:
            strength = style.square() @ weight.square().sum((2, 3)).T  # [N, outputs]
            x = x * torch.rsqrt(strength + EPSILON)[:, :, None, None]
        return x


class AdaIN(nn.Module):
    """Adaptive instance normalisation (StyleGAN, section 2, equation 1).

    Args:
        channels: Channels of the feature maps.
        style_dim: Size of a style.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.scale = EqualLinear(style_dim, channels, bias=1.0)
        self.shift = EqualLinear(style_dim, channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Apply the layer, ``[N, C, H, W]`` and styles ``[N, D]`` to ``[N, C, H, W]``."""
        x = x - x.mean((2, 3), keepdim=True)
        x = x * torch.rsqrt(x.square().mean((2, 3), keepdim=True) + EPSILON)
        scale: Tensor = self.scale(w)
        shift: Tensor = self.shift(w)
        return x * scale[:, :, None, None] + shift[:, :, None, None]


class Mapping(nn.Module):
    """The mapping network (StyleGAN, section 2): pixel norm and linear layers.

    Args:
        style_dim: Size of a latent and of a style.
        count: Number of layers.
    """

    def __init__(self, style_dim: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EqualLinear(style_dim, style_dim, rate=MAPPING_RATE) for _ in range(count)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``[N, D]`` to styles ``[N, D]``."""
        x = pixel_norm(z)
        for layer in self.layers:
            x = leaky(layer(x))
        return x


GROUP = 4  # group size of the minibatch deviation (Karras et al., ICLR 2018, section 3)


class ResidualBlock(nn.Module):
    """A residual block with two convolutions, at half the output size.

    Args:
        inputs: Input channels.
        outputs: Output channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualConv(inputs, inputs, 3)
        self.second = EqualConv(inputs, outputs, 3, down=True)
        self.skip = EqualConv(inputs, outputs, 1, down=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block, ``[N, inputs, H, W]`` to ``[N, outputs, H/2, W/2]``."""
        residual: Tensor = leaky(self.second(leaky(self.first(x))))
        shortcut: Tensor = self.skip(x)
        return (residual + shortcut) / math.sqrt(2)  # keeps the variance


class Discriminator(nn.Module):
    """StyleGAN2's residual discriminator.

    Args:
        config: Configuration of the generator; the discriminator has the same widths.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        width = config.channels
        self.from_rgb = EqualConv(3, width(config.size), 1)
        halving = reversed(config.resolutions[1:])
        self.blocks = nn.ModuleList(ResidualBlock(width(r), width(r // 2)) for r in halving)
        self.conv = EqualConv(width(4) + 1, width(4), 3)
        self.hidden = EqualLinear(width(4) * 16, width(4))
        self.out = EqualLinear(width(4), 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Map pictures ``[N, 3, S, S]``, −1…1, to logits ``[N]``, higher = more real."""
        x = leaky(self.from_rgb(pictures))
        for block in self.blocks:
            x = block(x)
        x = leaky(self.conv(torch.cat([x, batch_deviation(x)], 1)))
        logits: Tensor = self.out(leaky(self.hidden(x.flatten(1))))
        return logits[:, 0]


def batch_deviation(x: Tensor) -> Tensor:
    """Minibatch standard deviation as a feature map: ``[N, C, H, W]`` to ``[N, 1, H, W]``.

    It reveals mode collapse. Groups have four pictures, or the largest smaller number that divides
    the batch.
    """
    n, _, h, w = x.shape
    group = next(size for size in range(min(GROUP, n), 0, -1) if n % size == 0)
    y = x.reshape(group, n // group, -1, h, w)
    y = y - y.mean(0)
    deviation = (y.square().mean(0) + 1e-8).sqrt().mean((1, 2, 3))  # [N / group]
    return deviation.repeat(group)[:, None, None, None].expand(n, 1, h, w)
