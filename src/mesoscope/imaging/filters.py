"""What is done to pixels in more than one place: blur, sharpening, noise, sizes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from mesoscope.types import Pixels

__all__ = ["blur", "noise", "resize", "scaled", "sharpen"]


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Gaussian blur; ``sigma`` in pixels, above 0."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def sharpen(pixels: Pixels, amount: float, sigma: float) -> Pixels:
    """Unsharp mask: what a blur by ``sigma`` takes away, added ``amount`` times."""
    soft = cv2.GaussianBlur(pixels, (0, 0), sigma)
    return np.asarray(cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0), np.uint8)


def noise(
    pixels: Pixels, sigma: float, rng: np.random.Generator, *, half_up: bool = False
) -> Pixels:
    """Gaussian noise of each channel by itself, ``sigma`` in grey levels.

    Args:
        pixels: Any shape.
        sigma: Its deviation.
        rng: Draws one number a value, whatever ``sigma`` is.
        half_up: Round halves up, as training does, in place of to the even number; a value in some
            ten thousand differs by one, and recorded figures were measured with each.
    """
    grains = rng.standard_normal(pixels.shape, np.float32)
    if half_up:
        return np.clip(pixels + sigma * grains + 0.5, 0, 255).astype(np.uint8)
    return np.clip(np.rint(pixels + sigma * grains), 0, 255).astype(np.uint8)


def resize(pixels: Pixels, width: int, height: int, how: int | None = None) -> Pixels:
    """A picture at another size.

    Args:
        pixels: Any channels.
        width: In pixels.
        height: In pixels.
        how: OpenCV's interpolation; ``None`` averages areas where the picture shrinks, and is
            bicubic where it grows.
    """
    if how is None:
        how = cv2.INTER_AREA if width < pixels.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), np.uint8)


def scaled(pixels: Pixels, factor: float) -> Pixels:
    """A picture ``factor`` times as wide and as high, at least one pixel."""
    height, width = pixels.shape[:2]
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return resize(pixels, max(1, round(width * factor)), max(1, round(height * factor)), how)
