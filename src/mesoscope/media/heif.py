"""HEIC and HEIF pictures of telephones, by libheif (the package pi-heif, decoders alone)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mesoscope.errors import MesoscopeError, SourceError
from mesoscope.errors.failures import out_of_memory
from mesoscope.media.budget import decoding
from mesoscope.media.pixels import check_size, rgb

if TYPE_CHECKING:
    from mesoscope.types import Pixels

_BYTES_A_PIXEL = 12  # libheif's planes, Pillow's copy, and the RGB that comes out


def decode_heif(data: bytes, name: str, max_pixels: int) -> Pixels:
    """Decode the primary picture of an HEIF file (ISO/IEC 23008-12).

    Its tiles are put together and it is turned as the file's own properties say; what its EXIF says
    of that is for programs that do not know these. Thumbnails, depth maps, gain maps and further
    pictures are left aside. Ten and twelve bits become eight.

    Args:
        data: The whole file.
        name: As shown to the user.
        max_pixels: Refuse pictures with more.

    Returns:
        ``(H, W, 3) uint8`` sRGB.

    Raises:
        SourceTooLarge: More pixels than ``max_pixels``; nothing was decoded.
        SourceError: Damaged, truncated, or of a codec that is not read.
    """
    import pi_heif  # with its libraries, only for such files

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
        said = str(error).lower()
        # libheif also calls it an error of memory where a header asks for too much, or nothing.
        odd = "limit" in said or "invalid" in said
        if out_of_memory(error) or ("memory allocation error" in said and not odd):
            raise MemoryError(str(error)) from error
        why = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(
            f"{name}: an HEIF picture that cannot be decoded: {why}: fetch it again, or convert "
            "it to JPEG"
        ) from error


def _check_primary(info: dict[str, object], name: str) -> None:
    # Where the primary picture is broken, libheif lists a tile or a thumbnail in its place.
    if not info.get("primary"):
        raise SourceError(f"{name}: its primary picture is damaged: fetch it again")
