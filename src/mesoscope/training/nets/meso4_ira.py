"""Meso-4 with inverted residual blocks and attention.

Meso-4 halves the picture in four stages of one convolution each. Here each stage holds inverted
residual blocks (Sandler et al., *MobileNetV2*, CVPR 2018, section 3: expand → depthwise → project,
linear bottleneck, skip where shapes agree) with channel attention between the depthwise convolution
and the projection. Global average pooling replaces Meso-4's large dense layer.

Kernels, strides and the largest widths are those of EfficientNet-Lite0's stages
(https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html),
so training can start from ImageNet weights: see :mod:`mesoscope.training.nets.imagenet`. The
shipped model has four stages, as Meso-4; a network of all seven serves as its teacher.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mesoscope.training.nets.channels import (
    ChannelGroup,
    ChannelPlace,
    layer_out,
    norm_all,
    norm_gate,
    readers,
)
from mesoscope.training.nets.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesoscope.training.recipe.keys import NetworkKeys

# (blocks, kernel, stride of the first) of each stage
STAGES = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1))
STEM_PX = {2: 3, 4: 6}  # side of the stem's filters, by stride


def plan(stages: int) -> list[tuple[int, int, int]]:
    """Return (stage, kernel, stride) of each block for a number of stages."""
    return [
        (stage, kernel, stride if first == 0 else 1)
        for stage, (blocks, kernel, stride) in enumerate(STAGES[:stages])
        for first in range(blocks)
    ]


def norm(channels: int) -> nn.BatchNorm2d:
    """Return a norm with a momentum for runs of a few hundred steps of 32 pictures."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Attention(nn.Module):
    """Base class of attention over channels, and for some kinds over positions."""

    def open(self) -> None:
        """Initialise so that everything passes."""
        raise NotImplementedError

    def places(self, name: str) -> tuple[ChannelPlace, ...]:
        """Return the tensors of the weighed channels; ``name`` is this module's in the network."""
        raise NotImplementedError


