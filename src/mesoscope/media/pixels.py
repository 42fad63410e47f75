"""Conversion of Pillow's images: upright, to sRGB, on white, in strips to save memory."""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import SourceError, SourceTooLarge, SourceUnsupported
from mesoscope.media.budget import JPEG_PIXELS
from mesoscope.media.chunks import jpeg_scans
from mesoscope.media.colour import STRIP_PIXELS, is_srgb, to_srgb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from PIL.Image import Image

    from mesoscope.types import Pixels

RAISE_LIMIT = "raise it with `max_pixels` if you trust the file"
_LEAST_SCANNED = 1 << 16  # pixels that a scan of a small picture costs at least
_PILLOW_SETTINGS = threading.Lock()
_ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4
_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x),
}


@contextlib.contextmanager
def quiet_pillow(max_pixels: int | None = None) -> Iterator[None]:
    """Suppress Pillow's warnings and set its pixel limit for a block.

    Both are settings of the process, so a lock serialises the blocks; decoding is outside of them
    and runs in parallel.

    Args:
        max_pixels: Pillow's limit; it raises at twice this. ``None`` for no limit.
    """
    from PIL import Image

    with _PILLOW_SETTINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = max_pixels
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def upright_rgb(image: Image, name: str) -> Pixels:
    """Load a PIL image, compose it on white, and rotate it by its EXIF orientation.

    Args:
        image: An open image, not necessarily loaded.
        name: Name in messages.

    Returns:
        ``(H, W, 3) uint8`` sRGB.

    Raises:
        SourceUnsupported: The range of the pixels is unknown.
    """
    image.load()
    if image.mode in ("I", "F", "LAB"):
        raise SourceUnsupported(
            f"{name}: pixels of mode {image.mode}, whose range is not told: convert it to 8 bits"
        )
    with quiet_pillow():
        orientation = image.getexif().get(_ORIENTATION, 1)
    if image.mode.startswith("I;16"):
        return upright(_high_byte(image), orientation)
    return upright(rgb(image), orientation)


def rgb(image: Image) -> Pixels:
    """Convert a loaded PIL image to ``(H, W, 3) uint8`` sRGB on white, in strips.

    Strips save memory: a picture of 120 megapixels takes 840 MB instead of 3 GB.
    """
    from PIL import Image as Pillow

    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    profile = _profile(image)
    transparent = image.has_transparency_data
    grey = image.mode in ("1", "L", "LA")  # the profile may have a single channel
    rows = max(1, STRIP_PIXELS // max(1, width))
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        strip.info = image.info  # has the transparent colour of a palette
        if transparent:
            over = strip.convert("RGBA")
            white = Pillow.new("RGBA", over.size, (255, 255, 255, 255))
            strip = Pillow.alpha_composite(white, over).convert("L" if grey else "RGB")
        elif profile and strip.mode not in ("RGB", "L", "CMYK"):
            strip = strip.convert("L" if grey else "RGB")
        if profile:
            strip = to_srgb(strip, profile)
        pixels[top : top + strip.height] = np.asarray(strip.convert("RGB"))
    return pixels


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Rotate or mirror pixels by an EXIF orientation; other values than 2 to 8 are ignored."""
    turn = _TURNS.get(orientation)
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _high_byte(image: Image) -> Pixels:
    # Pillow's own conversion clips 16-bit grey at 255 instead of scaling it.
    from PIL import Image as Pillow

    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    profile, transparent = _profile(image), image.info.get("transparency")
    rows = max(1, STRIP_PIXELS // max(1, width))
    for top in range(0, height, rows):
        deep = np.asarray(image.crop((0, top, width, min(top + rows, height))))  # uint16
        strip = Pillow.fromarray((deep >> 8).astype(np.uint8))
        strip = (to_srgb(strip, profile) if profile else strip).convert("RGB")
        into = pixels[top : top + len(deep)]
        into[:] = np.asarray(strip)
        if isinstance(transparent, int):
            into[deep == transparent] = 255
    return pixels


def _profile(image: Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) and not is_srgb(profile) else None


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Check a picture's size before decoding.

    Raises:
        SourceTooLarge: There are more pixels than ``max_pixels``.
        SourceError: There is no pixel.
    """
    if width * height > max_pixels:
        raise SourceTooLarge(
            f"{name}: {width}×{height} is {width * height / 1e6:.0f} megapixels, and the limit is "
            f"{max_pixels / 1e6:.0f}: {RAISE_LIMIT}"
        )
    if width < 1 or height < 1:
        raise SourceError(f"{name}: its header says {width}×{height} pixels: it is damaged")


def check_scans(data: bytes, width: int, height: int, scan_at: int, name: str) -> None:
    """Check the number of a JPEG's scans before decoding: each may pass over all of its pixels.

    Args:
        data: Bytes of the file.
        width: Width in pixels.
        height: Height in pixels.
        scan_at: Offset of the first scan.
        name: Name in messages.

    Raises:
        SourceTooLarge: Scans times pixels exceed the budget.
    """
    most = JPEG_PIXELS // max(width * height, _LEAST_SCANNED)
    if jpeg_scans(data, scan_at, most) > most:
        raise SourceTooLarge(
            f"{name}: a JPEG of over {most:,} scans, which take too long to decode: save it again "
            "with a picture program"
        )
