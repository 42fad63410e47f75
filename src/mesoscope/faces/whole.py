"""The picture is the face: for folders of face crops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.types import Face

if TYPE_CHECKING:
    from mesoscope.types import Frame


class WholeFinder:
    """Takes each picture as one face, whatever it shows."""

    name = "whole"

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """One face, the size of the frame."""
        height, width = frame.pixels.shape[:2]
        return (Face((0.0, 0.0, float(width), float(height))),)
