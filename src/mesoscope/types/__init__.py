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
from mesoscope.types.verdict import (
    Box,
    FaceScore,
    Person,
    Point,
    SkippedFace,
    Verdict,
)

__all__ = [
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
    "Pixels",
    "Point",
    "Reason",
    "SkippedFace",
    "Thresholds",
    "Verdict",
]

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    # RGB, (H, W, 3). For type checkers alone: asking for help or a card does not load NumPy.
    Pixels = NDArray[np.uint8]

DEFAULT_MAX_PIXELS = 120_000_000  # the 108-megapixel cameras of telephones fit


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


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """What one may choose when asking for verdicts.

    Attributes:
        faces: One of :data:`FINDERS`: ``"whole"`` takes each picture as a face, ``"auto"`` picks
            the best finder there is and takes pictures that are face crops as they are.
        threshold: One cut in place of the card's two; ``None`` keeps the card's.
        max_pixels: Pictures with more are refused before anything is decoded.
        batch_size: Crops scored in one call.
        jobs: Threads; 0 = one a core.
        min_face_px: Faces whose longest side is shorter are not judged.
        heat: Keep the evidence map of each face.
        guard: Do not decide on faces that are unfamiliar to the model.
        fpr: Call fake from the card's threshold for this false-positive rate on.
        frames: Of a clip, so many evenly spaced over its length.
        every_s: Of a clip, one frame every so many seconds in place of ``frames``.
        finder_model: File of the finder's model, where it needs one that is not shipped.
    """

    faces: str = "auto"
    threshold: float | None = None
    max_pixels: int = DEFAULT_MAX_PIXELS
    batch_size: int = 1
    jobs: int = 0
    min_face_px: int = 40
    heat: bool = False
    guard: bool = True
    fpr: float | None = None
    frames: int = 32
    every_s: float | None = None
    finder_model: str | None = None

    def __post_init__(self) -> None:
        if self.faces not in FINDERS:
            raise OptionError(f"faces must be one of {', '.join(FINDERS)}, got {self.faces!r}")
        if self.every_s is not None and not 0 < self.every_s < math.inf:
            raise OptionError(f"every_s must be above 0 and finite, got {self.every_s}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold must lie in 0..1, got {self.threshold}")
        if self.fpr is not None and not 0 < self.fpr < 1:
            raise OptionError(f"fpr must lie between 0 and 1, got {self.fpr}")
        if self.fpr is not None and self.threshold is not None:
            raise OptionError("fpr and threshold are two ways to say the same: give one of them")
        least = {"max_pixels": 1, "batch_size": 1, "jobs": 0, "min_face_px": 1, "frames": 1}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise OptionError(f"{name} must be at least {smallest}, got {getattr(self, name)}")
