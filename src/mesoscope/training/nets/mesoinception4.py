"""MesoInception-4, exactly as published.

Afchar et al., WIFS 2018 (arXiv 1809.00888), section III-B and figure 4: Meso-4 with its first two
blocks replaced by inception blocks with dilated convolutions. 28,615 trainable parameters. The
authors' code and weights use (2, 4, 4, 2) filters in the second block, and so does this file.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesoscope.training.nets.channels import (
    ChannelGroup,
    layer_out,
    norm_all,
    norm_gate,
    readers,
    width,
)
from mesoscope.training.nets.meso4 import Meso4, Stage, batch_norm


class Inception(Stage):
    """Four branches side by side, every convolution with its ReLU → BatchNorm → max-pool 2.

    Args:
        inputs: Channels in.
        a: Filters of the 1×1 branch.
        b: … of 1×1 → 3×3.
        c: … of 1×1 → 3×3 with dilation 2.
        d: … of 1×1 → 3×3 with dilation 3.
    """

    def __init__(self, inputs: int, a: int, b: int, c: int, d: int) -> None:
        super().__init__()
        self.a1 = nn.Conv2d(inputs, a, 1)
        self.b1 = nn.Conv2d(inputs, b, 1)
        self.b2 = nn.Conv2d(b, b, 3, padding="same")
        self.c1 = nn.Conv2d(inputs, c, 1)
        self.c2 = nn.Conv2d(c, c, 3, padding="same", dilation=2)
        self.d1 = nn.Conv2d(inputs, d, 1)
        self.d2 = nn.Conv2d(d, d, 3, padding="same", dilation=3)
        self.norm = batch_norm(a + b + c + d)
        self.pool = nn.MaxPool2d(2)

    reads = ("a1", "b1", "c1", "d1")
    writes = ("a1", "b2", "c2", "d2")  # those whose outputs are put side by side

    def channel_groups(self, name: str, after: list[str], each: int = 1) -> list[ChannelGroup]:
        """The filters of each branch, within it and at its end."""
        groups, start = [], 0
        for first, last in zip(self.reads, self.writes, strict=True):
            if first != last:
                within = (*layer_out(f"{name}.{first}"), *readers([f"{name}.{last}"]))
                size = width(self, first)
                groups.append(ChannelGroup(f"{name}_{first}", size, within[:2], within))
            places = (
                *layer_out(f"{name}.{last}"),
                *norm_all(f"{name}.norm", start),
                *readers(after, start * each, each),
            )
            size = width(self, last)
            gate = norm_gate(f"{name}.norm", start)
            groups.append(ChannelGroup(f"{name}_{last}", size, gate, places))
            start += size
        return groups

    def forward(self, x: Tensor) -> Tensor:  # [N, inputs, H, W] → [N, a+b+c+d, H/2, W/2]
        branches = [
            F.relu(self.a1(x)),
            F.relu(self.b2(F.relu(self.b1(x)))),
            F.relu(self.c2(F.relu(self.c1(x)))),
            F.relu(self.d2(F.relu(self.d1(x)))),
        ]
        return self.pool(self.norm(torch.cat(branches, dim=1)))  # type: ignore[no-any-return]


class MesoInception4(Meso4):
    """MesoInception-4: RGB ``[N, 3, 256, 256]`` in 0..1 → logit ``[N]``, higher = more fake."""

    block2_filters = 12

    def first_blocks(self) -> tuple[Stage, Stage]:
        """Two inception blocks in place of Meso-4's first two."""
        return (
            Inception(3, 1, 4, 4, 2),  # [N, 11, 128, 128]
            Inception(11, 2, 4, 4, 2),  # [N, 12, 64, 64]
        )
