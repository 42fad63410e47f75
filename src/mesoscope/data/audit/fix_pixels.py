"""Write a picture of a cleaned set: without metadata, or re-encoded."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.errors import OutputError, SourceError
from mesoscope.imaging.encode import jpeg, png
from mesoscope.imaging.filters import resize
from mesoscope.media.chunks import jpeg_frame, jpeg_without_metadata
from mesoscope.media.image import decode
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.media.pixels import quiet_pillow

if TYPE_CHECKING:
    from mesoscope.types import Pixels

LOSSLESS = 101  # quality of lossless pictures; 100 is JPEG's best and lossy
_ORIENTATION = 0x0112
_END = b"\xff\xd9"
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # PNG chunks that hold pixels
_ALIKE = 0.01  # tolerance of equal aspect ratios


@dataclass(frozen=True, slots=True)
class Degradation:
    """Degradation of a picture before its last encoding.

    Attributes:
        side_px: Its short side after downscaling.
        quality: Quality of a JPEG encoding at that size; :data:`LOSSLESS` skips it.
        half_chroma: Whether that encoding subsamples chroma (4:2:0).
    """

    side_px: int
    quality: int
    half_chroma: bool

    def with_other(self, other: Degradation) -> Degradation:
        """Return the worse of two in each respect."""
        return Degradation(
            min(self.side_px, other.side_px),
            min(self.quality, other.quality),
            self.half_chroma or other.half_chroma,
        )


@dataclass(frozen=True, slots=True)
class FinalEncoding:
    """Common shape and encoding of a pool of pictures.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        quality: JPEG quality; :data:`LOSSLESS` writes PNG.
    """

    width: int
    height: int
    quality: int

    @property
    def suffix(self) -> str:
        """Suffix of the files."""
        return ".png" if self.quality == LOSSLESS else ".jpg"


def reencode(
    data: bytes, name: str, history: Degradation, final: FinalEncoding, max_pixels: int
) -> bytes:
    """Decode a picture, degrade it, and encode it in its final form.

    The picture is turned upright, converted to sRGB and centre-cropped to the shape. It is degraded
    like the worse of two pictures, one of each class, and then scaled and encoded.

    Raises:
        SourceError: The picture is not decodable.
    """
    pixels = upright_srgb(data, name, max_pixels)
    pixels = crop_to_aspect(pixels, final.width / final.height)
    short = min(pixels.shape[:2])
    if history.side_px < short:
        scale = history.side_px / short
        size = [max(1, round(side * scale)) for side in pixels.shape[:2]]
        pixels = _shrunk(pixels, size[1], size[0])
    if history.quality < LOSSLESS:
        once = _jpeg(pixels, history.quality, half_chroma=history.half_chroma)
        pixels = decode(once, name, max_pixels=max_pixels)
    pixels = _shrunk(pixels, final.width, final.height)
    if final.quality == LOSSLESS:
        return _png(pixels)
    return _jpeg(pixels, final.quality, half_chroma=True)


def strip_metadata(data: bytes, name: str, max_pixels: int) -> tuple[bytes, str]:
    """Remove the metadata of a picture; keep its pixels where possible.

    A JPEG or PNG loses only its metadata. A picture with an orientation or a colour profile, and
    any other format, becomes a PNG of its pixels, upright and in sRGB.

    Returns:
        The bytes of the file and its suffix.

    Raises:
        SourceError: The picture is not decodable.
    """
    kind = sniff(data[:SNIFF_BYTES])
    if kind in ("jpeg", "png") and _is_plain(data, name):
        return (_bare_jpeg(data), ".jpg") if kind == "jpeg" else (_bare_png(data), ".png")
    return _png(upright_srgb(data, name, max_pixels)), ".png"


def upright_srgb(data: bytes, name: str, max_pixels: int) -> Pixels:
    """Decode a picture upright, and convert it from its profile to sRGB.

    Profiles that are not usable, such as those of inks, are ignored, as viewers do.

    Raises:
        SourceError: The picture is not decodable.
    """
    pixels = decode(data, name, max_pixels=max_pixels)
    if b"ICC_PROFILE" not in data and b"iCCP" not in data and b"ICCP" not in data:
        return pixels
    from PIL import Image, ImageCms

    profile = _opened(data, name)[1]
    if not profile:
        return pixels
    try:
        there = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if there.profile.xcolor_space.strip() != "RGB":
            return pixels
        turned = ImageCms.profileToProfile(
            Image.fromarray(pixels), there, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return pixels
    return pixels if turned is None else np.asarray(turned, np.uint8)


def crop_to_aspect(pixels: Pixels, aspect: float) -> Pixels:
    """Centre-crop to an aspect ratio (width over height)."""
    height, width = pixels.shape[:2]
    if abs(width / height / aspect - 1) <= _ALIKE:
        return pixels
    wide = min(width, max(1, round(height * aspect)))
    high = min(height, max(1, round(width / aspect)))
    left, top = (width - wide) // 2, (height - high) // 2
    return pixels[top : top + high, left : left + wide]


def _is_plain(data: bytes, name: str) -> bool:
    """Whether the stored pixels are shown as they are."""
    orientation, profile = _opened(data, name)
    if orientation != 1 or profile:
        return False
    frame = jpeg_frame(data) if data[:2] == b"\xff\xd8" else None
    return frame is None or frame[2] in (1, 3)  # no CMYK


def _opened(data: bytes, name: str) -> tuple[int, bytes]:
    """Return orientation and colour profile without decoding."""
    from PIL import Image

    try:
        with quiet_pillow(), Image.open(io.BytesIO(data)) as image:
            orientation = int(image.getexif().get(_ORIENTATION, 1))
            profile = image.info.get("icc_profile") or b""
    except Exception as error:  # damaged files make Pillow raise a dozen types
        raise SourceError(f"{name}: damaged or truncated: {error}: fetch it again") from error
    return (orientation if 1 <= orientation <= 8 else 1), bytes(profile)


def _bare_jpeg(data: bytes) -> bytes:
    bare = jpeg_without_metadata(data)
    end = bare.rfind(_END)
    return bare if end < 0 else bare[: end + len(_END)]


def _bare_png(data: bytes) -> bytes:
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind in _PNG_KEPT:
            kept.append(data[at : at + 12 + length])
        at += 12 + length
        if kind == b"IEND":
            break
    return b"".join(kept)


def _shrunk(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return resize(pixels, width, height, cv2.INTER_AREA)


def _jpeg(pixels: Pixels, quality: int, *, half_chroma: bool) -> bytes:
    try:
        return jpeg(pixels, quality, full_chroma=not half_chroma)
    except OutputError as error:  # too wide or too high: an error of this source
        raise SourceError(str(error)) from error


def _png(pixels: Pixels) -> bytes:
    return png(pixels, 3)
