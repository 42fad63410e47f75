"""The seam for face finders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mesoscope.errors import OptionError
from mesoscope.faces.whole import WholeFinder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import DetectOptions, Found, Frame


class FaceFinder(Protocol):
    """Finds the faces of frames. One object is shared by all threads."""

    name: str

    def find(self, frames: Sequence[Frame]) -> list[Found]:
        """One answer a frame, in their order; a frame without a face has an empty one.

        Several frames at once are quicker than one after the other, as finders fill their batches
        across frames. Boxes lie within the frame.
        """
        ...


def finder_for(options: DetectOptions) -> FaceFinder:
    """The finder behind ``options.faces``.

    Raises:
        OptionError: A finder that this version does not have.
    """
    if options.faces in ("auto", "whole"):
        return WholeFinder()
    raise OptionError(f"faces must be auto or whole, got {options.faces!r}")
