"""Two pictures in one, and a label between theirs; in the batch, after augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.training.recipe.keys import MixKeys
    from mesoscope.types import Pixels

    Floats = NDArray[np.float32]

MIXUP_ALPHA = 0.4  # Zhang et al. take .1 to .4 on ImageNet


def mix(
    crops: Pixels, labels: Floats, keys: MixKeys, rng: np.random.Generator
) -> tuple[Pixels, Floats]:
    """Mix a batch with itself in another order, or leave it as it is.

    *mixup* (Zhang et al., ICLR 2018, section 2) takes a weighted mean of two pictures. *CutMix*
    (Yun et al., ICCV 2019, section 3.1) puts a rectangle of one into the other. In both the label
    is the share of each.

    Args:
        crops: ``(n, S, S, 3) uint8``.
        labels: ``(n,)``, 0 to 1.
        keys: The chance of each for a batch.
        rng: Decides everything.

    Returns:
        Crops and labels, new ones where something was mixed.
    """
    which = rng.random()
    if which >= keys.mixup + keys.cutmix or len(crops) < 2:
        return crops, labels
    order = rng.permutation(len(crops))
    if which < keys.mixup:
        share = np.float32(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA))
        mixed = crops * (1 - share) + crops[order] * share
        crops = np.asarray(np.rint(mixed), np.uint8)
    else:
        height, width = crops.shape[1:3]
        top, left, high, wide = rectangle(height, width, rng)
        part = slice(None), slice(top, top + high), slice(left, left + wide)
        given = crops[order][part]
        crops = crops.copy()
        crops[part] = given
        share = np.float32(high * wide / (height * width))
    return crops, labels + share * (labels[order] - labels)


def rectangle(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a tenth to nine tenths of a picture, of its own shape."""
    side = np.sqrt(rng.uniform(0.1, 0.9))
    high, wide = max(1, int(height * side)), max(1, int(width * side))
    return int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1)), high, wide
