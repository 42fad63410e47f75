"""Pictures that no training set of faces holds, and faces that were spoilt; all made by code.

Two families. :data:`OBJECTS` makes pictures out of nothing (noise, colours, drawings, text,
photographs of things from scikit-image). :data:`SPOILT` takes a face crop and ruins it. Every
picture is ``(256, 256, 3) uint8`` RGB and follows from its number alone, so two runs see the same.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mesoscope.types import Pixels

SIDE = 256
SENTENCE = (
    "the face of a clock has no eyes and yet it looks at you from the wall every hour of the day "
    "while rain writes long letters on the window and nobody answers them before the evening"
)
THINGS = (
    "brick", "cell", "chelsea", "clock", "coffee", "coins", "grass", "gravel", "horse",
    "hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "page",
    "retina", "rocket", "text",
)  # fmt: skip


def uniform_noise(rng: np.random.Generator) -> Pixels:
    """Every value by chance."""
    return rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def gaussian_noise(rng: np.random.Generator) -> Pixels:
    """Grey with normal noise of a random strength, in colour or not."""
    channels = int(rng.choice([1, 3]))
    noise = rng.normal(rng.uniform(60, 200), rng.uniform(15, 70), (SIDE, SIDE, channels))
    return _bytes(np.broadcast_to(noise, (SIDE, SIDE, 3)))


def flat(rng: np.random.Generator) -> Pixels:
    """One colour."""
    return np.full((SIDE, SIDE, 3), rng.integers(0, 256, 3), np.uint8)


def gradient(rng: np.random.Generator) -> Pixels:
    """One colour that turns into another, in any direction."""
    first, last = rng.uniform(0, 255, (2, 3))
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    along = (np.cos(angle) * x + np.sin(angle) * y) / (2 * np.sqrt(2)) + 0.5
    return _bytes(first + (last - first) * along[:, :, None])


def checkerboard(rng: np.random.Generator) -> Pixels:
    """Squares of two colours."""
    cell = int(rng.integers(2, 64))
    i, j = np.mgrid[:SIDE, :SIDE] // cell
    colours = rng.integers(0, 256, (2, 3), dtype=np.uint8)
    return colours[(i + j) % 2]


def cartoon(rng: np.random.Generator) -> Pixels:
    """A drawn face: flat colours, of a person's skin and hair, and dark outlines."""
    ground, shirt = ([int(v) for v in c] for c in rng.integers(40, 256, (2, 3)))
    dark, grey = rng.uniform(0.35, 1), rng.uniform(0.15, 0.8)
    skin = [int(v) for v in dark * np.array([250, 205, 175])]
    hair = [int(v) for v in grey * np.array([200, 160, 120])]
    x = np.full((SIDE, SIDE, 3), ground, np.uint8)
    middle = (int(rng.integers(110, 146)), int(rng.integers(120, 146)))
    wide, high = int(rng.integers(55, 85)), int(rng.integers(70, 100))
    outline, ink = int(rng.integers(2, 5)), (20, 15, 15)

    def ellipse(at: tuple[int, int], axes: tuple[int, int], colour, start=0, end=360) -> None:
        cv2.ellipse(x, at, axes, 0, start, end, colour, -1, cv2.LINE_AA)
        cv2.ellipse(x, at, axes, 0, start, end, ink, outline, cv2.LINE_AA)

    ellipse((middle[0], 290), (110, 80), shirt)
    ellipse((middle[0], middle[1] - 20), (wide + 12, high), hair)
    ellipse(middle, (wide, high), skin)
    for side in (-1, 1):
        eye = (middle[0] + side * wide * 2 // 5, middle[1] - high // 6)
        ellipse(eye, (wide // 5, high // 6), (255, 255, 255))
        ellipse(eye, (wide // 12, high // 10), ink)
    nose = (middle[0], middle[1] + high // 8)
    cv2.ellipse(x, nose, (wide // 8, high // 8), 0, 0, 180, ink, outline, cv2.LINE_AA)
    mouth = (middle[0], middle[1] + high // 2)
    ellipse(mouth, (wide // 3, int(rng.integers(4, high // 5))), (190, 60, 70), 0, 180)
    return x


def text_page(rng: np.random.Generator) -> Pixels:
    """Lines of text, dark on light or light on dark."""
    dark = rng.random() < 0.4
    paper = rng.integers(0, 50, 3) if dark else rng.integers(215, 256, 3)
    ink = [int(v) for v in (rng.integers(180, 256, 3) if dark else rng.integers(0, 70, 3))]
    x = np.full((SIDE, SIDE, 3), paper, np.uint8)
    size, words = rng.uniform(0.35, 0.9), SENTENCE.split()
    fonts = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_DUPLEX)
    font = fonts[int(rng.integers(len(fonts)))]
    for line in range(int(30 * size), SIDE + 20, max(8, int(34 * size))):
        said = " ".join(rng.choice(words, 9))
        cv2.putText(x, said, (8, line), font, size, ink, 1, cv2.LINE_AA)
    return x


def thing(rng: np.random.Generator) -> Pixels:
    """A piece of one of scikit-image's photographs and plates, none of which shows a person."""
    from skimage import data

    name = THINGS[int(rng.integers(len(THINGS)))]
    whole = np.asarray(getattr(data, name)())
    if whole.dtype == bool:
        whole = whole * np.uint8(255)
    whole = np.repeat(whole[:, :, None], 3, 2) if whole.ndim == 2 else whole[:, :, :3]
    side = int(rng.integers(min(128, *whole.shape[:2]), min(whole.shape[:2]) + 1))
    top = int(rng.integers(whole.shape[0] - side + 1))
    left = int(rng.integers(whole.shape[1] - side + 1))
    return _sized(whole[top : top + side, left : left + side])


def blurred(sigma: float) -> Callable[[Pixels], Pixels]:
    """Gaussian blur, in pixels."""
    return lambda x: np.asarray(cv2.GaussianBlur(x, (0, 0), sigma), np.uint8)


def compressed(quality: int) -> Callable[[Pixels], Pixels]:
    """JPEG and back."""

    def spoil(x: Pixels) -> Pixels:
        _, data = cv2.imencode(".jpg", x[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)

    return spoil


def tiny(side_px: int) -> Callable[[Pixels], Pixels]:
    """Shrunk to a few pixels, then enlarged."""

    def spoil(x: Pixels) -> Pixels:
        small = cv2.resize(x, (side_px, side_px), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)

    return spoil


def shuffled(x: Pixels) -> Pixels:
    """The sixteen tiles of a face in another order."""
    tiles = [x[i : i + 64, j : j + 64] for i, j in itertools.product(range(0, SIDE, 64), repeat=2)]
    order = np.random.default_rng(int(x[::32, ::32].sum())).permutation(16)
    rows = [np.concatenate([tiles[k] for k in order[r : r + 4]], 1) for r in range(0, 16, 4)]
    return np.concatenate(rows)


OBJECTS: dict[str, Callable[[np.random.Generator], Pixels]] = {
    "uniform noise": uniform_noise,
    "Gaussian noise": gaussian_noise,
    "flat colours": flat,
    "gradients": gradient,
    "checkerboards": checkerboard,
    "drawn faces": cartoon,
    "pages of text": text_page,
    "things": thing,
}

SPOILT: dict[str, Callable[[Pixels], Pixels]] = {
    "blur, sigma 4 px": blurred(4),
    "blur, sigma 8 px": blurred(8),
    "JPEG 20": compressed(20),
    "JPEG 10": compressed(10),
    "32 px enlarged": tiny(32),
    "16 px enlarged": tiny(16),
    "inverted colours": lambda x: np.asarray(255 - x, np.uint8),
    "upside down": lambda x: np.ascontiguousarray(x[::-1]),
    "tiles shuffled": shuffled,
}


def objects(kind: str, count: int) -> Iterator[Pixels]:
    """So many pictures of one kind of :data:`OBJECTS`."""
    seed = sorted(OBJECTS).index(kind)
    for number in range(count):
        yield OBJECTS[kind](np.random.default_rng((seed, number)))


def _bytes(x: np.ndarray) -> Pixels:
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def _sized(x: np.ndarray) -> Pixels:
    smaller = x.shape[0] >= SIDE
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(
        cv2.resize(np.ascontiguousarray(x), (SIDE, SIDE), interpolation=way), np.uint8
    )
