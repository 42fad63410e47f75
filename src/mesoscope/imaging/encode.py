"""Pictures as the bytes of files, and through a loss of compression: one encoder for all.

Files of others are read by :mod:`mesoscope.media`; here go pictures that mesoscope itself makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import Pixels

__all__ = ["encode", "jpeg", "png", "through_jpeg", "through_webp"]

_FULL = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
_HALF = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420


def encode(pixels: Pixels, suffix: str, flags: Sequence[int] = ()) -> bytes:
    """The bytes of a file, without any metadata.

    Args:
        pixels: RGB, RGB with alpha, or grey, ``uint8``.
        suffix: Says the format, as in ``.png``.
        flags: OpenCV's, such as ``(cv2.IMWRITE_WEBP_QUALITY, 90)``.

    Raises:
        OutputError: The format does not hold such a picture, as where it is too wide for it.
    """
    turned = pixels
    if pixels.ndim == 3:
        turn = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        turned = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), turn), np.uint8)
    try:
        done, data = cv2.imencode(suffix, turned, list(flags))
    except cv2.error as error:
        raise OutputError(
            f"a picture of {pixels.shape} cannot be written as {suffix}: {error.err}"
        ) from error
    if not done:
        raise OutputError(f"a picture of {pixels.shape} cannot be written as {suffix}")
    return data.tobytes()


def jpeg(pixels: Pixels, quality: int, *, full_chroma: bool | None = None) -> bytes:
    """A JPEG file.

    Args:
        pixels: RGB.
        quality: 1 to 100, on the scale of libjpeg.
        full_chroma: Keep the chroma at full size (4:4:4) or at half of it (4:2:0); ``None`` leaves
            it to the encoder, which halves it.

    Raises:
        OutputError: The picture is too large for JPEG.
    """
    flags = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    if full_chroma is not None:
        flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _FULL if full_chroma else _HALF]
    return encode(pixels, ".jpg", flags)


def png(pixels: Pixels, compression: int | None = None) -> bytes:
    """A PNG file; ``compression`` is zlib's 0 to 9, ``None`` the encoder's own, quick one."""
    return encode(
        pixels, ".png", () if compression is None else (cv2.IMWRITE_PNG_COMPRESSION, compression)
    )


def through_jpeg(pixels: Pixels, quality: int) -> Pixels:
    """A picture as it looks after JPEG."""
    return _decoded(jpeg(pixels, quality))


def through_webp(pixels: Pixels, quality: int) -> Pixels:
    """A picture as it looks after WebP."""
    return _decoded(encode(pixels, ".webp", (cv2.IMWRITE_WEBP_QUALITY, int(quality))))


def _decoded(data: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)
