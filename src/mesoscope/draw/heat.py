"""Evidence maps drawn over faces, on one absolute scale for all faces, pictures and models.

The values of a map sum to the calibrated log-odds, so they decrease with the number of cells. A
value times the number of cells is comparable between models: the log-odds of fake if all cells had
this value. The drawn scale is 0 to :data:`FULL` and is not normalised per picture, so a face with
little evidence stays uncoloured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.draw.palette import DESCENT, INK, put_text, text_width
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mesoscope.types import Pixels

    Floats = NDArray[np.float32]

FULL = 8.0  # log-odds of the strongest colour: odds of 3,000 to 1
_COVERS = 0.85  # opacity of the strongest colour
_RISE = 0.7  # exponent of the opacity; below 1, so that weak evidence is visible
_GREY = 0.6  # desaturation of a face under its map, so that visible colours are the map's


def log_odds(heat: Floats) -> Floats:
    """Scale an evidence map ``(h, w)`` to the drawn scale, independent of its number of cells."""
    return np.asarray(heat * np.float32(heat.size), np.float32)


def spread(
    heat: Floats, square: tuple[float, float, float], shape: tuple[int, int]
) -> tuple[Floats, tuple[int, int]]:
    """Resample a map to the pixels of a picture, bilinearly between the cells' centres.

    Parts of the square outside of the picture, which the crop mirrored, are dropped.

    Args:
        heat: ``(h, w)``.
        square: ``(left, top, side)`` in the picture's pixels; it may exceed the picture.
        shape: ``(height, width)`` of the picture.

    Returns:
        The map of the visible part, and that part's ``(left, top)``; an empty map if the square is
        outside of the picture.
    """
    left, top, side = square
    columns = _within(left, side, shape[1])
    rows = _within(top, side, shape[0])
    down = _weights((rows + 0.5 - top) / side, heat.shape[0])  # (rows, h)
    across = _weights((columns + 0.5 - left) / side, heat.shape[1])  # (columns, w)
    placed = np.asarray(down @ heat.astype(np.float32) @ across.T, np.float32)
    corner = (int(columns[0]), int(rows[0])) if placed.size else (0, 0)
    return placed, corner


def _within(start: float, side: float, length: int) -> NDArray[np.int64]:
    """Return indices of pixels in the picture whose centre is in the square."""
    first, last = max(0, np.ceil(start - 0.5)), min(length, np.ceil(start + side - 0.5))
    return np.arange(first, max(first, last)).astype(np.int64)


def _weights(at: NDArray[np.floating], cells: int) -> Floats:
    """Return interpolation weights of cells at positions 0..1 along a side, ``(n, cells)``."""
    centres = (np.arange(cells) + 0.5) / cells
    rows = [np.interp(at, centres, row) for row in np.eye(cells)]
    return np.stack(rows, axis=1, dtype=np.float32)


def overlay_heat(pixels: Pixels, heat: Floats, square: tuple[float, float, float]) -> None:
    """Draw a map over its square, in place.

    Args:
        pixels: ``(H, W, 3) uint8``; modified.
        heat: ``(h, w)``, from a face score.
        square: ``(left, top, side)`` in these pixels.
    """
    placed, (left, top) = spread(log_odds(heat), square, (pixels.shape[0], pixels.shape[1]))
    if not placed.size:
        return
    region = pixels[top : top + placed.shape[0], left : left + placed.shape[1]]
    region[...] = _blend(region, placed)


def draw_heat(crop: Pixels, heat: Floats) -> Pixels:
    """Draw a map over a crop.

    Args:
        crop: Input of the model, ``(S, S, 3) uint8``.
        heat: ``(h, w)``, from a face score.

    Returns:
        A new picture of the same shape.

    Raises:
        OptionError: The map is not two-dimensional.
    """
    if heat.ndim != 2 or 0 in heat.shape:
        raise OptionError(f"an evidence map must be (h, w), this one is {heat.shape}")
    height, width = crop.shape[:2]
    down = _weights((np.arange(height) + 0.5) / height, heat.shape[0])
    across = _weights((np.arange(width) + 0.5) / width, heat.shape[1])
    return _blend(crop, np.asarray(down @ log_odds(heat) @ across.T, np.float32))


def _blend(pixels: Pixels, map_: Floats) -> Pixels:
    share = np.clip(map_ / FULL, 0, 1)[:, :, None]  # (H, W, 1)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None].astype(np.float32)
    under = pixels + _GREY * (grey - pixels)
    covers = _COVERS * share**_RISE
    mixed = under + covers * (colours(share[:, :, 0]) - under)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def colours(share: Floats) -> Pixels:
    """Map shares 0..1 of :data:`FULL` to colours: ``(h, w)`` to ``(h, w, 3)``.

    The colour map is plasma. Its lightness is monotonic, so it works in grey and with any colour
    vision.
    """
    levels = np.rint(255 * share).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_PLASMA)[:, :, ::-1], np.uint8)


def draw_scale(
    width_px: int, size_px: int, ground: tuple[int, int, int] = (255, 255, 255)
) -> Pixels:
    """Draw the colour bar of the maps.

    Args:
        width_px: Width of the picture.
        size_px: Text size; the picture is 2.5 times as high.
        ground: Background colour.

    Returns:
        ``(round(2.5 * size_px), width_px, 3) uint8``.
    """
    picture = np.full((round(2.5 * size_px), width_px, 3), ground, np.uint8)
    bar = np.linspace(0, FULL, width_px, dtype=np.float32)
    high = size_px
    under = np.full((high, width_px, 3), 150, np.uint8)
    picture[:high] = _blend(under, np.repeat(bar[None], high, axis=0))
    cv2.rectangle(picture, (0, 0), (width_px - 1, high - 1), INK, 1)
    baseline = picture.shape[0] - 1 - round(DESCENT * size_px)
    for value in (0, FULL / 2, FULL):
        text = f"{value:g}" + (" or more" if value == FULL else "")
        wide = text_width(text, size_px)
        x = min(max(0, round(width_px * value / FULL - wide / 2)), max(0, width_px - wide - 1))
        put_text(picture, text, x, baseline, size_px=size_px, colour=INK)
    return picture
