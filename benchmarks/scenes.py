"""Scenes whose faces are known: two photographed heads pasted at known places, sizes and angles.

The heads are scikit-image's astronaut and matplotlib's grace_hopper; the grounds are photographs
without faces from scikit-image. Each paste is one affine map, so where its face ends up is known
to a fraction of a pixel. Used by ``faces.py`` and by the tests of the finders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

# Boxes of the two faces, marked by hand: hairline to chin, the outer edges of the cheeks.
ASTRONAUT, HOPPER = (180.0, 66.0, 268.0, 174.0), (181.0, 102.0, 359.0, 332.0)
GROUNDS = ("coffee", "chelsea", "rocket", "gravel", "brick", "grass")
HEAD = 1.9  # of a pasted head: its ellipse is so many times as large as the face's box


@dataclass(frozen=True)
class Scene:
    """A picture and the faces pasted into it.

    Attributes:
        kind: What is hard about it.
        pixels: RGB ``(H, W, 3) uint8``.
        boxes: ``x1, y1, x2, y2`` of each face within the picture, upright around a tilted one.
        tilt: Degrees that the faces are turned by, clockwise.
    """

    kind: str
    pixels: np.ndarray
    boxes: tuple[tuple[float, float, float, float], ...]
    tilt: float = 0.0


@dataclass(frozen=True)
class _Paste:
    """Where a face goes: middle and height in pixels, turned, squeezed sideways, mirrored."""

    person: int
    x: float
    y: float
    height: float
    tilt: float = 0.0
    narrow: float = 1.0
    mirrored: bool = False


def scenes(per_kind: int = 12) -> Iterator[Scene]:
    """All kinds, ``per_kind`` of each; the same scenes in every run."""
    for number in range(per_kind):
        rng = np.random.default_rng(number)
        for kind, make in _KINDS.items():
            yield make(kind, number, rng)


def scene(kind: str, number: int = 0) -> Scene:
    """One scene of a kind."""
    return _KINDS[kind](kind, number, np.random.default_rng(number))


def photo(number: int) -> Scene:
    """A photo of 1024×1024 with one face of a fifth to a third of its height."""
    rng = np.random.default_rng(number)
    x, y = (float(v) for v in rng.uniform(350, 674, 2))
    paste = _Paste(number % 2, x, y, float(rng.uniform(205, 340)), float(rng.uniform(-10, 10)))
    return _compose("photo", number, [paste], 1024, 1024)


def kinds() -> tuple[str, ...]:
    return tuple(_KINDS)


@cache
def portraits() -> tuple[tuple[np.ndarray, tuple[float, float, float, float]], ...]:
    """The two photographs with the boxes of their faces."""
    import matplotlib.cbook
    from skimage import data

    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        packed = np.frombuffer(file.read(), np.uint8)
    hopper = cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return (data.astronaut(), ASTRONAUT), (hopper, HOPPER)


def ground(number: int, width: int, height: int) -> np.ndarray:
    """A photograph without faces, cut and scaled to fill the size."""
    from skimage import data

    picture = getattr(data, GROUNDS[number % len(GROUNDS)])()
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, axis=-1)
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = (int(np.ceil(picture.shape[1] * scale)), int(np.ceil(picture.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(picture, size, interpolation=how)[:height, :width])


def _compose(
    kind: str, number: int, pastes: list[_Paste], width: int = 1024, height: int = 768
) -> Scene:
    pixels = ground(number, width, height)
    boxes = tuple(_put(pixels, paste) for paste in pastes)
    return Scene(kind, pixels, boxes, pastes[0].tilt)


def _put(pixels: np.ndarray, paste: _Paste) -> tuple[float, float, float, float]:
    """Paste a head with a soft edge; returns the face's box, cut at the border."""
    portrait, (x1, y1, x2, y2) = portraits()[paste.person]
    height, width = pixels.shape[:2]
    scale = paste.height / (y2 - y1)
    if scale < 1:  # averaged first: a map alone would take single pixels
        factor = max(scale, 1e-3)
        portrait = cv2.resize(portrait, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        x1, y1, x2, y2 = (v * factor for v in (x1, y1, x2, y2))
        scale = 1.0
    angle = np.radians(paste.tilt)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    across = paste.narrow * (-1 if paste.mirrored else 1)
    linear = turn @ np.diag([across, 1.0]) * scale
    middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    matrix = np.column_stack([linear, np.array([paste.x, paste.y]) - linear @ middle])
    head = np.zeros(portrait.shape[:2], np.float32)
    axes = (round((x2 - x1) / 2 * HEAD), round((y2 - y1) / 2 * HEAD))
    cv2.ellipse(head, (round(middle[0]), round(middle[1])), axes, 0, 0, 360, 1.0, -1)
    head = cv2.blur(head, (max(3, axes[0] // 6) | 1,) * 2)
    moved = cv2.warpAffine(
        portrait, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    cover = cv2.warpAffine(head, matrix, (width, height))[..., None]
    np.copyto(pixels, np.uint8(np.rint(pixels * (1 - cover) + moved * cover)))
    half = np.array([(x2 - x1) * paste.narrow, y2 - y1]) * scale / 2
    box = (paste.x - half[0], paste.y - half[1], paste.x + half[0], paste.y + half[1])
    return tuple(float(np.clip(v, 0, (width, height)[i % 2])) for i, v in enumerate(box))


def _one(kind, number, rng, **changes) -> Scene:
    height = changes.pop("height", None) or float(rng.uniform(90, 260))
    at = {"x": float(rng.uniform(250, 774)), "y": float(rng.uniform(250, 518))} | changes
    return _compose(kind, number, [_Paste(number % 2, height=height, **at)])


def _several(kind, number, rng) -> Scene:
    columns = (170, 512, 854)
    pastes = [
        _Paste((number + i) % 2, x, float(rng.uniform(250, 518)), float(rng.uniform(60, 150)))
        for i, x in enumerate(columns)
    ]
    return _compose(kind, number, pastes)


def _border(kind, number, rng) -> Scene:
    """A face of which a quarter lies beyond the left or the right border."""
    height = float(rng.uniform(140, 260))
    person = number % 2
    x1, y1, x2, y2 = portraits()[person][1]
    inside = 0.25 * height * (x2 - x1) / (y2 - y1)
    x = inside if number % 4 < 2 else 1024 - inside
    return _compose(kind, number, [_Paste(person, x, float(rng.uniform(250, 518)), height)])


def crowd(columns: int = 20, rows: int = 10, step_px: int = 96) -> Scene:
    """Two hundred faces in rows."""
    pastes = [
        _Paste((x + y) % 2, (x + 0.5) * step_px, (y + 0.5) * step_px, 54)
        for y in range(rows)
        for x in range(columns)
    ]
    width, height = columns * step_px, rows * step_px
    pixels = ground(3, width, height)
    # Each within a cell of its own: two hundred maps of the whole picture would take minutes.
    boxes = []
    for paste in pastes:
        left, top = paste.x - step_px / 2, paste.y - step_px / 2
        cell = pixels[int(top) : int(top) + step_px, int(left) : int(left) + step_px]
        inner = _Paste(paste.person, step_px / 2, step_px / 2, paste.height)
        x1, y1, x2, y2 = _put(cell, inner)
        boxes.append((x1 + left, y1 + top, x2 + left, y2 + top))
    return Scene("crowd", pixels, tuple(boxes))


_KINDS = {
    "one": _one,
    "several": _several,
    "small": lambda *a: _one(*a, height=float(a[2].uniform(44, 60))),
    "tiny": lambda *a: _one(*a, height=float(a[2].uniform(24, 34))),
    "large": lambda *a: _one(*a, height=float(a[2].uniform(380, 460)), x=512.0, y=384.0),
    "mirrored": lambda *a: _one(*a, mirrored=True),
    "tilted 15°": lambda *a: _one(*a, tilt=15.0 if a[1] % 2 else -15.0),
    "tilted 30°": lambda *a: _one(*a, tilt=30.0 if a[1] % 2 else -30.0),
    "tilted 45°": lambda *a: _one(*a, tilt=45.0 if a[1] % 2 else -45.0),
    "squeezed to 65 %": lambda *a: _one(*a, narrow=0.65),
    "cut by the border": _border,
}


def write_png(pixels: np.ndarray, path: Path) -> None:
    """Keep a scene for a process that cannot compose it."""
    cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
