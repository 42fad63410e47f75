"""The main face of a picture, to forge it or to crop around it in training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.faces.mtcnn import MtcnnFinder
from mesoscope.types import Found, Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.types import Face

_LEAST_FACE = 1 / 16  # of a picture's longest side; smaller faces of large photos are ignored
_LEAST_PX = 40
_PAD = 0.35  # of the sides: border around a tight crop, for the finder


class MainFaceFinder:
    """Finds each picture's main face: the largest, with a preference for the centre.

    Pictures without a face are searched once more with a border, as finders miss faces that exceed
    the picture.
    """

    name = MtcnnFinder.name

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """Return one face or none for each picture, its landmarks inside the picture."""
        faces = _main_faces(frames)
        missed = [i for i, face in enumerate(faces) if face is None]
        wider = [_padded(frames[i]) for i in missed]
        in_wider = _main_faces([frame for frame, _ in wider])
        for i, face, (_, border) in zip(missed, in_wider, wider, strict=True):
            if face is not None:
                points = np.array(face.landmarks, np.float32) - np.array(border, np.float32)
                height, width = frames[i].pixels.shape[:2]
                if (points >= 0).all() and (points < (width, height)).all():
                    faces[i] = _moved(face, points, border)
        return [Found(() if face is None else (face,), self.name) for face in faces]


def _moved(face: Face, points: NDArray[np.float32], border: tuple[int, int]) -> Face:
    """Move a face found with a border back to the picture without it."""
    x1, y1, x2, y2 = face.box
    x, y = border
    box = (x1 - x, y1 - y, x2 - x, y2 - y)
    return replace(face, box=box, landmarks=tuple((float(u), float(v)) for u, v in points))


def _main_faces(frames: Sequence[Frame]) -> list[Face | None]:
    found: list[Face | None] = [None] * len(frames)
    groups: dict[int, list[int]] = {}
    for i, frame in enumerate(frames):
        longest = max(frame.pixels.shape[:2])
        least = max(_LEAST_PX, round(longest * _LEAST_FACE / 20) * 20)
        groups.setdefault(least, []).append(i)
    for least, places in groups.items():
        answers = MtcnnFinder(least).find([frames[i] for i in places])
        for i, answer in zip(places, answers, strict=True):
            found[i] = _main(answer.faces, frames[i])
    return found


def _main(faces: Sequence[Face], frame: Frame) -> Face | None:
    """Return the largest face, weighted by its distance from the centre."""
    height, width = frame.pixels.shape[:2]

    def weight(face: Face) -> float:
        x1, y1, x2, y2 = face.box
        off = np.hypot((x1 + x2) / width - 1, (y1 + y2) / height - 1)
        return float((x2 - x1) * (y2 - y1) * (1 - 0.5 * min(off, 1)))

    return max(faces, key=weight) if faces else None


def _padded(frame: Frame) -> tuple[Frame, tuple[int, int]]:
    height, width = frame.pixels.shape[:2]
    x, y = round(width * _PAD), round(height * _PAD)
    wider = cv2.copyMakeBorder(frame.pixels, y, y, x, x, cv2.BORDER_REPLICATE)
    return Frame(np.asarray(wider, np.uint8), frame.source), (x, y)
