"""Colours as the network knows them: pictures with a profile of their own are turned to sRGB."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.media.chunks import jpeg_segments

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsTransform

    from mesoscope.types import Pixels

STRIP_PIXELS = 1 << 21  # turned at a time, so that no second picture stands beside the first
_SRGB = (b"sRGB", "sRGB".encode("utf-16-be"))
_PROFILE_BYTES = 4 << 20  # of a profile; those of printers have half a megabyte
_MODES = ("RGB", "L", "CMYK")


def jpeg_profile(data: bytes, scan_at: int) -> bytes | None:
    """Read the ICC profile of a JPEG (ICC.1:2022, annex B.4); ``None`` where it has none.

    Args:
        data: The whole file.
        scan_at: Where its first scan begins.
    """
    if data.find(b"ICC_PROFILE\0", 0, scan_at) < 0:
        return None
    parts: dict[int, bytes] = {}
    for marker, at, length in jpeg_segments(data):
        if marker == 0xE2 and data[at + 4 : at + 16] == b"ICC_PROFILE\0" and length > 16:
            parts.setdefault(data[at + 16], data[at + 18 : at + 2 + length])
    return b"".join(parts[number] for number in sorted(parts)) or None


def is_srgb(profile: bytes | None) -> bool:
    """Whether colours need no turning: no profile, or one that is named sRGB."""
    return not profile or len(profile) > _PROFILE_BYTES or any(n in profile for n in _SRGB)


def turned(image: Image, profile: bytes) -> Image:
    """A picture in sRGB; as it is where its profile is damaged or of another kind of picture."""
    turn = _turn(profile, image.mode)
    if turn is None and image.mode == "L":  # of grey with a profile for colours
        image, turn = image.convert("RGB"), _turn(profile, "RGB")
    if turn is None:
        return image
    from PIL import ImageCms

    try:
        return ImageCms.applyTransform(image, turn) or image
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image


def turn_pixels(pixels: Pixels, profile: bytes, *, grey: bool = False) -> Pixels:
    """Turn ``(H, W, 3) uint8`` to sRGB in place, strip by strip; gives it back.

    Args:
        pixels: Those of a picture.
        profile: Its ICC profile.
        grey: The picture was grey: its profile may be one of a single channel.
    """
    from PIL import Image

    if _turn(profile, "RGB") is None and not (grey and _turn(profile, "L")):
        return pixels
    rows = max(1, STRIP_PIXELS // max(1, pixels.shape[1]))
    for top in range(0, len(pixels), rows):
        given = pixels[top : top + rows]
        strip = turned(
            Image.fromarray(np.ascontiguousarray(given[:, :, 0]) if grey else given), profile
        )
        given[:] = np.asarray(strip)
    return pixels


@lru_cache(maxsize=16)
def _turn(profile: bytes, mode: str) -> ImageCmsTransform | None:
    """From a profile to sRGB; telephones and cameras have a few, in thousands of pictures."""
    import io

    from PIL import ImageCms

    if mode not in _MODES:
        return None
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # damaged, or of another kind of picture: colours are taken as they are
