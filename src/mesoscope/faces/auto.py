"""Find faces, but take pictures that are face crops already as they are.

The models were trained on crops, and a crop of a crop shows less than they know. The bounds are
measured: ``benchmarks/faces_margin.py`` counts on crops of six public sets and on whole scenes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.faces.whole import WholeFinder, whole_face
from mesoscope.types import Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.faces.finder import FaceFinder
    from mesoscope.types import Box, Frame

LONGEST_PX = 400  # of a picture that may be a crop; larger ones are photographs
WIDEST, TALLEST = 1.1, 1.6  # width to height, and height to width: detectors cut squares or upright
FILLS = 1 / 3  # of the picture's longest side, at least: the face's
OFF_CENTRE = 0.3  # of the picture's sides, at most: how far the face's middle lies from its own
UNSEEN = (
    "no face was found; scored as a face crop, as it is small and upright: if it is one, "
    "`faces=whole` gives it a label"
)
BESIDE = 0.25  # of the largest face's area: a smaller one beside it is no second person


class AutoFinder:
    """A finder's faces; the picture itself where it is a face crop already.

    Args:
        finder: Looks for faces.
    """

    name = "auto"

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """Each frame's faces, or the frame as its face, with a note that says so."""
        return [
            _chosen(frame, found)
            for frame, found in zip(frames, self._finder.find(frames), strict=True)
        ]


def _chosen(frame: Frame, found: Found) -> Found:
    height, width = frame.pixels.shape[:2]
    if not is_crop_shaped(width, height):
        return found
    if found.faces:
        if fills([face.box for face in found.faces], width, height):
            return _whole(frame, "taken as a face crop: one face fills it", seen=True)
        return found
    if frame.time_s is not None:  # of a clip, other frames show where the face is
        return found
    return _whole(frame, UNSEEN, seen=False)


def is_crop_shaped(width: int, height: int) -> bool:
    """Small, and square or upright."""
    small = max(width, height) <= LONGEST_PX
    return small and width <= WIDEST * height and height <= TALLEST * width


def fills(boxes: Sequence[Box], width: int, height: int) -> bool:
    """Whether the first box, the largest, is the one face that a picture of this size shows."""
    (x1, y1, x2, y2), *others = boxes
    area = (x2 - x1) * (y2 - y1)
    alone = all((b[2] - b[0]) * (b[3] - b[1]) < BESIDE * area for b in others)
    large = max(x2 - x1, y2 - y1) >= FILLS * max(width, height)
    off = max(abs((x1 + x2) / 2 / width - 0.5), abs((y1 + y2) / 2 / height - 0.5))
    return alone and large and off <= OFF_CENTRE


def _whole(frame: Frame, note: str, *, seen: bool) -> Found:
    return Found((whole_face(frame, seen=seen),), WholeFinder.name, whole=True, note=note)
