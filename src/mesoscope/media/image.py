"""Decoding of pictures: a file, bytes, a PIL image or an array to RGB ``uint8``."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Union

import cv2
import numpy as np

from mesoscope.errors import (
    MesoscopeError,
    OptionError,
    SourceError,
    SourceMissing,
    SourceTooLarge,
    SourceUnsupported,
)
from mesoscope.errors.failures import cause, failure, out_of_memory
from mesoscope.media.budget import decoding
from mesoscope.media.chunks import (
    jpeg_frame,
    jpeg_held_bytes,
    jpeg_rare,
    png_without_text,
    webp_size,
)
from mesoscope.media.colour import is_srgb, jpeg_profile, pixels_to_srgb
from mesoscope.media.heif import decode_heif
from mesoscope.media.kinds import SNIFF_BYTES, refused_as, sniff
from mesoscope.media.part import FilePart
from mesoscope.media.pixels import RAISE_LIMIT, check_scans, check_size, quiet_pillow, upright_rgb
from mesoscope.media.ranged import RangedFile
from mesoscope.media.walk import open_without_waiting
from mesoscope.types import DEFAULT_MAX_PIXELS, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from mesoscope.media.kinds import Kind
    from mesoscope.types import Pixels

# A path, a file's bytes, part of a file, a clip by ranges, a PIL image, or an RGB or grey array.
Source = Union[str, "os.PathLike[str]", bytes, FilePart, RangedFile, "Image", "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"]  # fmt: skip  # noqa: E501

# Maximum size of a picture file: RGBA at 16 bits per channel, and metadata.
_BYTES_A_PIXEL, _BYTES_BESIDE = 8, 64 << 20
_REDUCED = (
    (8, cv2.IMREAD_REDUCED_COLOR_8),
    (4, cv2.IMREAD_REDUCED_COLOR_4),
    (2, cv2.IMREAD_REDUCED_COLOR_2),
)
_DNG_VERSION, _SUB_IFDS, _SUBFILE_TYPE, _PREVIEW = 50706, 330, 254, 1  # TIFF 6.0, DNG 1.6
_TEXT_BYTES, _CMYK = 16 << 10, 4  # the latter are colour components of a JPEG
_NOT_READ = {
    "video": "a clip, and a picture is wanted here: take pictures out of it",
    "raw": "a camera's raw file, which holds no finished picture: develop it to JPEG or TIFF first",
}
# Memory per pixel while decoding, in bytes: the decoder's and the RGB output.
_OPENCV_BYTES, _PILLOW_BYTES, _AVIF_BYTES, _WEBP_BYTES = 6, 8, 12, 16


class FileBytes(bytes):
    """The bytes of a file that was read already, with its path for verdicts."""

    path: str

    @classmethod
    def of(cls, path: str, data: bytes) -> FileBytes:
        """Return the bytes with a path."""
        file = cls(data)
        file.path = path
        return file


def source_name(source: Source) -> str:
    """Return a source's name in a verdict: its path, or its type."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, FileBytes):
        return source.path
    if isinstance(source, FilePart | RangedFile):
        return source.name
    if isinstance(source, bytes):
        return "<bytes>"
    return "<array>" if isinstance(source, np.ndarray) else "<image>"


