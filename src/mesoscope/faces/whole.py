"""The picture is the face: for folders of face crops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.types import Face, Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import Frame


class WholeFinder:
    """Takes each picture as one face, whatever it shows."""

    name = "whole"

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """One face a frame, the size of the frame."""
        return [Found((whole_face(frame),), self.name, whole=True) for frame in frames]


def whole_face(frame: Frame, *, seen: bool = True) -> Face:
    """The frame as a face; one that a finder looked for and did not see has no confidence."""
    height, width = frame.pixels.shape[:2]
    return Face((0.0, 0.0, float(width), float(height)), 1.0 if seen else 0.0)
