"""Opening of a source as a picture or a clip, by its content."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mesoscope.media.animation import frame_durations
from mesoscope.media.image import Source, decode, open_file, open_image, read_on, source_name
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.media.ranged import RangedFile
from mesoscope.media.video import Clip, open_clip
from mesoscope.types import DEFAULT_MAX_PIXELS, Frame

if TYPE_CHECKING:
    from mesoscope.media.kinds import Kind


def open_media(
    source: Source,
    *,
    frames: int = 32,
    every_s: float | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    threads: int = 1,
) -> Frame | Clip:
    """Decode a picture or open a clip.

    Videos are clips, and so are GIF, PNG and WebP files with more than one frame.

    Args:
        source: A path, a file's bytes, a PIL image, or an RGB or grey ``uint8`` array.
        frames: Number of evenly spaced frames of a clip.
        every_s: Interval of a clip's frames in seconds, instead of ``frames``.
        max_pixels: Maximum number of pixels per picture.
        threads: Number of a clip's decoder threads; 0 = one per core.

    Returns:
        A decoded picture, or an open clip, which the caller closes.

    Raises:
        SourceError: The source cannot be read, see :func:`~mesoscope.media.image.open_image` and
            :func:`~mesoscope.media.video.open_clip`.
        OptionError: An array has another shape or type.
    """
    if isinstance(source, RangedFile):
        return open_clip(
            source, frames=frames, every_s=every_s, max_pixels=max_pixels, threads=threads
        )
    if not isinstance(source, str | os.PathLike | bytes):
        return open_image(source, max_pixels=max_pixels)
    data, kind = _read(source, max_pixels)
    if kind == "video" or (kind is not None and len(frame_durations(data, kind)) > 1):
        return open_clip(
            source, frames=frames, every_s=every_s, max_pixels=max_pixels, threads=threads
        )
    name = source_name(source)
    return Frame(decode(data, name, max_pixels=max_pixels), name)


def _read(source: str | os.PathLike[str] | bytes, max_pixels: int) -> tuple[bytes, Kind | None]:
    """Return the bytes of a picture; of other files only the first bytes."""
    if isinstance(source, bytes):
        return source, sniff(source[:SNIFF_BYTES])
    with open_file(source) as file:
        head = file.read(SNIFF_BYTES) or b""
        kind = sniff(head)
        if kind in (None, "video", "raw", "other"):
            return head, kind
        return head + read_on(file, source_name(source), max_pixels), kind
