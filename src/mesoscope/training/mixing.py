"""Two pictures in one, and a label between theirs; in the batch, after augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from mesoscope.training.recipe import MixKeys

MIXUP_ALPHA = 0.4  # Zhang et al. use .1 to .4 on ImageNet


def mix(x: Tensor, y: Tensor, keys: MixKeys, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix a batch with itself in another order, or leave it as it is.

    *mixup* (Zhang et al., ICLR 2018, section 2) takes a weighted mean of two pictures. *CutMix*
    (Yun et al., ICCV 2019, section 3.1) puts a rectangle of one into the other. In both the label
    is the share of each.

    Args:
        x: ``[N, 3, H, W]``.
        y: ``[N]``, 0 to 1.
        keys: The chance of each for a batch.
        rng: Decides everything.

    Returns:
        Pictures and labels, new ones where something was mixed.
    """
    which = rng.random()
    if which >= keys.mixup + keys.cutmix or len(x) < 2:
        return x, y
    order = torch.from_numpy(rng.permutation(len(x))).to(x.device)
    if which < keys.mixup:
        share = float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA))
        return x.lerp(x[order], share), y.lerp(y[order], share)
    top, left, height, width = rectangle(x.shape[2], x.shape[3], rng)
    x = x.clone()
    x[:, :, top : top + height, left : left + width] = x[
        order, :, top : top + height, left : left + width
    ]
    return x, y.lerp(y[order], height * width / (x.shape[2] * x.shape[3]))


def rectangle(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a rectangle of any area, of the picture's own shape."""
    side = np.sqrt(rng.uniform(0.1, 0.9))
    high, wide = max(1, int(height * side)), max(1, int(width * side))
    return int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1)), high, wide
