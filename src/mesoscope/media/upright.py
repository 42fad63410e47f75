"""Conversion of decoded video frames to RGB: upright, with square pixels, on white."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from av import VideoFrame
    from numpy.typing import NDArray

    from mesoscope.types import Pixels

_NEARLY = 0.02
_PQ = 16  # ITU-T H.273, table 3: SMPTE ST 2084
_BT2020 = 9  # table 2
_WHITE = 203 / 10_000  # ITU-R BT.2408: diffuse white, as a share of PQ's peak
_KNEE = 0.8  # start of the tone mapping's compression
_TO_BT709 = np.array(  # linear BT.2020 to linear BT.709, ITU-R BT.2087
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)


def rgb_of(frame: VideoFrame, ratio: float, check_size: Callable[[int, int], None]) -> Pixels:
    """Convert a frame to ``(H, W, 3) uint8`` RGB.

    Colour matrix and range are those of the frame, or FFmpeg's defaults (BT.601, limited range).

    Args:
        frame: The decoded frame.
        ratio: Pixel aspect ratio, width to height.
        check_size: Called with width and height before upscaling.

    Raises:
        SourceTooLarge: ``check_size`` raised it.
    """
    if frame.format.has_palette or any(part.is_alpha for part in frame.format.components):
        pixels = _over_white(np.asarray(frame.to_ndarray(format="rgba"), np.uint8))
    elif int(frame.color_trc) == _PQ:
        deep = np.asarray(frame.to_ndarray(format="rgb48le"), np.uint16)
        pixels = _ordinary(deep, wide=int(frame.color_primaries) == _BT2020)
    else:
        pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return _upright(_square(pixels, ratio, check_size), frame)


def _over_white(pixels: NDArray[np.uint8]) -> Pixels:
    alpha = pixels[:, :, 3:].astype(np.uint16)
    if not alpha.any() or alpha.min() == 255:  # an unused alpha channel
        return np.ascontiguousarray(pixels[:, :, :3])
    over = pixels[:, :, :3] * alpha + 255 * (255 - alpha)
    return np.asarray((over + 127) // 255, np.uint8)


@functools.cache
def _light() -> NDArray[np.float32]:
    """Return linear light for PQ's 16-bit values, 1 = diffuse white (SMPTE ST 2084)."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = (np.arange(65536) / 65535) ** (1 / m2)
    share = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return np.asarray(share / _WHITE, np.float32)


def _ordinary(deep: NDArray[np.uint16], *, wide: bool) -> Pixels:
    """Tone-map PQ to standard dynamic range: light above the knee is compressed."""
    light = _light()[deep]
    if wide:
        light = np.maximum(cv2.transform(light, _TO_BT709), 0)
    brightest = light.max(axis=2, keepdims=True)
    over = np.maximum(brightest - _KNEE, 0)
    compressed = np.minimum(brightest, _KNEE) + (1 - _KNEE) * over / (over + 1 - _KNEE)
    light *= compressed / np.maximum(brightest, 1e-6)
    grey = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.clip(grey * 255 + 0.5, 0, 255), np.uint8)


def _square(pixels: Pixels, ratio: float, check_size: Callable[[int, int], None]) -> Pixels:
    """Resize to square pixels; DVDs, tapes and some cameras have other aspect ratios."""
    if abs(ratio - 1) < _NEARLY or not 0.2 < ratio < 5:  # rounding, or an invalid header
        return pixels
    height, width = pixels.shape[:2]
    if ratio > 1:
        width = round(width * ratio)
    else:
        height = round(height / ratio)
    check_size(width, height)
    return np.asarray(cv2.resize(pixels, (width, height)), np.uint8)


def _upright(pixels: Pixels, frame: VideoFrame) -> Pixels:
    """Rotate and mirror by the display matrix (ISO/IEC 14496-12, 8.3.2), in quarter turns."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")  # typed as text in PyAV's stubs
    if data is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].astype(float)
    if abs(b) + abs(c) > abs(a) + abs(d):  # columns become rows
        pixels, a, d = np.swapaxes(pixels, 0, 1), c, b
    if a < 0:
        pixels = pixels[:, ::-1]
    if d < 0:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
