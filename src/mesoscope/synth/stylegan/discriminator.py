"""StyleGAN2's discriminator: residual blocks, minibatch standard deviation (section 4.1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mesoscope.synth.stylegan.layers import EqualConv, EqualLinear, leaky

if TYPE_CHECKING:
    from mesoscope.synth.stylegan.config import GeneratorConfig

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