def open_image(source: Source, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Frame:
    """Decode a picture, upright by its EXIF orientation.

    Transparency is composed on white, 16 bits are reduced to their high byte, CMYK and palettes are
    converted to RGB, and of an animation the first frame is decoded.

    Args:
        source: A path, a file's bytes, part of a file, a PIL image, or an ``(H, W, 3)`` or
            ``(H, W)`` array of ``uint8`` RGB or grey.
        max_pixels: Maximum number of pixels.

    Returns:
        The frame, ``(H, W, 3) uint8`` RGB.

    Raises:
        SourceMissing: The file does not exist.
        SourceTooLarge: The picture has more pixels than ``max_pixels``; nothing was decoded.
        SourceUnsupported: The file is a clip, or its format is not supported.
        SourceError: The file is empty, truncated, damaged or not a picture, or cannot be opened.
        OptionError: An array has another shape or type.
    """
    name = source_name(source)
    if isinstance(source, np.ndarray):
        return Frame(_from_array(source, name, max_pixels), name)
    if isinstance(source, str | os.PathLike | FilePart):
        source = read_bytes(source, max_pixels=max_pixels)
    if isinstance(source, bytes):
        return Frame(decode(source, name, max_pixels=max_pixels), name)
    if isinstance(source, RangedFile):
        raise SourceUnsupported(f"{name}: {_NOT_READ['video']}")
    if hasattr(source, "convert") and hasattr(source, "size"):
        check_size(*source.size, name, max_pixels)
        try:
            with decoding.taken(source.width * source.height * _PILLOW_BYTES):
                return Frame(upright_rgb(source, name), name)
        except MesoscopeError:
            raise
        except MemoryError as error:
            raise failure(name, error) from error
        except Exception as error:  # the image is decoded only now, see _decode_pillow
            raise _damaged(name, error) from error
    raise OptionError(
        f"cannot read a {type(source).__name__}: give a path, bytes, a PIL image or an array"
    )


def read_bytes(
    source: str | os.PathLike[str] | FilePart, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> bytes:
    """Read a picture file; of other files only the first bytes are read.

    Raises:
        SourceMissing: The file does not exist, or is a broken link.
        SourceTooLarge: The file has more bytes than a picture of ``max_pixels`` can have.
        SourceUnsupported: The file is a clip, or its format is not supported.
        SourceError: The path is a folder, a pipe or a device, or the file is not a picture or
            cannot be opened.
    """
    if isinstance(source, FilePart):
        return _read_part(source, max_pixels)
    name = os.fspath(source)
    with open_file(source) as file:
        head = file.read(SNIFF_BYTES) or b""
        _kind(head, name)  # refuses large clips by their first bytes
        return head + read_on(file, name, max_pixels)


def _read_part(part: FilePart, max_pixels: int) -> bytes:
    _check_bytes(part.size, part.name, max_pixels)
    with open_file(part.file) as file:
        file.seek(part.offset)
        data = file.read(part.size)
    if len(data) < part.size:
        raise SourceError(f"{part.name}: {part.file} ends within it: fetch that file again")
    _kind(data[:SNIFF_BYTES], part.name)
    return data


def read_on(file: BinaryIO, name: str, max_pixels: int) -> bytes:
    """Read the rest of an open picture or animation.

    Raises:
        SourceTooLarge: The file has more bytes than a picture of ``max_pixels`` can have.
    """
    size = os.fstat(file.fileno()).st_size
    _check_bytes(size, name, max_pixels)
    return file.read(size)  # Python allocates the given size, so it is not the upper limit


def _check_bytes(size: int, name: str, max_pixels: int) -> None:
    if size > _BYTES_A_PIXEL * max_pixels + _BYTES_BESIDE:
        raise SourceTooLarge(
            f"{name}: {size / 1e6:,.0f} megabytes are more than a picture of "
            f"{max_pixels / 1e6:.0f} megapixels can have: {RAISE_LIMIT}"
        )


@contextlib.contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a regular file for reading; errors of the block are also converted.

    Raises:
        SourceMissing: The file does not exist, or is a broken link.
        SourceError: The path is a folder, a pipe or a device, or the file cannot be opened or read.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError(f"{name}: not a regular file: give a picture or a clip")
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "a link that points nowhere" if Path(name).is_symlink() else "no such file"
        raise SourceMissing(f"{name}: {what}: check the path") from error
    except IsADirectoryError as error:
        raise SourceError(f"{name}: a folder: use scan for folders") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{name}: cannot be opened: {cause(error)}") from error


def decode(
    data: bytes, name: str, *, max_pixels: int = DEFAULT_MAX_PIXELS, least_px: int = 0
) -> Pixels:
    """Decode a file's bytes to ``(H, W, 3) uint8`` RGB; see :func:`open_image`.

    Args:
        data: Bytes of the file.
        name: Name in messages.
        max_pixels: Maximum number of pixels.
        least_px: If given, a large JPEG is decoded at 1/2, 1/4 or 1/8 of its size, which is much
            faster, so that its shorter side has at least this many pixels.

    Raises:
        SourceNoMemory: Memory ran out; the file may be intact.
        SourceError: As for :func:`open_image`.
    """
    try:
        return _decode(data, name, max_pixels, least_px)
    except MemoryError as error:
        raise failure(name, error) from error


def _decode(data: bytes, name: str, max_pixels: int, least_px: int) -> Pixels:
    kind, held_bytes = _kind(data[:SNIFF_BYTES], name), 0
    if kind == "jpeg" and (frame := jpeg_frame(data)) is not None:
        width, height, components, scan_at = frame
        check_size(width, height, name, max_pixels)
        # libjpeg fills missing data with grey silently, so the end marker is checked.
        if not data.endswith(b"\xff\xd9") and data.rfind(b"\xff\xd9") < scan_at:
            raise SourceError(f"{name}: the JPEG is truncated: fetch it again")
        if held_bytes := jpeg_held_bytes(data, components, scan_at):  # there are further scans
            check_scans(data, width, height, scan_at, name)
        if components != _CMYK:
            smaller = min(width, height) // least_px if least_px else 1
            with decoding.taken(width * height * (_OPENCV_BYTES + held_bytes)):
                pixels = _decode_opencv(data, name, smaller)
            profile = jpeg_profile(data, scan_at)
            return (
                pixels
                if profile is None or is_srgb(profile)
                else pixels_to_srgb(pixels, profile, grey=components == 1)
            )
    if kind == "webp" and (size := webp_size(data)) is not None:
        check_size(*size, name, max_pixels)
        with decoding.taken(size[0] * size[1] * _WEBP_BYTES):  # mostly allocated on opening
            return _decode_pillow(data, kind, name, max_pixels, 0)
    pixel_bytes = _AVIF_BYTES if kind == "avif" else _PILLOW_BYTES + held_bytes
    return _decode_pillow(data, kind, name, max_pixels, pixel_bytes)


def _kind(head: bytes, name: str) -> Kind:
    if not head:
        raise SourceError(f"{name}: the file is empty: fetch it again")
    kind = sniff(head)
    if kind is None or kind == "other":
        if (words := refused_as(head)) is not None:
            raise SourceUnsupported(f"{name}: {words}")
        raise SourceError(f"{name}: not a picture, whatever its name says")
    if kind in _NOT_READ:
        raise SourceUnsupported(f"{name}: {_NOT_READ[kind]}")
    return kind


def _decode_opencv(data: bytes, name: str, smaller: int) -> Pixels:
    # The decoder can skip high frequencies; the result is then BGR.
    reduced = next((flag for times, flag in _REDUCED if smaller >= times), None)
    how = cv2.IMREAD_COLOR_RGB if reduced is None else reduced
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error as error:
        if out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise SourceError(f"{name}: cannot be decoded: {error.err or error}") from error
    if pixels is None:
        if (coding := jpeg_rare(data)) is not None:
            raise SourceUnsupported(
                f"{name}: a JPEG {coding}, which is not read, or a damaged one: convert it to PNG"
            )
        raise SourceError(f"{name}: damaged, it cannot be decoded: fetch it again")
    return np.asarray(pixels if reduced is None else pixels[:, :, ::-1], np.uint8)


def _decode_pillow(data: bytes, kind: Kind, name: str, max_pixels: int, pixel_bytes: int) -> Pixels:
    import io  # with Pillow, only for rarer formats

    from PIL import Image, UnidentifiedImageError

    if kind == "heif":
        return decode_heif(data, name, max_pixels)
    if kind == "png" and len(data) > _TEXT_BYTES:  # Pillow refuses a PNG with much text
        data = png_without_text(data)
    try:
        # These two allocate memory on opening or loading, before their size is known.
        limit = max_pixels if kind in ("gif", "tiff") else None
        with quiet_pillow(limit):
            # Only one of Pillow's plugins is tried; no pixel is decoded yet.
            image = Image.open(io.BytesIO(data), formats=[kind])
            check_size(*image.size, name, max_pixels)
        with decoding.taken(image.width * image.height * pixel_bytes), contextlib.closing(image):
            if kind == "tiff":  # tags are read on loading, with warnings
                _refuse_raw(image, name)
                with quiet_pillow(limit):
                    image.load()
            return upright_rgb(image, name)
    except (MesoscopeError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise SourceTooLarge(
            f"{name}: more than {2 * max_pixels / 1e6:.0f} megapixels, and the limit is "
            f"{max_pixels / 1e6:.0f}: {RAISE_LIMIT}"
        ) from error
    except (UnidentifiedImageError, KeyError) as error:  # KeyError: a Pillow without this codec
        reason = "damaged, or of a variant that is not read: fetch it again or convert it"
        raise SourceError(f"{name}: {reason}") from error
    except Exception as error:  # Pillow raises a dozen classes for damaged files
        raise _damaged(name, error) from error


def _refuse_raw(image: Image, name: str) -> None:
    """Refuse a TIFF that is a camera's raw file, whose first picture is a preview."""
    tags = getattr(image, "tag_v2", {})
    if _DNG_VERSION in tags or (_SUB_IFDS in tags and tags.get(_SUBFILE_TYPE) == _PREVIEW):
        raise SourceUnsupported(f"{name}: {_NOT_READ['raw']}")


def _damaged(name: str, error: Exception) -> SourceError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return SourceError(f"{name}: damaged or truncated: {reason}: fetch it again")


def _from_array(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], name: str, limit: int) -> Pixels:  # fmt: skip  # noqa: E501
    grey = array.ndim == 2
    if array.dtype != np.uint8 or not (grey or (array.ndim == 3 and array.shape[2] == 3)):
        raise OptionError(
            f"{name}: an array must be (H, W, 3) or (H, W) uint8 RGB, this one is "
            f"{array.shape} {array.dtype}"
        )
    if array.size == 0:
        raise SourceError(f"{name}: the array is empty")
    check_size(array.shape[1], array.shape[0], name, limit)
    return np.repeat(array[:, :, None], 3, axis=2) if grey else array
