"""Blur, sharpening, noise and resizing, as pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from mesoscope.types import Pixels

__all__ = ["blur", "noise", "resize", "scaled", "sharpen"]


def blur(pixels: Pixels, sigma: float) -> Pixels:
    """Blur by a Gaussian of standard deviation ``sigma`` in pixels, above 0."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def sharpen(pixels: Pixels, amount: float, sigma: float) -> Pixels:
    """Sharpen by an unsharp mask: add ``amount`` times the difference from a blur by ``sigma``."""
    soft = cv2.GaussianBlur(pixels, (0, 0), sigma)
    return np.asarray(cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0), np.uint8)


def noise(
    pixels: Pixels, sigma: float, rng: np.random.Generator, *, half_up: bool = False
) -> Pixels:
    """Add Gaussian noise, independent for each value.

    Args:
        pixels: ``uint8`` of any shape.
        sigma: Standard deviation in grey levels.
        rng: Generator; one number is drawn per value, for any ``sigma``.
        half_up: Round halves up, as training does, instead of to even. About one value in ten
            thousand differs by one; recorded figures depend on both.
    """
    grains = rng.standard_normal(pixels.shape, np.float32)
    if half_up:
        return np.clip(pixels + sigma * grains + 0.5, 0, 255).astype(np.uint8)
    return np.clip(np.rint(pixels + sigma * grains), 0, 255).astype(np.uint8)


def resize(pixels: Pixels, width: int, height: int, how: int | None = None) -> Pixels:
    """Resize a picture.

    Args:
        pixels: ``(H, W)`` or ``(H, W, C) uint8``.
        width: New width in pixels.
        height: New height in pixels.
        how: OpenCV's interpolation; ``None`` averages when the width shrinks, else is bicubic.
    """
    if how is None:
        how = cv2.INTER_AREA if width < pixels.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=how), np.uint8)


def scaled(pixels: Pixels, factor: float) -> Pixels:
    """Resize a picture by a factor; sides have at least one pixel."""
    height, width = pixels.shape[:2]
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return resize(pixels, max(1, round(width * factor)), max(1, round(height * factor)), how)
