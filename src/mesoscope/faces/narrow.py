"""Pictures too narrow to hold a face are answered without a finder, which would fail on many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.types import Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.faces.finder import FaceFinder
    from mesoscope.types import Frame

NARROWEST = 0.5  # width of a face's box over its height, or the other way round, at least
LONGEST = 100  # times the shorter side: no photograph and no panorama


class WideEnough:
    """A finder that is asked only about pictures which can hold a face.

    A picture of 33,000×1 is read like any other, and the answer is that it shows no face.

    Args:
        finder: Looks for faces.
        min_face_px: Longest side of the smallest face that is judged.
    """

    def __init__(self, finder: FaceFinder, min_face_px: int) -> None:
        self.name = finder.name
        self._finder = finder
        self._min_face_px = min_face_px

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """The finder's answers; none for pictures that are too narrow."""
        wide = [not is_narrow(frame, self._min_face_px) for frame in frames]
        asked = [frame for frame, ask in zip(frames, wide, strict=True) if ask]
        answers = iter(self._finder.find(asked) if asked else ())
        return [next(answers) if ask else Found((), self.name) for ask in wide]


def is_narrow(frame: Frame, min_face_px: int) -> bool:
    """Whether no face can be in a frame, as its shorter side is far below its longer one.

    Small pictures are not meant: their faces are found and called too small.
    """
    short, long = sorted(frame.pixels.shape[:2])
    too_small = short < NARROWEST * min_face_px <= NARROWEST * long
    return bool(long > LONGEST * short or too_small)
