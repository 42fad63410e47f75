"""The layers that StyleGAN and StyleGAN2 are made of, and StyleGAN2's discriminator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.synth.stylegan.networks import GeneratorConfig


SLOPE = 0.2  # of leaky ReLU below zero
SMOOTH = (1.0, 3.0, 3.0, 1.0)  # StyleGAN2's low-pass filter
BINOMIAL = (1.0, 2.0, 1.0)  # StyleGAN's
EPSILON = 1e-8
MAPPING_RATE = 0.01  # both papers: the mapping network learns a hundred times slower


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU, of slope .2, that keeps the second moment (StyleGAN2's gain of √2)."""
    return F.leaky_relu(x, SLOPE) * math.sqrt(2)


def pixel_norm(x: Tensor) -> Tensor:
    """Each row to a mean square of 1 (Karras et al., ICLR 2018, section 4.2); ``[N, D]``."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPSILON)


def filter_taps(taps: Sequence[float]) -> Tensor:
    """A filter's weights, their sum 1; ``[T]``. Across and down it is the same."""
    row = torch.tensor(taps, dtype=torch.float32)
    return row / row.sum()


def resample(
    x: Tensor, taps: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)
) -> Tensor:
    """Put zeros between pixels, pad, filter, take every so many: up, FIR, down.

    Args:
        x: ``[N, C, H, W]``.
        taps: ``[T]``, convolved along rows and along columns.
        up: Pixels out of one, this one and zeros behind it, in each direction.
        down: Every so many-th pixel stays.
        pad: Zeros before and behind, in both directions; negative ones crop.

    Returns:
        ``[N, C, (H·up + pad − T + 1) / down, …]``.
    """
    n, c, h, w = x.shape
    if up > 1:
        spread = x.new_zeros(n, c, h, up, w, up)
        spread[:, :, :, 0, :, 0] = x
        x = spread.reshape(n, c, h * up, w * up)
    x = F.pad(x, (*pad, *pad))
    # Two passes with a channel each to itself: ten times as quick as a square kernel on a CPU.
    turned = taps.to(x.dtype).flip(0)
    x = F.conv2d(x, turned.expand(c, 1, 1, -1), stride=(1, down), groups=c)
    return F.conv2d(x, turned[:, None].expand(c, 1, -1, 1), stride=(down, 1), groups=c)