class SqueezeExcitation(Attention):
    """Squeeze-and-excitation (Hu et al., CVPR 2018, section 3).

    It starts near one for every channel, so pretrained filters keep working.
    """

    def __init__(self, channels: int, reduction: int = 32) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, max(8, channels // reduction), 1)
        self.excite = nn.Conv2d(max(8, channels // reduction), channels, 1)

    def open(self) -> None:
        """Initialise so that every channel passes."""
        nn.init.zeros_(self.excite.weight)
        nn.init.constant_(self.excite.bias, 2.5)  # type: ignore[arg-type]

    def places(self, name: str) -> tuple[ChannelPlace, ...]:
        """Return the tensors of the weighed channels."""
        return *readers([f"{name}.squeeze"]), *layer_out(f"{name}.excite")

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] → the same
        mean = x.mean((2, 3), keepdim=True)  # [N, C, 1, 1]
        return x * F.hardsigmoid(self.excite(F.relu(self.squeeze(mean))))


class EfficientChannelAttention(Attention):
    """Efficient channel attention (Wang et al., *ECA-Net*, CVPR 2020)."""

    def __init__(self, channels: int, kernel: int = 5) -> None:
        super().__init__()
        del channels  # the same five weights for any number of channels
        self.along = nn.Conv1d(1, 1, kernel, padding=kernel // 2)

    def open(self) -> None:
        """Initialise so that every channel passes."""
        nn.init.zeros_(self.along.weight)
        nn.init.constant_(self.along.bias, 2.5)  # type: ignore[arg-type]

    def places(self, name: str) -> tuple[ChannelPlace, ...]:  # noqa: ARG002 - as in the other classes
        """Return none: the same five weights serve any number of channels."""
        return ()

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] → the same
        mean = x.mean((2, 3))[:, None]  # [N, 1, C]
        return x * F.hardsigmoid(self.along(mean))[:, 0, :, None, None]


class ConvolutionalBlockAttention(Attention):
    """Convolutional block attention (Woo et al., *CBAM*, ECCV 2018): channels, then positions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = SqueezeExcitation(channels)
        self.where = nn.Conv2d(2, 1, 7, padding=3)

    def open(self) -> None:
        """Initialise so that every channel and position passes."""
        self.channels.open()
        nn.init.zeros_(self.where.weight)
        nn.init.constant_(self.where.bias, 2.5)  # type: ignore[arg-type]

    def places(self, name: str) -> tuple[ChannelPlace, ...]:
        """Return the tensors of the weighed channels."""
        return self.channels.places(f"{name}.channels")

    def forward(self, x: Tensor) -> Tensor:  # [N, C, H, W] → the same
        x = self.channels(x)
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)  # [N, 2, H, W]
        return x * F.hardsigmoid(self.where(both))


ATTENTION: dict[str, Callable[[int], Attention]] = {
    "se": SqueezeExcitation,
    "eca": EfficientChannelAttention,
    "cbam": ConvolutionalBlockAttention,
}


class InvertedResidual(nn.Module):
    """Expand 1×1 → depthwise k×k → attention → project 1×1; a skip where shapes agree.

    Args:
        inputs: Input channels.
        expanded: Channels after expansion; equal to ``inputs`` for none.
        filters: Output channels.
        kernel: Kernel size of the depthwise convolution.
        stride: Stride of the depthwise convolution.
        attention: ``none`` or a key of ``ATTENTION``.
    """

    def __init__(
        self, inputs: int, expanded: int, filters: int, kernel: int, stride: int, attention: str
    ) -> None:
        super().__init__()
        self.expand = None if expanded == inputs else nn.Conv2d(inputs, expanded, 1, bias=False)
        self.expand_norm = None if self.expand is None else norm(expanded)
        self.depthwise = nn.Conv2d(
            expanded, expanded, kernel, stride, kernel // 2, groups=expanded, bias=False
        )
        self.depthwise_norm = norm(expanded)
        self.attention: Attention | None = None
        if attention != "none":
            self.attention = ATTENTION[attention](expanded)
        self.project = nn.Conv2d(expanded, filters, 1, bias=False)
        self.project_norm = norm(filters)
        self.skip = stride == 1 and inputs == filters

    def expansion(self, name: str, key: str, writer: str) -> ChannelGroup:
        """Return the group of expanded channels; ``writer`` is the layer that produces them.

        The norm of ``writer`` has its name plus ``_norm``.
        """
        places = (
            ChannelPlace(f"{writer}.weight", 0),
            *norm_all(f"{writer}_norm"),
            ChannelPlace(f"{name}.depthwise.weight", 0),
            *norm_all(f"{name}.depthwise_norm"),
            *(() if self.attention is None else self.attention.places(f"{name}.attention")),
            *readers([f"{name}.project"]),
        )
        gate = norm_gate(f"{name}.depthwise_norm")
        return ChannelGroup(key, self.depthwise.out_channels, gate, places)

    def forward(self, x: Tensor) -> Tensor:  # [N, inputs, H, W] → [N, filters, H/s, W/s]
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = F.relu6(self.expand_norm(self.expand(y)))
        y = F.relu6(self.depthwise_norm(self.depthwise(y)))
        if self.attention is not None:
            y = self.attention(y)
        y = self.project_norm(self.project(y))
        out: Tensor = x + y if self.skip else y
        return out


class Meso4IRA(Network):
    """Meso-4 with inverted residual blocks and attention.

    RGB ``[N, 3, 256, 256]`` in 0..1 → logit ``[N]``, higher = more fake.

    The stem sees every pixel once, with 6×6 filters at stride 4. They start as a mean over 2×2
    pixels and a 3×3 convolution at stride 2, and training can refine them.

    Args:
        keys: Widths, expansions, attention, stem and initial weights.

    Raises:
        RecipeError: The widths exceed those of the ImageNet weights.
    """

    def __init__(self, keys: NetworkKeys) -> None:
        super().__init__()
        self.residuals = keys.stem_residuals
        before = keys.stem + keys.stem_residuals
        stride, side = keys.stem_stride, STEM_PX[keys.stem_stride]
        self.stem = nn.Conv2d(3, before, side, stride, padding=(side - 1) // 2, bias=False)
        self.stem_norm = norm(before)
        blocks = []
        for (stage, kernel, stride), expanded in zip(
            plan(len(keys.widths)), (0, *keys.expanded), strict=True
        ):
            filters = keys.widths[stage]
            # Earlier maps are larger, so attention costs more there, and channels are fewer.
            attention = keys.attention if stage == len(keys.widths) - 1 else "none"
            blocks.append(
                InvertedResidual(before, expanded or before, filters, kernel, stride, attention)
            )
            before = filters
        self.blocks = nn.ModuleList(blocks)
        self.dropout = nn.Dropout(keys.dropout)
        self.dense = nn.Linear(before, 1)
        self._begin()

    def _begin(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        for block in self.blocks:
            if block.attention is not None:
                block.attention.open()  # type: ignore[operator, union-attr]
        nn.init.zeros_(self.dense.bias)
        with torch.no_grad():  # zero-mean filters respond to noise and edges, not to colour
            high = self.stem.weight[self.stem.out_channels - self.residuals :]
            high -= high.mean((2, 3), keepdim=True)

    def stages(self) -> list[list[nn.Module]]:
        """Return the blocks of each stage; the stem belongs to the first."""
        found: list[list[nn.Module]] = [[self.stem, self.stem_norm]]
        for block, (stage, _kernel, _stride) in zip(self.blocks, plan(len(STAGES)), strict=False):
            if stage == len(found):
                found.append([])
            found[stage].append(block)
        return found

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last block's output, ``[N, widths[-1], 8, 8]``, or 4, 4 for a teacher."""
        x = F.relu6(self.stem_norm(self.stem(x)))  # [N, stem, 64, 64]
        for block in self.blocks:
            x = block(x)
        return x

    def forward_head(self, a: Tensor) -> Tensor:
        """Compute the logit from features: ``[N, C, h, w]`` → ``[N]``."""
        return self.dense(self.dropout(a.mean((2, 3))))[:, 0]  # type: ignore[no-any-return]

    def channel_groups(self) -> list[ChannelGroup]:
        """Return the expansions; the stem's filters, where they are the first block's expansion."""
        groups = []
        for number, block in enumerate(self.blocks):
            name = f"blocks.{number}"
            if not isinstance(block, InvertedResidual):
                continue
            if block.expand is not None:
                groups.append(block.expansion(name, f"block{number}", f"{name}.expand"))
            elif number == 0 and not block.skip:
                groups.append(block.expansion(name, "stem", "stem"))
        return groups

    def heat(self, a: Tensor) -> Tensor:
        """Compute the evidence map of the logit: ``[N, C, h, w]`` → ``[N, h, w]``, ≥ 0.

        Grad-CAM (Selvaraju et al., ICCV 2017, equations 1 and 2), exact and without a gradient:
        after the last block follow only a mean and one dense layer, so each map's weight is the
        dense layer's, divided by the number of positions.
        """
        places = a.shape[2] * a.shape[3]
        # As a convolution, which ONNX Runtime computes ten times as fast as the sum of products.
        return F.relu(F.conv2d(a, self.dense.weight[:, :, None, None] / places))[:, 0]
