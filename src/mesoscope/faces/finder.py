"""The seam for face finders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mesoscope.errors import OptionError
from mesoscope.faces.auto import AutoFinder
from mesoscope.faces.mtcnn import MtcnnFinder
from mesoscope.faces.narrow import WideEnough
from mesoscope.faces.whole import WholeFinder
from mesoscope.faces.yunet import YunetFinder
from mesoscope.types.finders import WITH_A_MODEL

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
    """The finder behind ``options.faces``; ``auto`` prefers ``yunet`` where it has a model.

    Raises:
        OptionError: A model for a finder that takes none, or none for the one that needs it.
        ModelMissing: The package with MTCNN's weights, or YuNet's file, is not there.
        ModelError: YuNet's file cannot be used.
    """
    faces, model = options.faces, options.finder_model
    if model is not None and faces not in ("auto", *WITH_A_MODEL):
        raise OptionError(f"a finder model is for the finder yunet, and faces is {faces!r}")
    if faces == "whole":
        return WideEnough(WholeFinder(), options.min_face_px)
    if model is not None:
        finder: FaceFinder = YunetFinder(model, options.min_face_px)
    elif faces == "yunet":
        raise OptionError(
            "the finder yunet needs its model: give the file with --finder-model, or keep it for "
            "good with: mesoscope models add yunet FILE"
        )
    else:
        finder = MtcnnFinder(options.min_face_px)
    finder = WideEnough(finder, options.min_face_px)
    return AutoFinder(finder) if faces == "auto" else finder
