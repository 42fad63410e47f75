"""Where a blend takes place: an outline made soft and irregular, as no two programs draw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.synth.forgery import Mask
    from mesoscope.types import Json, Pixels

    Points = NDArray[np.float32]

WORK_PX = 176  # longest side at which masks are made: they are smooth, so that more shows nothing
FAINTEST = 1 / 255  # below it, a mask of 8 bits holds nothing
_GRID = (3, 6)  # cells of the elastic field along the region
_ELASTIC = 0.035  # of the face's size: its largest pull, as a standard deviation
_BLUR = (0.008, 0.045)  # of the face's size: the two kernels' standard deviations


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of whole pixels within a picture: ``x1 ≤ x < x2``, ``y1 ≤ y < y2``."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def empty(self) -> bool:
        """Whether it has no pixel."""
        return self.x2 <= self.x1 or self.y2 <= self.y1

    @property
    def slices(self) -> tuple[slice, slice]:
        """To index ``(H, W, …)`` arrays."""
        return slice(self.y1, self.y2), slice(self.x1, self.x2)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as OpenCV asks for them."""
        return self.x2 - self.x1, self.y2 - self.y1


def region_of(outline: Points, shape: tuple[int, ...], *, pad: float) -> Region | None:
    """The rectangle about an outline, wider by ``pad`` of its size; ``None`` beside the picture."""
    height, width = shape[:2]
    low, high = outline.min(axis=0), outline.max(axis=0)
    more = pad * float((high - low).max())
    x1, y1 = (int(v) for v in np.maximum(np.floor(low - more), 0))
    x2, y2 = (int(v) for v in np.minimum(np.ceil(high + more) + 1, (width, height)))
    return Region(x1, y1, x2, y2) if x2 - x1 > 1 and y2 - y1 > 1 else None


def draw_mask(
    outline: Points, region: Region, rng: np.random.Generator, *, softest: float = 1.0
) -> tuple[Mask, dict[str, Json]]:
    """Fill an outline, bend it elastically, and blur it twice with a threshold between.

    After Shiohara & Yamasaki 2022, section 3.2: between the two blurs all that is not wholly inside
    goes, so that the first one eats into the outline and the second one spreads from there: the
    mask shrinks or grows by which of them is wider.

    Args:
        outline: ``(K, 2)`` in pixels of the picture.
        region: Where the mask is wanted.
        rng: Decides everything.
        softest: Times the widths of the blurs.

    Returns:
        ``(h, w) float32`` of the region, 0 to 1, 0 where it would be below 1/255; and the numbers.
    """
    width, height = region.size
    scale = min(1.0, WORK_PX / max(width, height))
    wide, high = max(2, round(width * scale)), max(2, round(height * scale))
    ratio = np.array([wide / width, high / height])
    places = (outline + 0.5 - (region.x1, region.y1)) * ratio - 0.5
    face_px = max(1.0, float(np.ptp(places, axis=0).max()))
    filled = np.zeros((high, wide), np.uint8)
    cv2.fillPoly(filled, [np.rint(places * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    cells = int(rng.integers(_GRID[0], _GRID[1] + 1))
    pull = float(rng.uniform(0.3, 1)) * _ELASTIC
    bent = _bent(filled, rng.normal(0, pull * face_px, (2, cells, cells)))
    first, second = (float(v) for v in rng.uniform(*_BLUR, 2) * softest)
    inner = cv2.GaussianBlur(bent, (0, 0), max(0.4, first * face_px))
    inner = ((inner >= 250) * np.uint8(255)).astype(np.uint8)
    soft = cv2.GaussianBlur(inner.astype(np.float32), (0, 0), max(0.6, second * face_px)) / 255
    if (wide, high) != (width, height):
        soft = cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR)
    mask = clean(np.asarray(soft, np.float32))
    numbers: dict[str, Json] = {
        "elastic": {"cells": cells, "pull": round(pull, 4)},
        "blurs": [round(first, 4), round(second, 4)],
    }
    return mask, numbers


def clean(mask: Mask) -> Mask:
    """A mask within 0 to 1, 0 where an 8-bit one would hold nothing."""
    return np.asarray(np.where(mask < FAINTEST, 0, np.minimum(mask, 1)), np.float32)


def placed(mask: Mask, region: Region, shape: tuple[int, ...]) -> Mask:
    """A region's mask within one of the whole picture."""
    whole = np.zeros(shape[:2], np.float32)
    whole[region.slices] = mask
    return whole


def mixed(picture: Pixels, region: Region, patch: Pixels, share: Mask) -> Pixels:
    """A copy of the picture with a patch mixed in; where the share is 0, not a bit changes.

    Args:
        picture: ``(H, W, 3) uint8``.
        region: Where the patch lies.
        patch: ``(h, w, 3) uint8``.
        share: ``(h, w)``, of the patch, 0 to 1.
    """
    result: Pixels = picture.copy()
    under = picture[region.slices].astype(np.float32)
    over = under + share[:, :, None] * (patch - under)
    result[region.slices] = np.asarray(over + np.float32(0.5), np.uint8)
    return result


def _bent(filled: NDArray[np.uint8], field: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A shape pulled about by a smooth field, given on a coarse grid in pixels."""
    high, wide = filled.shape
    pulls = [
        cv2.resize(part.astype(np.float32), (wide, high), interpolation=cv2.INTER_CUBIC)
        for part in field
    ]
    x = pulls[0] + np.arange(wide, dtype=np.float32)
    y = pulls[1] + np.arange(high, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(filled, x, y, cv2.INTER_LINEAR, borderValue=0), np.uint8)
