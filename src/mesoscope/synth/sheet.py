"""A contact sheet of a folder's forgeries: real, forged and mask side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.draw.palette import BOLD, INK, PAPER, QUIET, put_text, shorten
from mesoscope.errors import OptionError, OutputError, SourceError, SourceMissing
from mesoscope.faces.crop import crop
from mesoscope.files.atomic import write_bytes
from mesoscope.files.escape import escape_text
from mesoscope.imaging.encode import encode
from mesoscope.media.image import open_image
from mesoscope.synth.files import GO_ON, read_records
from mesoscope.synth.folder import RECORDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from mesoscope.types import Box, Pixels

_TILE, _GAP, _PAD, _CAPTION = 256, 6, 20, 28
_COLUMNS = ("real", "forged", "mask")
_AROUND = 1.9  # displayed square, in longest sides of the mask
SUFFIXES: dict[str, list[int]] = {  # suffixes of sheets, with OpenCV's encoder parameters
    ".png": [],
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 88],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 88],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 85],
}


def folder_sheet(root: Path, *, count: int = 12, across: int = 2) -> Pixels:
    """Draw evenly spaced forgeries of a folder, cropped around their masks.

    Args:
        root: A folder of forgeries.
        count: Maximum number of forgeries.
        across: Number of forgeries per row.

    Returns:
        ``(h, w, 3) uint8``.

    Raises:
        OptionError: The folder has no forgeries.
    """
    records = [record for _, record in read_records(root / RECORDS)]
    if not records:
        raise OptionError(f"{root}: has no forgeries, so there is nothing to draw")
    indices = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    cells = [_cell(root, records[i]) for i in indices]
    return _grid(cells, min(across, len(cells)))


def write_sheet(path: Path, root: Path, *, count: int = 12) -> None:
    """Write :func:`folder_sheet` to a file.

    Raises:
        OptionError: The suffix is none of :data:`SUFFIXES`, or the folder has no forgeries.
        OutputError: The file cannot be written.
    """
    refuse_suffix(path)
    sheet = folder_sheet(root, count=count)
    suffix = path.suffix.lower()
    try:
        data = encode(sheet, suffix, SUFFIXES[suffix])
    except OutputError as error:
        raise OutputError(f"{path}: {error}") from error
    write_bytes(path, data, hint=GO_ON, parents=True)


def refuse_suffix(path: Path) -> None:
    """Refuse a file name with an unknown suffix.

    Raises:
        OptionError: The suffix is none of :data:`SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: a sheet must be named {', '.join(SUFFIXES)}")


def _cell(root: Path, record: dict[str, Any]) -> Pixels:
    """Draw one forgery: three tiles and a caption."""
    files = record["files"]
    tiles = [_read(root, files.get(what)) for what in ("real", "fake", "mask")]
    first = next((pixels for pixels in reversed(tiles) if isinstance(pixels, np.ndarray)), None)
    box = None if first is None else _box(first, masked=first is tiles[2])
    wide = 3 * _TILE + 2 * _GAP
    cell = np.full((_TILE + _CAPTION, wide, 3), PAPER, np.uint8)
    for place, pixels in enumerate(tiles):
        left = place * (_TILE + _GAP)
        if isinstance(pixels, str) or box is None:
            put_text(cell, str(pixels), left + 12, 30, size_px=16, colour=QUIET)
        else:
            cell[:_TILE, left : left + _TILE] = crop(pixels, box, size_px=_TILE)
    text = escape_text(f"{record['maker']}   {_summary(record['numbers'])}")
    put_text(cell, shorten(text, 14, wide), 0, _TILE + 19, size_px=14, colour=QUIET)
    return cell


def _read(root: Path, name: str | None) -> Pixels | str:
    """Read a picture; return a note if it is missing or damaged."""
    if name is None:
        return "no twin"
    try:
        return open_image(root / name).pixels
    except SourceMissing:
        return "is missing"
    except SourceError:
        return "cannot be read"


def _summary(numbers: dict[str, Any]) -> str:
    """Format the scalar parameters of a record."""
    plain = []
    for name, value in numbers.items():
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            plain.append(", ".join(value))
        elif isinstance(value, str | float | int) and not isinstance(value, bool):
            plain.append(
                f"{name} {value:g}" if isinstance(value, float | int) else f"{name} {value}"
            )
    return " · ".join(plain)


def _box(mask: Pixels, *, masked: bool) -> Box:
    """Return the displayed square: around the mask, or the central square without one."""
    height, width = mask.shape[:2]
    rows, columns = np.nonzero(mask[:, :, 0])
    side = float(min(height, width))
    x, y = width / 2, height / 2
    if masked and len(rows):
        size = 1 + max(int(np.ptp(rows)), int(np.ptp(columns)))
        side = min(side, max(64.0, size * _AROUND))
        x = float(np.clip((columns.min() + columns.max()) / 2, side / 2, width - side / 2))
        y = float(np.clip((rows.min() + rows.max()) / 2, side / 2, height - side / 2))
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def _grid(cells: Sequence[Pixels], across: int) -> Pixels:
    high, wide = cells[0].shape[:2]
    rows = -(-len(cells) // across)
    head = 34
    sheet = np.full(
        (2 * _PAD + head + rows * high, 2 * _PAD + across * wide + (across - 1) * 24, 3),
        PAPER,
        np.uint8,
    )
    for column in range(across):
        left = _PAD + column * (wide + 24)
        for place, name in enumerate(_COLUMNS):
            x = left + place * (_TILE + _GAP)
            put_text(sheet, name, x, _PAD + 18, size_px=18, colour=INK, weight=BOLD)
    for number, cell in enumerate(cells):
        row, column = divmod(number, across)
        y, x = _PAD + head + row * high, _PAD + column * (wide + 24)
        sheet[y : y + high, x : x + wide] = cell
    return sheet
