"""Meso-4 and MesoInception-4 as published.

Afchar, Nozick, Yamagishi, Echizen, *MesoNet: a Compact Facial Video Forgery Detection Network*,
WIFS 2018 (arXiv 1809.00888), section III-A and figure 3. 27,977 trainable parameters,
60.0 million multiply-adds at 256×256.

Two details differ from the paper's figure without changing the computation: the last sigmoid is
left to the loss and the exporter, and the output is negated, so that a higher logit means *more
fake* (the authors' output is the probability of real).

Afchar et al., WIFS 2018 (arXiv 1809.00888), section III-B and figure 4: Meso-4 with its first two
blocks replaced by inception blocks with dilated convolutions. 28,615 trainable parameters. The
authors' code and weights use (2, 4, 4, 2) filters in the second block, and so does this file.
"""

from __future__ import annotations

from itertools import pairwise

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
from mesoscope.training.nets.network import Network, PairedConv2d


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return a norm with Keras' defaults; its momentum .99 is torch's .01."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Stage(nn.Module):
    """One of the four stages: convolutions and pooling."""

    reads: tuple[str, ...]  # the layers that read its input

    def channel_groups(self, name: str, after: list[str], each: int = 1) -> list[ChannelGroup]:
        """Return the groups of its filters.

        Args:
            name: The stage's name in the network.
            after: The layers that read its output.
            each: Entries per channel in those layers.
        """
        raise NotImplementedError


class Block(Stage):
    """Convolution → ReLU → BatchNorm → max-pool."""

    def __init__(self, inputs: int, filters: int, kernel: int, pool: int) -> None:
        super().__init__()
        conv2d = PairedConv2d if filters <= 8 else nn.Conv2d  # the same, faster on CPUs
        self.convolution = conv2d(inputs, filters, kernel, padding="same")
        self.norm = batch_norm(filters)  # each convolution has its own
        self.pool = nn.MaxPool2d(pool)

    def activation(self, x: Tensor) -> Tensor:  # [N, inputs, H, W] → [N, filters, H, W]
        return F.relu(self.convolution(x))

    reads = ("convolution",)

    def channel_groups(self, name: str, after: list[str], each: int = 1) -> list[ChannelGroup]:
        """Return the filters of the convolution."""
        places = (
            *layer_out(f"{name}.convolution"),
            *norm_all(f"{name}.norm"),
            *readers(after, each=each),
        )
        size = width(self, "convolution")
        return [ChannelGroup(name, size, norm_gate(f"{name}.norm"), places)]

    def reduce(self, a: Tensor) -> Tensor:  # [N, filters, H, W] → [N, filters, H/pool, W/pool]
        return self.pool(self.norm(a))  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(self.activation(x))


class Meso4(Network):
    """Meso-4: RGB ``[N, 3, 256, 256]`` in 0..1 → logit ``[N]``, higher = more fake.

    Args:
        dropout: Dropout rate before each dense layer; .5 in the paper.
    """

    def __init__(self, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.block1, self.block2 = self.first_blocks()
        self.block3 = Block(self.block2_filters, 16, 5, pool=2)  # [N, 16, 32, 32]
        self.block4 = Block(16, 16, 5, pool=4)  # [N, 16, 8, 8]
        self.dropout = nn.Dropout(dropout)
        self.dense1 = nn.Linear(16 * 8 * 8, 16)
        self.dense2 = nn.Linear(16, 1)
        for layer in self.modules():  # Keras' initialisation: Glorot uniform, no bias
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    block2_filters = 8

    def first_blocks(self) -> tuple[Stage, Stage]:
        """Return the two blocks in which Meso-4 and MesoInception-4 differ."""
        return (
            Block(3, 8, 3, pool=2),  # [N, 8, 128, 128]
            Block(8, 8, 5, pool=2),  # [N, 8, 64, 64]
        )

    def stages(self) -> list[list[nn.Module]]:
        """Return the layers of the four blocks; those of the last one end with its norm."""
        last = [self.block4.convolution, self.block4.norm]  # called one by one, for the map
        return [[self.block1], [self.block2], [self.block3], last]

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last convolution's output after ReLU, ``[N, 16, 32, 32]``."""
        return self.block4.activation(self.block3(self.block2(self.block1(x))))

    def forward_head(self, a: Tensor) -> Tensor:
        """Compute the logit from features: ``[N, 16, 32, 32]`` → ``[N]``."""
        h = self.dropout(self.block4.reduce(a).flatten(1))  # [N, 1024]
        h = self.dropout(F.leaky_relu(self.dense1(h), 0.1))  # [N, 16]
        return self.dense2(h)[:, 0]  # type: ignore[no-any-return]

    def channel_groups(self) -> list[ChannelGroup]:
        """Return the filters of each block, and the units of the first dense layer."""
        stages: dict[str, Stage] = {
            "block1": self.block1,
            "block2": self.block2,
            "block3": self.block3,
            "block4": self.block4,
        }
        groups = []
        for (name, stage), (after, following) in pairwise(stages.items()):
            groups += stage.channel_groups(name, [f"{after}.{layer}" for layer in following.reads])
        cells = self.dense1.in_features // width(self.block4, "convolution")
        groups += self.block4.channel_groups("block4", ["dense1"], each=cells)
        units = (*layer_out("dense1"), *readers(["dense2"]))
        return [*groups, ChannelGroup("dense1", width(self, "dense1"), units[:2], units)]

    def heat(self, a: Tensor) -> Tensor:
        """Compute the evidence map of the logit: ``[N, 16, 32, 32]`` → ``[N, 32, 32]``, ≥ 0.

        Grad-CAM of the last convolution (Selvaraju et al., ICCV 2017, equations 1 and 2) with its
        gradient in closed form. Max-pooling passes the gradient of each of its 64 cells to one
        position, so the *sum* over positions in Grad-CAM is the sum over cells, wherever the maxima
        lie; only the norm's scale and two dense layers follow. Evaluation mode only. Values are
        logits times activations and are not divided by their maximum, so maps of two pictures are
        comparable; the map of a picture that looks real is dark.
        """
        norm = self.block4.norm
        scale = norm.weight / torch.sqrt(norm.get_buffer("running_var") + norm.eps)
        h = self.dense1(self.block4.reduce(a).flatten(1))  # [N, 16]
        slope = torch.where(h > 0, 1.0, 0.1) * self.dense2.weight  # d logit / d h, [N, 16]
        by_cell = self.dense1.weight.reshape(-1, a.shape[1], 64)  # [16 units, 16 maps, 8 × 8]
        per_map = by_cell.sum(2) * scale  # [16 units, 16 maps]
        places = a.shape[2] * a.shape[3]
        weights = slope @ per_map / places  # [N, 16 maps]: mean gradient of each map
        return F.relu((weights[:, :, None, None] * a).sum(1))


class Inception(Stage):
    """Inception block: four parallel branches, each convolution with ReLU → BatchNorm → max-pool 2.

    Args:
        inputs: Input channels.
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
    writes = ("a1", "b2", "c2", "d2")  # branches that are concatenated

    def channel_groups(self, name: str, after: list[str], each: int = 1) -> list[ChannelGroup]:
        """Return the filters of each branch, inside and at its end."""
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
        """Return two inception blocks in place of Meso-4's first two."""
        return (
            Inception(3, 1, 4, 4, 2),  # [N, 11, 128, 128]
            Inception(11, 2, 4, 4, 2),  # [N, 12, 64, 64]
        )
