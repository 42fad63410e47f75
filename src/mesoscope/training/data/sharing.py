"""What happens to pictures and clips when they are saved and shared, as augmentation.

Codecs at random qualities, chains of messengers that resize and compress again, screenshots. Each
function keeps the size and takes ``(H, W, 3) uint8`` RGB.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.imaging import filters
from mesoscope.imaging.encode import through_jpeg

if TYPE_CHECKING:
    from mesoscope.types import Pixels

_RESIZERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def through_avif(x: Pixels, quality: int) -> Pixels:
    """Compress a picture by AVIF and decode it."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(x).save(held, "AVIF", quality=quality, speed=10)
    with Image.open(held) as picture:
        return np.asarray(picture.convert("RGB"), np.uint8)


def through_messengers(x: Pixels, rng: np.random.Generator, quality_min: int) -> Pixels:
    """Resize and compress by JPEG two or three times, as messengers and sites do on the way.

    Args:
        x: The picture.
        rng: Source of all randomness.
        quality_min: Lowest JPEG quality.
    """
    height, width = x.shape[:2]
    for _ in range(int(rng.integers(2, 4))):
        share = rng.uniform(0.6, 1.0)
        how = _RESIZERS[int(rng.integers(len(_RESIZERS)))]
        x = filters.resize(x, max(1, round(width * share)), max(1, round(height * share)), how)
        quality = int(rng.integers(quality_min, 96))
        x = through_jpeg(x, quality, full_chroma=bool(rng.random() < 0.3))
    return filters.resize(x, width, height, cv2.INTER_CUBIC)


def through_screenshot(x: Pixels, rng: np.random.Generator) -> Pixels:
    """Show a picture at another scale on a screen and cut it out there.

    The screen's pixels do not fall on the picture's, so it is resampled twice, the second time with
    a shift of a part of a pixel.

    Args:
        x: The picture.
        rng: Source of all randomness.
    """
    height, width = x.shape[:2]
    scale, right, down = rng.uniform(0.7, 1.6), *rng.uniform(-0.5, 0.5, 2)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    shown = filters.resize(x, max(1, round(width * scale)), max(1, round(height * scale)), how)
    back = np.float32([[1 / scale, 0, right], [0, 1 / scale, down]])  # type: ignore[arg-type]
    border = cv2.BORDER_REFLECT_101
    cut = cv2.warpAffine(shown, back, (width, height), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(cut, np.uint8)
