"""One door for media in: a picture or a clip by its content, not by its suffix."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mesoscope.media.animation import pictures_stand
from mesoscope.media.image import Source, decode, open_file, open_image, read_on, source_name
from mesoscope.media.kinds import SNIFF_BYTES, sniff
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
    """Open whatever a source is.

    Videos are clips, and so are GIF, PNG and WebP files with more than one picture.

    Args:
        source: A path, a file's bytes, a PIL image, or an RGB or grey ``uint8`` array.
        frames: Of a clip, so many, spread evenly.
        every_s: Of a clip, one every so many seconds in place of ``frames``.
        max_pixels: Refuse pictures with more.
        threads: Of a clip's decoder; 0 = one a core.

    Returns:
        A decoded picture, or an open clip, which the caller closes.

    Raises:
        SourceError: It cannot be read, see :func:`~mesoscope.media.image.open_image` and
            :func:`~mesoscope.media.video.open_clip`.
        OptionError: An array of another shape or type.
    """
    if not isinstance(source, str | os.PathLike | bytes):
        return open_image(source, max_pixels=max_pixels)
    data, kind = _read(source, max_pixels)
    if kind == "video" or (kind is not None and len(pictures_stand(data, kind)) > 1):
        return open_clip(
            source, frames=frames, every_s=every_s, max_pixels=max_pixels, threads=threads
        )
    name = source_name(source)
    return Frame(decode(data, name, max_pixels=max_pixels), name)


def _read(source: str | os.PathLike[str] | bytes, max_pixels: int) -> tuple[bytes, Kind | None]:
    """A picture's bytes; of whatever is none, the first."""
    if isinstance(source, bytes):
        return source, sniff(source[:SNIFF_BYTES])
    with open_file(source) as file:
        head = file.read(SNIFF_BYTES) or b""
        kind = sniff(head)
        if kind in (None, "video", "raw", "other"):
            return head, kind
        return head + read_on(file, source_name(source), max_pixels), kind
