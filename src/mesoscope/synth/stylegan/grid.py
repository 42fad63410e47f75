"""Pictures side by side in one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import OptionError
from mesoscope.files.whole import write_whole
from mesoscope.imaging.encode import encode
from mesoscope.synth.files import GO_ON

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesoscope.types import Pixels

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_GROUND = 255


def grid(pictures: Sequence[Pixels], *, gap_px: int = 2) -> Pixels:
    """Lay pictures of one size out in rows, about as many as stand in a row.

    Args:
        pictures: ``(S, S, 3) uint8`` each.
        gap_px: White between them.

    Returns:
        ``(H, W, 3) uint8``.
    """
    size = len(pictures[0])
    across = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / across)
    step = size + gap_px
    sheet = np.full((rows * step - gap_px, across * step - gap_px, 3), _GROUND, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = (place * step for place in divmod(number, across))
        sheet[y : y + size, x : x + size] = picture
    return sheet


def write_picture(path: Path, pixels: Pixels) -> None:
    """Write a picture whole or not at all.

    Raises:
        OptionError: A name that no picture has.
        OutputError: It cannot be written.
    """
    refuse_suffix(path)
    write_whole(path, encode(pixels, path.suffix.lower()), hint=GO_ON, parents=True)


def refuse_suffix(path: Path) -> None:
    """Miss a name that no picture has before the work is done.

    Raises:
        OptionError: It has none of :data:`SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: a picture must be named {', '.join(SUFFIXES)}")
