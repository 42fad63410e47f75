"""HEIC and HEIF pictures, by libheif (the package pi-heif, which has only decoders)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mesoscope.errors import MesoscopeError, SourceError
from mesoscope.errors.failures import out_of_memory
from mesoscope.media.budget import decoding
from mesoscope.media.pixels import check_size, rgb

if TYPE_CHECKING:
    from mesoscope.types import Pixels

_BYTES_A_PIXEL = 12  # libheif's planes, Pillow's copy, and the RGB output


def decode_heif(data: bytes, name: str, max_pixels: int) -> Pixels:
    """Decode the primary picture of an HEIF file (ISO/IEC 23008-12).

    Tiles are assembled, and the picture is rotated by the file's transformative properties, which
    take precedence over EXIF. Thumbnails, depth maps, gain maps and further pictures are ignored.
    10 and 12 bits are converted to 8.

    Args:
        data: Bytes of the file.
        name: Name in messages.
        max_pixels: Maximum number of pixels.

    Returns:
        ``(H, W, 3) uint8`` sRGB.

    Raises:
        SourceTooLarge: The picture has more pixels than ``max_pixels``; nothing was decoded.
        SourceError: The file is damaged or truncated, or its codec is not supported.
    """
    import pi_heif  # loads its libraries only for such files

    try:
        picture = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        _check_primary(picture.info, name)
        width, height = picture.size
        check_size(width, height, name, max_pixels)
        with decoding.taken(width * height * _BYTES_A_PIXEL):
            return rgb(picture.to_pillow())
    except (MesoscopeError, MemoryError):
        raise
    except Exception as error:
        message = str(error).lower()
        # libheif also reports invalid headers as memory errors.
        invalid = "limit" in message or "invalid" in message
        if out_of_memory(error) or ("memory allocation error" in message and not invalid):
            raise MemoryError(str(error)) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(
            f"{name}: an HEIF picture that cannot be decoded: {reason}: fetch it again, or convert "
            "it to JPEG"
        ) from error


def _check_primary(info: dict[str, object], name: str) -> None:
    # If the primary picture is damaged, libheif returns a tile or a thumbnail instead.
    if not info.get("primary"):
        raise SourceError(f"{name}: its primary picture is damaged: fetch it again")
