"""Pictures: any file, bytes, PIL image or array in, RGB ``uint8`` out."""

from __future__ import annotations

import os
import stat
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Union

import cv2
import numpy as np

from mesoscope.errors import (
    OptionError,
    SourceError,
    SourceMissing,
    SourceTooLarge,
    SourceUnsupported,
)
from mesoscope.media.kinds import SNIFF_BYTES, jpeg_frame, png_frame, sniff
from mesoscope.types import DEFAULT_MAX_PIXELS, Frame, Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

# What can be asked about: a path, a file's bytes, a PIL image, an RGB or grey array.
Source = Union[str, "os.PathLike[str]", bytes, "Image", "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"]  # fmt: skip  # noqa: E501, UP007

_PILLOW_LIMIT = threading.Lock()
_RGBA = 4


def source_name(source: Source) -> str:
    """How a source is called in a verdict: its path, or what it is."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, bytes):
        return "<bytes>"
    return "<array>" if isinstance(source, np.ndarray) else "<image>"


def open_image(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Frame:
    """Read a picture whole, turned upright by its EXIF orientation.

    Transparent pixels show white, 16 bits become 8 by their high byte, CMYK and palettes become
    RGB, an animation gives its first picture.

    Args:
        source: A path, a file's bytes, a PIL image, or an ``(H, W, 3)`` or ``(H, W)`` array of
            ``uint8`` RGB or grey.
        max_pixels: Refuse pictures with more.

    Returns:
        The frame, ``(H, W, 3) uint8`` RGB.

    Raises:
        SourceMissing: Nothing lies at the path.
        SourceTooLarge: More pixels than ``max_pixels``; nothing was decoded.
        SourceUnsupported: A clip, or a kind of picture that is not read.
        SourceError: Empty, truncated, damaged, not a picture, or not to be opened.
        OptionError: An array of another shape or type.
    """
    name = source_name(source)
    if isinstance(source, np.ndarray):
        return Frame(_from_array(source, name, max_pixels), name)
    if isinstance(source, bytes):
        return Frame(decode(source, name, max_pixels=max_pixels), name)
    if isinstance(source, str | os.PathLike):
        return Frame(decode(read_bytes(source), name, max_pixels=max_pixels), name)
    if hasattr(source, "convert") and hasattr(source, "size"):
        _check_size(*source.size, name, max_pixels)
        return Frame(_upright_rgb(source, name), name)
    raise OptionError(
        f"cannot read a {type(source).__name__}: give a path, bytes, a PIL image or an array"
    )


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a regular file whole.

    Raises:
        SourceMissing: Nothing lies there, or a link points nowhere.
        SourceError: A folder, a pipe, a device, or a file that may not be opened.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:  # noqa: PTH123 - opener
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError(f"{name}: not a regular file: give a picture file")
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "a link that points nowhere" if Path(name).is_symlink() else "no such file"
        raise SourceMissing(f"{name}: {what}: check the path") from error
    except IsADirectoryError as error:
        raise SourceError(f"{name}: a folder: use scan for folders") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise SourceError(f"{name}: cannot be opened: {why}") from error


def _open_without_waiting(path: str, flags: int) -> int:
    # A named pipe would block here until somebody writes into it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def decode(data: bytes, name: str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Pixels:
    """Decode a file's bytes to ``(H, W, 3) uint8`` RGB; see :func:`open_image`."""
    if not data:
        raise SourceError(f"{name}: the file is empty: fetch it again")
    kind = sniff(data[:SNIFF_BYTES])
    if kind is None:
        raise SourceError(f"{name}: not a picture, whatever its name says")
    if kind in ("video", "heif"):
        what = "a clip" if kind == "video" else "an HEIF picture"
        raise SourceUnsupported(f"{name}: {what}, which is not read: convert it to JPEG or PNG")
    if kind == "jpeg" and (frame := jpeg_frame(data)) is not None:
        width, height, components, scan_at = frame
        _check_size(width, height, name, max_pixels)
        # libjpeg paints what is missing grey and says nothing, so the end marker is asked for.
        if not data.endswith(b"\xff\xd9") and data.rfind(b"\xff\xd9") < scan_at:
            raise SourceError(f"{name}: the JPEG is truncated: fetch it again")
        if components != _RGBA:
            return _decode_opencv(data, name)
    if kind == "png" and (header := png_frame(data)) is not None:
        width, height, depth, _ = header
        _check_size(width, height, name, max_pixels)
        if depth == 16:  # noqa: PLR2004 - Pillow clips 16-bit grey instead of scaling it
            return _decode_opencv(data, name)
    return _decode_pillow(data, name, max_pixels)


def _decode_opencv(data: bytes, name: str) -> Pixels:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise SourceError(f"{name}: cannot be decoded: {error.err or error}") from error
    if pixels is None:
        raise SourceError(f"{name}: damaged, it cannot be decoded: fetch it again")
    return np.asarray(pixels, np.uint8)


def _decode_pillow(data: bytes, name: str, max_pixels: int) -> Pixels:
    import io  # noqa: PLC0415 - Pillow is loaded only for the rarer kinds

    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415

    try:
        with _PILLOW_LIMIT, warnings.catch_warnings():
            # Pillow's own limit is a module global and lower than ours; ours is checked below.
            warnings.simplefilter("ignore")
            before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(io.BytesIO(data))
            finally:
                Image.MAX_IMAGE_PIXELS = before
        with image:
            _check_size(*image.size, name, max_pixels)
            if image.mode in ("I;16", "I;16L", "I;16B", "I"):
                return _decode_opencv(data, name)
            return _upright_rgb(image, name)
    except UnidentifiedImageError as error:
        raise SourceError(f"{name}: damaged, its header cannot be read: fetch it again") from error
    except (OSError, ValueError, SyntaxError, IndexError, EOFError) as error:
        raise SourceError(f"{name}: damaged or truncated: {error}") from error


def _upright_rgb(image: Image, name: str) -> Pixels:
    from PIL import Image as Pillow  # noqa: PLC0415
    from PIL import ImageOps  # noqa: PLC0415

    try:
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            over = upright.convert("RGBA")
            white = Pillow.new("RGBA", over.size, (255, 255, 255, 255))
            upright = Pillow.alpha_composite(white, over)
        return np.array(upright.convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise SourceError(f"{name}: damaged or truncated: {error}") from error


def _from_array(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], name: str, limit: int) -> Pixels:  # fmt: skip  # noqa: E501
    grey = array.ndim == 2  # noqa: PLR2004
    if array.dtype != np.uint8 or not (grey or (array.ndim == 3 and array.shape[2] == 3)):  # noqa: PLR2004
        raise OptionError(
            f"{name}: an array must be (H, W, 3) or (H, W) uint8 RGB, this one is "
            f"{array.shape} {array.dtype}"
        )
    if array.size == 0:
        raise SourceError(f"{name}: the array is empty")
    _check_size(array.shape[1], array.shape[0], name, limit)
    return np.repeat(array[:, :, None], 3, axis=2) if grey else array


def _check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise SourceTooLarge(
            f"{name}: {width}×{height} is {width * height / 1e6:.0f} megapixels, and the limit is "
            f"{max_pixels / 1e6:.0f}: raise it with --max-pixels if you trust the file"
        )
    if width < 1 or height < 1:
        raise SourceError(f"{name}: its header says {width}×{height} pixels: it is damaged")
