"""MTCNN on ONNX Runtime: a proposal network on an image pyramid, and two refining networks.

Zhang et al. 2016, section II. Steps, thresholds and rounding are those of the package ``mtcnn``,
which also provides the weights, so boxes agree with it. This version is faster: the pyramid starts
where the smallest wanted face fills a window, its levels are derived from each other, and the two
refining networks take the candidates of several frames at once.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime as ort

from mesoscope.faces import mtcnn_nets
from mesoscope.faces.crop import largest_first, squares, strongest
from mesoscope.faces.mtcnn_nets import read_weights
from mesoscope.types import Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mesoscope.faces.crop import Boxes
    from mesoscope.types import Face, Frame, Pixels

    Floats = NDArray[np.float32]

WINDOW_PX, STRIDE_PX = 12, 2  # of the proposal network
SCALE_FACTOR = 0.709  # between levels of the pyramid: half the area
P_FACE = (0.6, 0.7, 0.8)  # thresholds of the three networks: the defaults of mtcnn
OVERLAP_IN_LEVEL, OVERLAP = 0.5, 0.7  # non-maximum suppression thresholds
BATCH = 64  # candidates per call of the refining networks
MAX_CANDIDATES = 4096  # per frame: 200 faces make 2,000, noise any number
STRIP_PIXELS = 1 << 18  # pixels per call of the proposal network, to bound memory
_SPARE = 1.4
_REMAP_PX = 32_766  # limit of OpenCV's remap


class MtcnnFinder:
    """Finds faces from ``min_face_px`` on, with five landmarks. Thread-safe.

    Args:
        min_face_px: Side of the smallest face to find; at least 12.

    Raises:
        ModelMissing: The package ``mtcnn`` is not installed.
        ModelMismatch: Its weights have another digest.
    """

    name = "mtcnn"

    def __init__(self, min_face_px: int = 40) -> None:
        self._min_face_px = max(min_face_px, WINDOW_PX)
        self._pnet, self._rnet, self._onet = _sessions()

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """Return the faces of each frame, largest first."""
        if not frames:
            return []
        pictures = [frame.pixels for frame in frames]
        boxes = [self._propose(pixels) for pixels in pictures]
        boxes = self._refine(pictures, boxes)
        return [Found(faces, self.name) for faces in self._answer(pictures, boxes)]

    def _propose(self, pixels: Pixels) -> Boxes:
        """First network: candidate squares."""
        boxes, scores = [np.empty((0, 4), np.float32)], [np.empty(0, np.float32)]
        for level, scale in _pyramid(pixels, WINDOW_PX / self._min_face_px):
            found, logits = self._windows(level)
            kept = strongest(found, logits, OVERLAP_IN_LEVEL)
            boxes.append(found[kept] / np.float32(scale))
            scores.append(logits[kept])
        every = np.concatenate(boxes)
        kept = strongest(every, np.concatenate(scores), OVERLAP)[:MAX_CANDIDATES]
        return squares(every[kept])

    def _windows(self, level: Pixels) -> tuple[Boxes, Floats]:
        """Return boxes and logits of one level's positive windows, in its pixels."""
        rows = (level.shape[0] - WINDOW_PX) // STRIDE_PX + 1
        strip_rows = max(1, (STRIP_PIXELS // level.shape[1] - WINDOW_PX) // STRIDE_PX + 1)
        boxes, scores = [], []
        for first in range(0, rows, strip_rows):
            strip = level[STRIDE_PX * first :]
            strip = strip[: STRIDE_PX * (strip_rows - 1) + WINDOW_PX]
            (found,) = self._pnet.run(None, {"pixels": strip[None]})  # (1, 5, rows, columns)
            y, x = np.nonzero(found[0, 0] > _logit(P_FACE[0]))
            corner = np.stack([x, y + first], axis=1).astype(np.float32) * STRIDE_PX
            window = np.concatenate([corner + 1, corner + WINDOW_PX], axis=1)  # pixels from 1 on
            boxes.append(window + found[0, 1:, y, x] * (WINDOW_PX - 1))
            scores.append(found[0, 0, y, x])
        logits = np.concatenate(scores)
        best = np.argsort(-logits, kind="stable")[:MAX_CANDIDATES]
        return np.concatenate(boxes)[best], logits[best]

    def _refine(self, pictures: Sequence[Pixels], boxes: Sequence[Boxes]) -> list[Boxes]:
        """Second network: refined and filtered squares."""
        refined = []
        for candidates, found in self._look(self._rnet, mtcnn_nets.RNET_PX, pictures, boxes):
            candidates, found = _above(P_FACE[1], candidates, found)
            moved = _moved(candidates, found)
            refined.append(squares(moved[strongest(moved, found[:, 0], OVERLAP)]))
        return refined

    def _answer(
        self, pictures: Sequence[Pixels], boxes: Sequence[Boxes]
    ) -> Iterator[tuple[Face, ...]]:
        """Third network: the faces of each picture."""
        looked = self._look(self._onet, mtcnn_nets.ONET_PX, pictures, boxes)
        for pixels, (candidates, found) in zip(pictures, looked, strict=True):
            candidates, found = _above(P_FACE[2], candidates, found)
            moved = _moved(candidates, found)
            kept = strongest(moved, found[:, 0], OVERLAP, of_smaller=True)
            yield _faces(pixels, candidates[kept], moved[kept], found[kept])

    def _look(
        self,
        net: ort.InferenceSession,
        side_px: int,
        pictures: Sequence[Pixels],
        boxes: Sequence[Boxes],
    ) -> Iterator[tuple[Boxes, Floats]]:
        """Run a network on each picture's candidates; batches cross pictures."""
        patches = [
            _patches(pixels, some, side_px) for pixels, some in zip(pictures, boxes, strict=True)
        ]
        every = np.concatenate(patches)
        answers = [
            net.run(None, {"pixels": every[at : at + BATCH]})[0]
            for at in range(0, len(every), BATCH)
        ]
        found = np.concatenate(answers) if answers else np.empty((0, 15), np.float32)
        at = 0
        for some in boxes:
            yield some, found[at : at + len(some)]
            at += len(some)


@cache
def _sessions() -> tuple[ort.InferenceSession, ...]:
    """Create the three networks once: sessions are shared."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # callers parallelise
    options.log_severity_level = 3
    return tuple(
        ort.InferenceSession(graph(read_weights(net)), options, providers=["CPUExecutionProvider"])
        for net, graph in mtcnn_nets.NETS.items()
    )


def _pyramid(pixels: Pixels, scale: float) -> Iterator[tuple[Pixels, float]]:
    """Yield downscaled pictures with their scales, until a window no longer fits.

    Halving is fast, other ratios are not. So the picture is halved as long as that leaves
    ``_SPARE`` times a level's size, and the level is resized from there.
    """
    height, width = pixels.shape[:2]
    source, source_scale = pixels, 1.0
    while min(size := (int(width * scale), int(height * scale))) >= WINDOW_PX:
        while source_scale / 2 >= scale * _SPARE:
            source, source_scale = _half(source), source_scale / 2
        yield _resized(source, size), scale
        scale *= SCALE_FACTOR


def _half(pixels: Pixels) -> Pixels:
    """Average two by two pixels; an odd row or column is dropped."""
    height, width = (side // 2 for side in pixels.shape[:2])
    return _resized(pixels[: 2 * height, : 2 * width], (width, height))


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _patches(pixels: Pixels, boxes: Boxes, side_px: int) -> NDArray[np.uint8]:
    """Crop candidates and resize them to one size, ``(n, side, side, 3)``.

    Bilinear between the corners of the box, grey outside of the picture, as TensorFlow's
    ``crop_and_resize``. One remap for all.
    """
    while max(pixels.shape) > _REMAP_PX:
        pixels, boxes = _half(pixels), np.asarray(boxes / 2, np.float32)
    height, width = pixels.shape[:2]
    out = np.empty((len(boxes), side_px, side_px, 3), np.uint8)
    steps = np.linspace(0, 1, side_px, dtype=np.float32)
    inner = np.array([(width - 1) / width, (height - 1) / height], np.float32)
    corner, size = boxes[:, :2] * inner, (boxes[:, 2:] - boxes[:, :2]) * inner
    for start in range(0, len(boxes), _REMAP_PX // side_px):
        some = slice(start, start + _REMAP_PX // side_px)
        x = corner[some, :1] + size[some, :1] * steps  # (n, side)
        y = corner[some, 1:] + size[some, 1:] * steps
        shape = (len(x), side_px, side_px)
        at_x = np.broadcast_to(x[:, None, :], shape).reshape(-1, side_px)
        at_y = np.broadcast_to(y[:, :, None], shape).reshape(-1, side_px)
        cut = cv2.remap(pixels, at_x, at_y, cv2.INTER_LINEAR, borderValue=(127, 127, 127))
        out[some] = cut.reshape(*shape, 3)
    return out


def _above(p_face: float, boxes: Boxes, found: Floats) -> tuple[Boxes, Floats]:
    kept = found[:, 0] > _logit(p_face)
    return boxes[kept], found[kept]


def _moved(boxes: Boxes, found: Floats) -> Boxes:
    """Apply a network's box regression."""
    return boxes + found[:, 1:5] * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)


def _faces(pixels: Pixels, boxes: Boxes, moved: Boxes, found: Floats) -> tuple[Face, ...]:
    """Return faces within the picture, the largest first."""
    height, width = pixels.shape[:2]
    size = boxes[:, 2:] - boxes[:, :2] + 1
    x = size[:, :1] * found[:, 5:10] + boxes[:, :1] - 1
    y = size[:, 1:] * found[:, 10:15] + boxes[:, 1:2] - 1
    inside = np.clip(moved, 0, [width, height, width, height])
    p_face = 1 / (1 + np.exp(-found[:, 0]))
    return largest_first(inside, p_face, np.stack([x, y], axis=-1))


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))
