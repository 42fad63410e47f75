"""The values that travel the one path: frozen, checked when made, written as JSON.

Conventions everywhere: fake = 1 and real = 0, ``p_fake`` higher = more fake; pictures are RGB
``uint8``; boxes are ``(x1, y1, x2, y2)`` in pixels of the source picture after EXIF rotation;
times are seconds.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mesoscope.card import Calibration, Guard, Json, ModelCard, OperatingPoint, Thresholds
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Box",
    "Calibration",
    "DetectOptions",
    "Face",
    "FaceScore",
    "Frame",
    "Guard",
    "Json",
    "Label",
    "ModelCard",
    "OperatingPoint",
    "Pixels",
    "Thresholds",
    "Verdict",
]

Pixels = NDArray[np.uint8]  # RGB, (H, W, 3)
Box = tuple[float, float, float, float]
Label = Literal["fake", "real", "inconclusive"]

SCHEMA = 1
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
        confidence: How sure the finder is, 0 to 1; 1 where the picture was taken as a face.
    """

    box: Box
    confidence: float = 1.0

    def __post_init__(self) -> None:
        x1, y1, x2, y2 = self.box
        if not all(math.isfinite(v) for v in self.box) or x2 <= x1 or y2 <= y1:
            raise OptionError(f"a face box must be x1 < x2, y1 < y2 and finite, got {self.box}")


@dataclass(frozen=True, slots=True)
class FaceScore:
    """What the model says of one face.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels of the frame.
        confidence: The finder's, 0 to 1.
        p_fake: Calibrated probability that the face is forged, 0 to 1.
        frame_index: The frame it stands in.
        time_s: That frame's time in seconds; ``None`` for a picture.
        heat: Evidence map of the crop, ``(h, w) float32``, not negative; only when asked for.
        unfamiliar: How far the crop is from those of the training, not negative; beyond the card's
            ``guard.unfamiliar_above`` it is unfamiliar. ``None`` for a model without a guard.
    """

    box: Box
    confidence: float
    p_fake: float
    frame_index: int = 0
    time_s: float | None = None
    heat: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    unfamiliar: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.p_fake <= 1:
            raise OptionError(f"p_fake of a face must lie in 0..1, got {self.p_fake}")
        if self.unfamiliar is not None and not 0 <= self.unfamiliar < math.inf:
            raise OptionError(
                f"unfamiliar of a face must be finite and not negative, got {self.unfamiliar}"
            )

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape; the heat map stays behind, and so does ``unfamiliar`` where unknown."""
        data: dict[str, Json] = {
            "box": [round(v, 2) for v in self.box],
            "confidence": round(self.confidence, 4),
            "p_fake": round(self.p_fake, 6),
            "frame_index": self.frame_index,
            "time_s": self.time_s,
        }
        if self.unfamiliar is not None:
            data["unfamiliar"] = round(self.unfamiliar, 4)
        return data


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one source, and the one JSON shape of command line, API and reports.

    Attributes:
        source: The path, or ``<array>``, ``<image>``, ``<bytes>``.
        kind: ``"image"``.
        label: ``fake``, ``real``, ``inconclusive``, or ``None`` where nothing could be judged.
        p_fake: Of the deciding face (:func:`mesoscope.judge.judge`), 0 to 1; ``None`` where
            nothing was scored.
        reason: Why there is no label, or why it is inconclusive; ``None`` otherwise.
        faces: One score a face.
        frames_read: Pictures decoded.
        model: ``name@first 8 digits of the file's SHA-256``.
        elapsed_s: Seconds by stage.
        error: ``{"code", "message"}`` where the source could not be read.
    """

    source: str
    kind: str
    label: Label | None
    p_fake: float | None
    model: str
    reason: str | None = None
    faces: tuple[FaceScore, ...] = ()
    frames_read: int = 1
    elapsed_s: Mapping[str, float] = field(default_factory=dict, compare=False)
    error: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if self.p_fake is not None and not 0 <= self.p_fake <= 1:
            raise OptionError(f"{self.source}: p_fake must lie in 0..1, got {self.p_fake}")
        if self.label not in ("fake", "real", "inconclusive", None):
            raise OptionError(f"{self.source}: unknown label {self.label!r}")

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape, schema 1."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "kind": self.kind,
            "label": self.label,
            "p_fake": None if self.p_fake is None else round(self.p_fake, 6),
            "reason": self.reason,
            "faces": [face.to_dict() for face in self.faces],
            "frames_read": self.frames_read,
            "model": self.model,
            "elapsed_s": {stage: round(s, 5) for stage, s in self.elapsed_s.items()},
            "error": None if self.error is None else dict(self.error),
        }

    def to_json(self) -> str:
        """One line of JSON in plain ASCII; a name that is not UTF-8 survives, escaped."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Read back what :meth:`to_json` wrote.

        Raises:
            OptionError: Not a verdict, or of a schema that this version does not know.
        """
        try:
            data = json.loads(text)
            if data["schema"] != SCHEMA:
                raise OptionError(
                    f"a verdict of schema {data['schema']}, and this version reads {SCHEMA}: "
                    "update mesoscope"
                )
            faces = tuple(
                FaceScore(**{**face, "box": tuple(face["box"])}) for face in data.pop("faces")
            )
            del data["schema"]
            return cls(**data, faces=faces)
        except (ValueError, TypeError, KeyError) as error:
            raise OptionError(f"not a verdict: {error}") from error


@dataclass(frozen=True, slots=True)
class DetectOptions:
    """What one may choose when asking for verdicts.

    Attributes:
        faces: ``"whole"`` takes each picture as a face; ``"auto"`` picks the best finder there is.
        threshold: One cut in place of the card's two; ``None`` keeps the card's.
        max_pixels: Pictures with more are refused before anything is decoded.
        batch_size: Crops scored in one call.
        jobs: Threads; 0 = one a core.
        min_face_px: Faces whose longest side is shorter are not judged.
        heat: Keep the evidence map of each face.
        guard: Do not decide on faces that are unfamiliar to the model.
        fpr: Call fake from the card's threshold for this false-positive rate on.
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

    def __post_init__(self) -> None:
        if self.faces not in ("auto", "whole"):
            raise OptionError(f"faces must be auto or whole, got {self.faces!r}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold must lie in 0..1, got {self.threshold}")
        if self.fpr is not None and not 0 < self.fpr < 1:
            raise OptionError(f"fpr must lie between 0 and 1, got {self.fpr}")
        if self.fpr is not None and self.threshold is not None:
            raise OptionError("fpr and threshold are two ways to say the same: give one of them")
        least = {"max_pixels": 1, "batch_size": 1, "jobs": 0, "min_face_px": 1}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise OptionError(f"{name} must be at least {smallest}, got {getattr(self, name)}")
