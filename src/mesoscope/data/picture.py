"""The one door to a sample's picture, be it a file of its own or part of a shard."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mesoscope.errors import DatasetError
from mesoscope.media.image import open_image, read_bytes
from mesoscope.types import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from mesoscope.data.sample import Sample
    from mesoscope.types import Pixels


def open_sample(sample: Sample, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Pixels:
    """A sample's picture, ``(H, W, 3) uint8`` RGB, upright.

    Raises:
        SourceError: It cannot be read, see :func:`mesoscope.media.image.open_image`.
    """
    return open_image(sample.picture, max_pixels=max_pixels).pixels


def sample_bytes(sample: Sample, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> bytes:
    """A sample's file, whole and unread.

    Raises:
        SourceError: It cannot be read, or its first bytes are no picture's.
    """
    picture = sample.picture
    return picture if isinstance(picture, bytes) else read_bytes(picture, max_pixels=max_pixels)


def checked_sha256(sample: Sample, data: bytes) -> str:
    """The SHA-256 of a sample's bytes, in hexadecimal.

    Raises:
        DatasetError: The manifest says another.
    """
    found = hashlib.sha256(data).hexdigest()
    if sample.sha256 and sample.sha256.lower() != found:
        raise DatasetError(
            f"{sample.file}: is not the file that the manifest means, its SHA-256 begins "
            f"{found[:8]} and not {sample.sha256[:8]}: fetch it again, or renew the manifest"
        )
    return found
