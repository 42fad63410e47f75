"""The protocol of face finders, and the finders without a network of their own.

The models were trained on crops, and a crop of a crop shows less than they expect. The limits were
measured: ``benchmarks/faces_margin.py`` counts on crops of six public sets and on whole scenes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mesoscope.errors import OptionError
from mesoscope.faces.mtcnn import MtcnnFinder
from mesoscope.faces.yunet import YunetFinder
from mesoscope.types import Face, Found
from mesoscope.types.names import FINDERS_WITH_MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import Box, DetectOptions, Frame


class FaceFinder(Protocol):
    """Finds the faces of frames. One object is shared by all threads."""

    name: str

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """Return one result per frame, in order; empty for a frame without a face.

        Several frames at once are faster, as finders fill their batches across frames. Boxes lie
        within the frame.
        """
        ...


def finder_for(options: DetectOptions) -> FaceFinder:
    """Return the finder of ``options.faces``; ``auto`` prefers ``yunet`` if it has a model.

    Raises:
        OptionError: A model is given to a finder that takes none, or missing for one that needs it.
        ModelMissing: The package with MTCNN's weights, or YuNet's file, is missing.
        ModelError: YuNet's file is not usable.
    """
    faces, model = options.faces, options.finder_model
    if model is not None and faces not in ("auto", *FINDERS_WITH_MODEL):
        raise OptionError(f"a finder model is for the finder yunet, and faces is {faces!r}")
    if faces == "whole":
        return WideEnough(WholeFinder(), options.min_face_px)
    if model is not None:
        finder: FaceFinder = YunetFinder(model, options.min_face_px)
    elif faces == "yunet":
        raise OptionError(
            "the finder yunet needs its model: give the file with `finder_model`, or install it "
            "with: mesoscope models add yunet FILE"
        )
    else:
        finder = MtcnnFinder(options.min_face_px)
    finder = WideEnough(finder, options.min_face_px)
    return AutoFinder(finder) if faces == "auto" else finder


class WholeFinder:
    """Takes each picture as one face, whatever it shows."""

    name = "whole"

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """Return one face per frame, of the frame's size."""
        return [Found((whole_face(frame),), self.name, whole=True) for frame in frames]


def whole_face(frame: Frame, *, seen: bool = True) -> Face:
    """Return the frame as a face; without confidence if a finder looked and saw none."""
    height, width = frame.pixels.shape[:2]
    return Face((0.0, 0.0, float(width), float(height)), 1.0 if seen else 0.0)


NARROWEST = 0.5  # smallest aspect ratio of a face's box, either way
LONGEST = 100  # times the shorter side: more is no photograph and no panorama


class WideEnough:
    """Passes only pictures that can hold a face to a finder.

    A picture of 33,000×1 is read as usual, and has no face.

    Args:
        finder: The face finder.
        min_face_px: Longest side of the smallest face that is judged.
    """

    def __init__(self, finder: FaceFinder, min_face_px: int) -> None:
        self.name = finder.name
        self._finder = finder
        self._min_face_px = min_face_px

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """Return the finder's results; empty for pictures that are too narrow."""
        wide = [not is_narrow(frame, self._min_face_px) for frame in frames]
        searched = [frame for frame, search in zip(frames, wide, strict=True) if search]
        answers = iter(self._finder.find(searched) if searched else ())
        return [next(answers) if search else Found((), self.name) for search in wide]


def is_narrow(frame: Frame, min_face_px: int) -> bool:
    """Whether a frame is too elongated to hold a face.

    Does not apply to small pictures: their faces are found and reported as too small.
    """
    short, long = sorted(frame.pixels.shape[:2])
    too_small = short < NARROWEST * min_face_px <= NARROWEST * long
    return bool(long > LONGEST * short or too_small)


LONGEST_PX = 400  # largest side of a possible crop; larger pictures are photographs
WIDEST, TALLEST = 1.1, 1.6  # width to height, and height to width: crops are square or upright
FILLS = 1 / 3  # smallest face, as a share of the picture's longest side
OFF_CENTRE = 0.3  # largest offset of the face's centre, as a share of the picture's sides
UNSEEN = (
    "no face was found; scored as a face crop, as it is small and upright: if it is one, "
    "`faces=whole` gives it a label"
)
BESIDE = 0.25  # of the largest face's area: smaller ones beside it are no second person


class AutoFinder:
    """Returns a finder's faces; or the whole picture if it is a face crop already.

    Args:
        finder: The face finder.
    """

    name = "auto"

    def __init__(self, finder: FaceFinder) -> None:
        self._finder = finder

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """Return each frame's faces, or the frame as its face, with a note."""
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
    if frame.time_s is not None:  # other frames of a clip show the position of the face
        return found
    return _whole(frame, UNSEEN, seen=False)


def is_crop_shaped(width: int, height: int) -> bool:
    """Whether a size is small, and square or upright."""
    small = max(width, height) <= LONGEST_PX
    return small and width <= WIDEST * height and height <= TALLEST * width


def fills(boxes: Sequence[Box], width: int, height: int) -> bool:
    """Whether the first and largest box is the only face in a picture of this size."""
    (x1, y1, x2, y2), *others = boxes
    area = (x2 - x1) * (y2 - y1)
    alone = all((b[2] - b[0]) * (b[3] - b[1]) < BESIDE * area for b in others)
    large = max(x2 - x1, y2 - y1) >= FILLS * max(width, height)
    off = max(abs((x1 + x2) / 2 / width - 0.5), abs((y1 + y2) / 2 / height - 0.5))
    return alone and large and off <= OFF_CENTRE


def _whole(frame: Frame, note: str, *, seen: bool) -> Found:
    return Found((whole_face(frame, seen=seen),), WholeFinder.name, whole=True, note=note)