def upsample(x: Tensor, taps: Tensor) -> Tensor:
    """Twice as large: ``[N, C, H, W]`` → ``[N, C, 2H, 2W]``, brightness kept."""
    behind = len(taps) - 2
    return resample(x, taps * 2, up=2, pad=((behind + 1) // 2 + 1, behind // 2))


def downsample(x: Tensor, taps: Tensor) -> Tensor:
    """Half as large: ``[N, C, 2H, 2W]`` → ``[N, C, H, W]``."""
    behind = len(taps) - 2
    return resample(x, taps, down=2, pad=((behind + 1) // 2, behind // 2))


class EqualLinear(nn.Module):
    """A linear layer with equalised learning rate (Karras et al., ICLR 2018, section 4.1).

    Weights are drawn from N(0, 1) and scaled by He's constant when used, so that Adam moves all
    layers alike.

    Args:
        inputs: Numbers in.
        outputs: Numbers out.
        gain: Of He's constant: √2 before a leaky ReLU without a gain of its own.
        rate: The share of the learning rate that it learns at.
        bias: What each output's bias begins with.
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
        """``[N, inputs]`` → ``[N, outputs]``."""
        return F.linear(x, self.weight * self._scale, self.bias * self._rate)


class EqualConv(nn.Module):
    """A convolution with equalised learning rate, padded to keep its size at stride 1.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Its height and width, odd.
        gain: As for :class:`EqualLinear`.
        down: Blur, then stride 2 (StyleGAN2's discriminator).
        bias: Whether it has one.
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
        """``[N, inputs, H, W]`` → ``[N, outputs, H, W]``, or half as high and wide."""
        weight = self.weight * self._scale
        edge = weight.shape[2] // 2
        if not self._down:
            return F.conv2d(x, weight, self.bias, padding=edge)
        behind = len(self.filter) - 2 + 2 * edge
        x = resample(x, self.filter, pad=((behind + 1) // 2, behind // 2))
        return F.conv2d(x, weight, self.bias, stride=2)


class ModulatedConv(nn.Module):
    """A convolution whose weights a style scales (StyleGAN2, section 2.2, equations 1 and 3).

    Scaling the input channels by the style and the output channels by the demodulation is the same
    as scaling the weights of each picture, without a copy of the weights for each.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Its height and width, odd.
        style_dim: Numbers in a style.
        demodulate: Bring each output channel to unit variance.
        up: Twice as large: a transposed convolution of stride 2, then a blur.
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
        """``[N, inputs, H, W]`` and styles ``[N, D]`` → ``[N, outputs, H, W]``, or twice that."""
        style: Tensor = self.modulation(w)  # [N, inputs]
        weight = self.weight * self._scale
        x = x * style[:, :, None, None]
        if self._up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            behind = len(self.filter) - 2 - (weight.shape[2] - 1)
            x = resample(x, self.filter * 2, pad=((behind + 1) // 2 + 1, behind // 2 + 1))
        else:
            x = F.conv2d(x, weight, padding=weight.shape[2] // 2)
        if self._demodulate:
            strength = style.square() @ weight.square().sum((2, 3)).T  # [N, outputs]
            x = x * torch.rsqrt(strength + EPSILON)[:, :, None, None]
        return x


class AdaIN(nn.Module):
    """Adaptive instance normalisation (StyleGAN, section 2, equation 1).

    Args:
        channels: Of the feature maps.
        style_dim: Numbers in a style.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.scale = EqualLinear(style_dim, channels, bias=1.0)
        self.shift = EqualLinear(style_dim, channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """``[N, C, H, W]`` and styles ``[N, D]`` → ``[N, C, H, W]``."""
        x = x - x.mean((2, 3), keepdim=True)
        x = x * torch.rsqrt(x.square().mean((2, 3), keepdim=True) + EPSILON)
        scale: Tensor = self.scale(w)
        shift: Tensor = self.shift(w)
        return x * scale[:, :, None, None] + shift[:, :, None, None]


class Mapping(nn.Module):
    """From latents to styles (StyleGAN, section 2): pixel norm, then linear layers.

    Args:
        style_dim: Numbers in a latent and in a style.
        count: Of layers.
    """

    def __init__(self, style_dim: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EqualLinear(style_dim, style_dim, rate=MAPPING_RATE) for _ in range(count)
        )

    def forward(self, z: Tensor) -> Tensor:
        """``[N, D]`` → ``[N, D]``."""
        x = pixel_norm(z)
        for layer in self.layers:
            x = leaky(layer(x))
        return x


GROUP = 4  # pictures whose deviation is measured together (Karras et al., ICLR 2018, section 3)


class ResidualBlock(nn.Module):
    """Two convolutions beside a plain one, to half the size.

    Args:
        inputs: Channels in.
        outputs: Channels out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualConv(inputs, inputs, 3)
        self.second = EqualConv(inputs, outputs, 3, down=True)
        self.skip = EqualConv(inputs, outputs, 1, down=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, inputs, H, W]`` → ``[N, outputs, H/2, W/2]``."""
        through: Tensor = leaky(self.second(leaky(self.first(x))))
        beside: Tensor = self.skip(x)
        return (through + beside) / math.sqrt(2)  # variance kept


class Discriminator(nn.Module):
    """Says how real pictures look.

    Args:
        config: Of the generator that it is trained against; it has the same widths.
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
        """``[N, 3, S, S]``, −1…1, → logits ``[N]``, higher = more real."""
        x = leaky(self.from_rgb(pictures))
        for block in self.blocks:
            x = block(x)
        x = leaky(self.conv(torch.cat([x, batch_deviation(x)], 1)))
        logits: Tensor = self.out(leaky(self.hidden(x.flatten(1))))
        return logits[:, 0]


def batch_deviation(x: Tensor) -> Tensor:
    """How much pictures of a group differ, as one more map: ``[N, C, H, W]`` → ``[N, 1, H, W]``.

    A generator that makes one picture over and over shows here. Groups are of four pictures, or of
    the largest number below that divides the batch.
    """
    n, _, h, w = x.shape
    group = next(size for size in range(min(GROUP, n), 0, -1) if n % size == 0)
    y = x.reshape(group, n // group, -1, h, w)
    y = y - y.mean(0)
    deviation = (y.square().mean(0) + 1e-8).sqrt().mean((1, 2, 3))  # [N / group]
    return deviation.repeat(group)[:, None, None, None].expand(n, 1, h, w)
