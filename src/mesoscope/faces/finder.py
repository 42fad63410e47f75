"""The seam for face finders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mesoscope.errors import OptionError
from mesoscope.faces.whole import WholeFinder

if TYPE_CHECKING:
    from mesoscope.types import Face, Frame


class FaceFinder(Protocol):
    """Finds the faces of a frame. One object is shared by all threads."""

    name: str

    def find(self, frame: Frame) -> tuple[Face, ...]:
        """The faces of one frame, largest first; none is an answer."""
        ...


def finder_for(faces: str) -> FaceFinder:
    """The finder behind a ``--faces`` value.

    ``auto`` means the best finder that this version has; today that is ``whole``.

    Raises:
        OptionError: Neither ``auto`` nor ``whole``.
    """
    if faces in ("auto", "whole"):
        return WholeFinder()
    raise OptionError(f"faces must be auto or whole, got {faces!r}")
