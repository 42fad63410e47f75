"""The values that travel the one path: frozen, checked when made. Answers: ``verdict.py``.

Conventions everywhere: fake = 1 and real = 0, ``p_fake`` higher = more fake; pictures are RGB
``uint8``; boxes are ``(x1, y1, x2, y2)`` in pixels of the source picture after EXIF rotation;
times are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError
from mesoscope.types.card import Calibration, Guard, Json, ModelCard, OperatingPoint, Thresholds
from mesoscope.types.finders import FINDERS, Finder
from mesoscope.types.label import Answer, Label, Reason
from mesoscope.types.options import DEFAULT_MAX_PIXELS, DetectOptions
from mesoscope.types.verdict import (
    Box,
    FaceScore,
    Person,
    Point,
    SkippedFace,
    Verdict,
)

if TYPE_CHECKING:  # NumPy stays out of questions that need no picture
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
    """One picture, or one picture of a clip.

    Attributes:
        pixels: RGB, ``(H, W, 3) uint8``.
        source: Where it comes from, as shown to the user.
        index: Its number within the source, from 0.
        time_s: Its time within the clip in seconds; ``None`` for a picture.
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
                f"this one is {shape} {self.pixels.dtype}"
            )


@dataclass(frozen=True, slots=True)
class Face:
    """A face within a frame.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels of the frame.
        confidence: How sure the finder is, 0 to 1; where the picture was taken as a face, 1, or 0
            if a finder looked for one and saw none.
        landmarks: ``(x, y)`` in pixels of the frame: the eye, then the corner of the mouth, that
            lie on the left in the picture are before those on the right: eye, eye, tip of the nose,
            corner, corner. Empty where the finder gives none.
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
    """What a finder says of one frame.

    Attributes:
        faces: Largest first; none is an answer.
        finder: Name of the finder that answered, as ``auto`` may ask more than one.
        whole: The frame itself was taken as the face, so its border is the crop's.
        note: In a sentence, where the user should know why; ``None`` otherwise.
    """

    faces: tuple[Face, ...]
    finder: str
    whole: bool = False
    note: str | None = None
