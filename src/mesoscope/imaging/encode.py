"""Encoding of pictures: bytes of files, and lossy compression as a degradation.

Input files are decoded by :mod:`mesoscope.media`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from mesoscope.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av import VideoCodecContext

    from mesoscope.types import Pixels

__all__ = ["encode", "jpeg", "png", "through_jpeg", "through_video", "through_webp"]

_FULL = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
_HALF = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
_LEAST_PX = 32  # of a clip
_CODECS = {"h264": ("libx264", {}), "hevc": ("libx265", {"x265-params": "log-level=none"})}


def encode(pixels: Pixels, suffix: str, flags: Sequence[int] = ()) -> bytes:
    """Encode a picture as a file without metadata.

    Args:
        pixels: ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4) uint8``: grey, RGB or RGBA.
        suffix: Suffix of the format, such as ``.png``.
        flags: OpenCV's parameters, such as ``(cv2.IMWRITE_WEBP_QUALITY, 90)``.

    Raises:
        OutputError: The format does not support such a picture, for example because of its size.
    """
    bgr = pixels
    if pixels.ndim == 3:
        code = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        bgr = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), code), np.uint8)
    try:
        done, data = cv2.imencode(suffix, bgr, list(flags))
    except cv2.error as error:
        raise OutputError(
            f"a picture of {pixels.shape} cannot be written as {suffix}: {error.err}"
        ) from error
    if not done:
        raise OutputError(f"a picture of {pixels.shape} cannot be written as {suffix}")
    return data.tobytes()


def jpeg(pixels: Pixels, quality: int, *, full_chroma: bool | None = None) -> bytes:
    """Encode a picture as JPEG.

    Args:
        pixels: ``(H, W, 3) uint8`` RGB.
        quality: 1 to 100, on the scale of libjpeg.
        full_chroma: Chroma subsampling: ``True`` for 4:4:4, ``False`` for 4:2:0, ``None`` for the
            encoder's default, 4:2:0.

    Raises:
        OutputError: The picture is too large for JPEG.
    """
    flags = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    if full_chroma is not None:
        flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _FULL if full_chroma else _HALF]
    return encode(pixels, ".jpg", flags)


def png(pixels: Pixels, compression: int | None = None) -> bytes:
    """Encode a picture as PNG; ``compression`` is zlib's level, ``None`` the encoder's default."""
    return encode(
        pixels, ".png", () if compression is None else (cv2.IMWRITE_PNG_COMPRESSION, compression)
    )


def through_jpeg(pixels: Pixels, quality: int, *, full_chroma: bool | None = None) -> Pixels:
    """Compress a picture by JPEG and decode it; see :func:`jpeg`."""
    return _decoded(jpeg(pixels, quality, full_chroma=full_chroma))


def through_webp(pixels: Pixels, quality: int) -> Pixels:
    """Compress a picture by WebP and decode it."""
    return _decoded(encode(pixels, ".webp", (cv2.IMWRITE_WEBP_QUALITY, int(quality))))


def through_video(x: Pixels, codec: str, *, crf: int) -> Pixels:
    """Encode a picture as a frame of a clip and decode it again.

    Args:
        x: ``(H, W, 3) uint8`` RGB.
        codec: ``h264`` or ``hevc``.
        crf: Constant rate factor of x264 or x265; 18 is nearly without loss, 35 is coarse.
    """
    import av  # here, as few callers re-encode

    name, options = _CODECS[codec]
    encoder = cast("VideoCodecContext", av.CodecContext.create(name, "w"))
    height, width = x.shape[:2]
    # Chroma at half the resolution needs even sides, and x265 a few pixels at least.
    down, right = (max(side + side % 2, _LEAST_PX) - side for side in (height, width))
    even = np.pad(x, ((0, down), (0, right), (0, 0)), "edge")
    encoder.height, encoder.width = even.shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {
        "crf": str(crf),
        "preset": "ultrafast",
        "tune": "zerolatency",
        "threads": "1",
        **options,
    }
    frame = av.VideoFrame.from_ndarray(even, format="rgb24")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    decoder = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    decoder.thread_count = 1
    frames = [f for packet in (*packets, None) for f in decoder.decode(packet)]
    decoded = np.asarray(frames[0].to_ndarray(format="rgb24"), np.uint8)
    return np.ascontiguousarray(decoded[:height, :width])


def _decoded(data: bytes) -> Pixels:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)
