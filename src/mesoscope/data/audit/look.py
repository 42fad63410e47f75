"""What a picture's pixels say in short: perceptual hashes, a thumbnail, brightness, sharpness."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mesoscope.types import Pixels

THUMBNAIL_PX = 16
LEAST_PX = 256  # pictures with twice as many are decoded at a fraction of their size
_HASH_PX = 32  # of the small picture that is transformed


def _lowest() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the 64 lowest frequencies beside the mean, along the diagonals."""
    places = [(row, column) for row in range(_HASH_PX) for column in range(_HASH_PX)]
    places.sort(key=lambda place: (sum(place), place))
    rows, columns = np.array(places[1:65]).T
    return rows, columns


_ROWS, _COLUMNS = _lowest()
_MIRRORED = np.where(_COLUMNS % 2 == 1, -1.0, 1.0)  # odd cosines turn their sign in a mirror
_BITS = np.uint64(1) << np.arange(64, dtype=np.uint64)


class Look(NamedTuple):
    """One picture in short.

    Attributes:
        hashes: Two 64-bit hashes, of the picture and of its mirror image.
        thumbnail: ``(16, 16) uint8``, grey.
        brightness: Mean grey value, 0 to 255.
        spread: Standard deviation of grey values.
        sharpness: How much of the spread is left in the finest detail: standard deviation of the
            Laplacian over ``spread``, at a side of at most 511 pixels.
    """

    hashes: tuple[int, int]
    thumbnail: NDArray[np.uint8]
    brightness: float
    spread: float
    sharpness: float


def look_at(pixels: Pixels) -> Look:
    """Look at a picture once.

    The hash is the signs of the 64 lowest frequencies of the discrete cosine transform of a
    32 × 32 picture, the mean aside, so two hashes tell apart what differs in coarse structure, and
    the mirror image's follows by turning signs (after Zauner 2010, section 3.1).

    Args:
        pixels: ``(H, W, 3) uint8``, RGB.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_HASH_PX, _HASH_PX), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(small.astype(np.float32))[_ROWS, _COLUMNS]
    mean, deviation = cv2.meanStdDev(grey)
    spread = float(deviation[0, 0])
    _, fine = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return Look(
        hashes=(_packed(waves > 0), _packed(waves * _MIRRORED > 0)),
        thumbnail=np.asarray(
            cv2.resize(small, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA), np.uint8
        ),
        brightness=float(mean[0, 0]),
        spread=spread,
        sharpness=float(fine[0, 0]) / spread if spread > 0 else 0.0,
    )


def _packed(signs: NDArray[np.bool_]) -> int:
    return int(_BITS[signs].sum(dtype=np.uint64))
