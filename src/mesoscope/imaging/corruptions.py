"""Corruptions for robustness tests: functions of a picture and a level, equal for both classes.

The common corruptions of pictures that are shared: compression, resizing, blur, noise, grading,
screenshots and crops. None of them depends on the label, so none should change a verdict;
:mod:`mesoscope.evaluation.robustness` measures whether they do.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mesoscope.imaging.encode import through_jpeg, through_video
from mesoscope.imaging.filters import blur, noise, resize, scaled, sharpen

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesoscope.types import Pixels

    Apply = Callable[[Pixels, float, np.random.Generator], Pixels]

FACE_PX = 256  # the blur's standard deviation is in pixels of a face of this size
LONGEST_PX = 1024  # larger pictures are downscaled to this first


@dataclass(frozen=True, slots=True)
class Corruption:
    """A corruption and its levels.

    Attributes:
        name: Short name, as in ``robustness.csv``.
        title: Title in plots.
        unit: Unit of the levels, as on a plot's axis.
        phrase: A level in words, with ``{}`` for its number.
        levels: From mild to severe; from negative to positive if the corruption has two directions.
        identity: The level that changes nothing; ``None`` if there is none.
        apply: ``(pixels, level, rng)`` to pixels, both ``(H, W, 3) uint8`` RGB; sizes may differ.
    """

    name: str
    title: str
    unit: str
    phrase: str
    levels: tuple[float, ...]
    identity: float | None
    apply: Apply

    @property
    def both_ways(self) -> bool:
        """Whether levels have both signs."""
        return min(self.levels) < 0 < max(self.levels)

    def shown(self, level: float) -> str:
        """Format a level; with its sign if levels have both."""
        return f"{level:+g}" if self.both_ways else f"{level:g}"

    def describe(self, level: float) -> str:
        """Format a level in words."""
        return self.phrase.format(self.shown(level))


def corrupt(pixels: Pixels, corruption: Corruption, level: float, *, seed: int = 0) -> Pixels:
    """Apply a corruption to a picture.

    Random numbers depend on the seed, the corruption and the pixels. So all levels of a corruption
    use the same noise pattern, and the result does not depend on the path of the file.

    Args:
        pixels: ``(H, W, 3) uint8`` RGB.
        corruption: One of :data:`CORRUPTIONS`.
        level: The level, in the corruption's unit.
        seed: Seed of the random numbers.

    Returns:
        ``(H, W, 3) uint8``; the size may differ from the input's.
    """
    picture = zlib.crc32(pixels.tobytes())
    rng = np.random.default_rng((seed, zlib.crc32(corruption.name.encode()), picture))
    return corruption.apply(pixels, level, rng)


def moderate(pixels: Pixels) -> Pixels:
    """Downscale a picture larger than :data:`LONGEST_PX` to that size, to bound memory."""
    return _shrink(pixels, LONGEST_PX)


def _jpeg(pixels: Pixels, quality: float, _rng: np.random.Generator) -> Pixels:
    return through_jpeg(pixels, int(quality))


def _video(pixels: Pixels, crf: float, _rng: np.random.Generator) -> Pixels:
    return through_video(pixels, "h264", crf=int(crf))


def _resize(pixels: Pixels, percent: float, _rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    small = scaled(pixels, percent / 100)
    if small.shape == pixels.shape:
        return pixels
    return resize(small, width, height, cv2.INTER_CUBIC)


def _shrink(pixels: Pixels, longest_px: float, _rng: object = None) -> Pixels:
    longest = max(pixels.shape[:2])
    return pixels if longest <= longest_px else scaled(pixels, longest_px / longest)


def _blur(pixels: Pixels, sigma: float, _rng: np.random.Generator) -> Pixels:
    sigma_px = sigma * max(pixels.shape[:2]) / FACE_PX
    return blur(pixels, sigma_px) if sigma_px > 0 else pixels


def _noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    return noise(pixels, sigma, rng)


def _brightness(pixels: Pixels, percent: float, _rng: np.random.Generator) -> Pixels:
    return _graded(pixels, np.arange(256) + 255 * percent / 100)


def _contrast(pixels: Pixels, percent: float, _rng: np.random.Generator) -> Pixels:
    middle = pixels.mean()
    return _graded(pixels, middle + (np.arange(256) - middle) * (1 + percent / 100))


def _graded(pixels: Pixels, curve: np.ndarray) -> Pixels:
    table = np.clip(np.rint(curve), 0, 255).astype(np.uint8)  # (256,)
    return np.asarray(cv2.LUT(pixels, table), np.uint8)


class _Screenshot(NamedTuple):
    """Scale, gamma and sharpening of a screenshot, and its JPEG quality; ``None`` for PNG."""

    shown_at: float
    gamma: float
    sharpened: float
    quality: int | None


_SCREENSHOTS = (
    _Screenshot(shown_at=1.37, gamma=1.05, sharpened=0.3, quality=None),
    _Screenshot(shown_at=0.73, gamma=0.92, sharpened=0.5, quality=85),
    _Screenshot(shown_at=0.61, gamma=1.12, sharpened=0.8, quality=70),
)


def _screenshot(pixels: Pixels, level: float, _rng: np.random.Generator) -> Pixels:
    if not level:
        return pixels
    how = _SCREENSHOTS[int(level) - 1]
    x = scaled(pixels, how.shown_at)
    x = _graded(x, 255 * (np.arange(256) / 255) ** how.gamma)
    x = sharpen(x, how.sharpened, 1.0)
    return x if how.quality is None else through_jpeg(x, how.quality)


def _crop(pixels: Pixels, percent: float, rng: np.random.Generator) -> Pixels:
    """Cut off a border, or add a mirrored one, at random offsets."""
    height, width = pixels.shape[:2]
    down, right = rng.random(2)
    rows, columns = (round(abs(percent) / 100 * side) for side in (height, width))
    top, left = round(down * rows), round(right * columns)
    if percent > 0:
        edges = (top, rows - top, left, columns - left)
        return np.asarray(cv2.copyMakeBorder(pixels, *edges, cv2.BORDER_REFLECT_101), np.uint8)
    return np.ascontiguousarray(pixels[top : height - rows + top, left : width - columns + left])


CORRUPTIONS = (
    Corruption("jpeg", "JPEG", "quality", "quality {}",
               (95, 90, 80, 70, 60, 50, 40, 30), None, _jpeg),
    Corruption("video", "Frame of a clip, H.264", "CRF", "CRF {}",
               (23, 28, 33, 38, 43), None, _video),
    Corruption("resize", "Resized and back", "% of the size", "{} % of the size",
               (75, 50, 33, 25), 100, _resize),
    Corruption("shrink", "Shrunk", "longest side, px", "longest side {} px",
               (128, 96, 64, 48), None, _shrink),
    Corruption("blur", "Gaussian blur", f"σ, px of a face of {FACE_PX}", "σ {} px",
               (0.5, 1, 1.5, 2, 3), 0, _blur),
    Corruption("noise", "Gaussian noise", "σ, grey levels", "σ {} grey levels",
               (2, 4, 8, 12, 16), 0, _noise),
    Corruption("brightness", "Brightness", "% of white", "{} % of white",
               (-30, -20, -10, 10, 20, 30), 0, _brightness),
    Corruption("contrast", "Contrast", "% of the contrast", "{} %",
               (-50, -30, 30, 60), 0, _contrast),
    Corruption("screenshot", "Screenshot", "step", "step {}",
               (1, 2, 3), 0, _screenshot),
    Corruption("crop", "Crop", "% of the side", "{} % of the side",
               (-15, -10, -5, 5, 10, 15), 0, _crop),
)  # fmt: skip
