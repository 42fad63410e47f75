"""The values passed between the stages of detection: frozen and validated on construction.

Conventions: fake = 1 and real = 0, ``p_fake`` higher = more fake; pictures are RGB
``uint8``; boxes are ``(x1, y1, x2, y2)`` in pixels of the source picture after EXIF rotation;
times are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError
from mesoscope.types.card import Calibration, Guard, Json, ModelCard, OperatingPoint, Thresholds
from mesoscope.types.label import Answer, Label, Reason
from mesoscope.types.names import FINDERS, Finder
from mesoscope.types.options import DEFAULT_MAX_PIXELS, DetectOptions
from mesoscope.types.verdict import (
    Box,
    FaceScore,
    Person,
    Point,
    SkippedFace,
    Verdict,
)

if TYPE_CHECKING:  # most commands do not need NumPy
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]  # RGB, (H, W, 3)

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FINDERS",
    "Answer",
    "Box",
    "Calibration",
    "DetectOptions",
    "Face",
    "FaceScore",
    "Finder",
    "Found",
    "Frame",
    "Guard",
    "Json",
    "Label",
    "ModelCard",
    "OperatingPoint",
    "Person",
    "Point",
    "Reason",
    "SkippedFace",
    "Thresholds",
    "Verdict",
]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture, or one frame of a clip.

    Attributes:
        pixels: RGB, ``(H, W, 3) uint8``.
        source: Name of the source, as shown to the user.
        index: Index of the frame within the source, from 0.
        time_s: Time of the frame within the clip, in seconds; ``None`` for a picture.

    Raises:
        OptionError: ``pixels`` has another shape or type.
    """

    pixels: Pixels
    source: str
    index: int = 0
    time_s: float | None = None

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 3 or shape[2] != 3 or self.pixels.dtype != "uint8" or 0 in shape:
            raise OptionError(
                f"{self.source}: a picture must be (H, W, 3) uint8 RGB, "
                f"got {shape} {self.pixels.dtype}"
            )


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a frame.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels of the frame.
        confidence: Confidence of the finder, 0 to 1. For a picture taken as a face: 1, or 0 if a
            finder searched it and found none.
        landmarks: Five points ``(x, y)`` in pixels of the frame: left eye, right eye, tip of the
            nose, left and right corner of the mouth, as seen in the picture. Empty if the finder
            gives none.

    Raises:
        OptionError: The box is empty or not finite, or the number of landmarks is not 0 or 5.
    """

    box: Box
    confidence: float = 1.0
    landmarks: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        x1, y1, x2, y2 = self.box
        if not all(math.isfinite(v) for v in self.box) or x2 <= x1 or y2 <= y1:
            raise OptionError(f"a face box must be x1 < x2, y1 < y2 and finite, got {self.box}")
        if len(self.landmarks) not in (0, 5):
            raise OptionError(f"a face has five landmarks or none, got {len(self.landmarks)}")


@dataclass(frozen=True, slots=True)
class Found:
    """Detections of a face finder in one frame.

    Attributes:
        faces: Faces, largest first; may be empty.
        finder: Name of the finder that gave them; ``auto`` may run several.
        whole: The frame itself is taken as the face, so the crop is the frame.
        note: A sentence for the user that explains the result; ``None`` if none is needed.
    """

    faces: tuple[Face, ...]
    finder: str
    whole: bool = False
    note: str | None = None
