"""Evidence maps over faces, on one absolute scale for every face, picture and model.

A map's values are shares of the calibrated log-odds, so they grow smaller with more cells. Times
the number of cells they say the same for every model: the log-odds of fake that this place would
give, were the whole face like it. That is what is drawn, from 0 to :data:`FULL`, and never divided
by a picture's own maximum: a face in which little speaks for fake stays as it is.
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

FULL = 8.0  # log-odds at which the colour is full: 3,000 to 1 were all of the face like it
_COVERS = 0.85  # of the picture is hidden by the full colour
_RISE = 0.7  # below 1, so that little evidence is seen, too; none covers nothing
_GREY = 0.6  # of the colours of a face give way to grey under its map, so that these are the map's


def log_odds(heat: Floats) -> Floats:
    """An evidence map ``(h, w)`` on the scale that is drawn, whatever its number of cells."""
    return np.asarray(heat * np.float32(heat.size), np.float32)


def spread(
    heat: Floats, square: tuple[float, float, float], shape: tuple[int, int]
) -> tuple[Floats, tuple[int, int]]:
    """Bring a map from its square to the pixels of a picture, bilinearly between cells' middles.

    Where the square leaves the picture, the crop was mirrored; what the map says of mirrored
    pixels has no place in the picture and stays out.

    Args:
        heat: ``(h, w)``.
        square: ``(left, top, side)`` in the picture's pixels; it may leave the picture.
        shape: ``(height, width)`` of the picture.

    Returns:
        The map of the part that lies within, and that part's ``(left, top)``; an empty map where
        the square lies outside.
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
    """Pixels whose middle lies within the square and which lie within the picture."""
    first, last = max(0, np.ceil(start - 0.5)), min(length, np.ceil(start + side - 0.5))
    return np.arange(first, max(first, last)).astype(np.int64)


def _weights(at: NDArray[np.floating], cells: int) -> Floats:
    """How much each cell counts at places 0..1 along a side: ``(places, cells)``."""
    middles = (np.arange(cells) + 0.5) / cells
    return np.stack([np.interp(at, middles, row) for row in np.eye(cells)], axis=1, dtype=np.float32)  # fmt: skip  # noqa: E501


def lay_heat(pixels: Pixels, heat: Floats, square: tuple[float, float, float]) -> None:
    """Lay a map over its square, in the pixels themselves.

    Args:
        pixels: ``(H, W, 3) uint8``; changed.
        heat: ``(h, w)``, as a face score holds it.
        square: ``(left, top, side)`` in these pixels.
    """
    placed, (left, top) = spread(log_odds(heat), square, (pixels.shape[0], pixels.shape[1]))
    if not placed.size:
        return
    region = pixels[top : top + placed.shape[0], left : left + placed.shape[1]]
    region[...] = _blend(region, placed)


def draw_heat(crop: Pixels, heat: Floats) -> Pixels:
    """A crop with its evidence map over it.

    Args:
        crop: ``(S, S, 3) uint8``, as the model saw it.
        heat: ``(h, w)``, as a face score holds it.

    Returns:
        A new picture of the same shape.

    Raises:
        OptionError: A map that is not ``(h, w)``.
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
    """The scale's colours for shares 0..1 of :data:`FULL`: ``(h, w)`` → ``(h, w, 3)``.

    OpenCV's plasma: it grows steadily lighter, so it reads in grey and with any colour vision.
    """
    levels = np.rint(255 * share).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_PLASMA)[:, :, ::-1], np.uint8)


def draw_scale(width_px: int, size_px: int, ground: tuple[int, int, int] = (255, 255, 255)) -> Pixels:  # fmt: skip  # noqa: E501
    """The scale of the maps: a bar with its figures.

    Args:
        width_px: Of the picture.
        size_px: Of the text; the picture is two and a half times as high.
        ground: What the bar lies on.

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
