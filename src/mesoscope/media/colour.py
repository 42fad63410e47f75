"""Conversion of pictures with an ICC profile to sRGB."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.media.chunks import jpeg_segments

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageCms import ImageCmsTransform

    from mesoscope.types import Pixels

STRIP_PIXELS = 1 << 21  # pixels converted at a time, to avoid a copy of the picture
_SRGB = (b"sRGB", "sRGB".encode("utf-16-be"))
_PROFILE_BYTES = 4 << 20  # maximum size of a profile; those of printers have half a megabyte
_MODES = ("RGB", "L", "CMYK")


def jpeg_profile(data: bytes, scan_at: int) -> bytes | None:
    """Read the ICC profile of a JPEG (ICC.1:2022, annex B.4); ``None`` if it has none.

    Args:
        data: Bytes of the file.
        scan_at: Offset of the first scan.
    """
    if data.find(b"ICC_PROFILE\0", 0, scan_at) < 0:
        return None
    parts: dict[int, bytes] = {}
    for marker, at, length in jpeg_segments(data):
        if marker == 0xE2 and data[at + 4 : at + 16] == b"ICC_PROFILE\0" and length > 16:
            parts.setdefault(data[at + 16], data[at + 18 : at + 2 + length])
    return b"".join(parts[number] for number in sorted(parts)) or None


def is_srgb(profile: bytes | None) -> bool:
    """Whether no conversion is needed: there is no profile, or its name is sRGB."""
    return not profile or len(profile) > _PROFILE_BYTES or any(n in profile for n in _SRGB)


def to_srgb(image: Image, profile: bytes) -> Image:
    """Convert a picture to sRGB; unchanged if its profile is damaged or does not fit its mode."""
    transform = _transform(profile, image.mode)
    if transform is None and image.mode == "L":  # a grey picture with a profile for RGB
        image, transform = image.convert("RGB"), _transform(profile, "RGB")
    if transform is None:
        return image
    from PIL import ImageCms

    try:
        return ImageCms.applyTransform(image, transform) or image
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image


def pixels_to_srgb(pixels: Pixels, profile: bytes, *, grey: bool = False) -> Pixels:
    """Convert pixels to sRGB in place, in strips; return them.

    Args:
        pixels: ``(H, W, 3) uint8``.
        profile: The ICC profile.
        grey: Whether the picture was grey, so that its profile may have one channel.
    """
    from PIL import Image

    if _transform(profile, "RGB") is None and not (grey and _transform(profile, "L")):
        return pixels
    rows = max(1, STRIP_PIXELS // max(1, pixels.shape[1]))
    for top in range(0, len(pixels), rows):
        strip = pixels[top : top + rows]
        image = Image.fromarray(np.ascontiguousarray(strip[:, :, 0]) if grey else strip)
        strip[:] = np.asarray(to_srgb(image, profile))
    return pixels


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCmsTransform | None:
    """Build the transform to sRGB; cached, as thousands of pictures share a few profiles."""
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
        return None  # a damaged profile, or one of another mode
