"""The values that travel the one path: frozen, checked when made, written as JSON.

Conventions everywhere: fake = 1 and real = 0, ``p_fake`` higher = more fake; pictures are RGB
``uint8``; boxes are ``(x1, y1, x2, y2)`` in pixels of the source picture after EXIF rotation;
times are seconds.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import ModelError, OptionError

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
    "Pixels",
    "Thresholds",
    "Verdict",
]

Pixels = NDArray[np.uint8]  # RGB, (H, W, 3)
Box = tuple[float, float, float, float]
Label = Literal["fake", "real", "inconclusive"]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

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
class Calibration:
    """How the network's own logit became a calibrated one: ``scale * logit + shift``.

    Platt scaling (Platt 1999), inside the model's graph; here only as a record.
    """

    scale: float = 1.0
    shift: float = 0.0
    method: str = "none"
    fitted_on: str = ""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where ``p_fake`` turns into a label.

    Attributes:
        real_below: Below this: real.
        fake_above: From this on: fake; between the two: inconclusive.
        rule: How they were chosen.
    """

    real_below: float = 0.5
    fake_above: float = 0.5
    rule: str = "0.5"

    def __post_init__(self) -> None:
        if not 0 <= self.real_below <= self.fake_above <= 1:
            raise ModelError(
                "thresholds must satisfy 0 <= real_below <= fake_above <= 1, got "
                f"{self.real_below} and {self.fake_above}"
            )


@dataclass(frozen=True, slots=True)
class Guard:
    """How the model knows that a face is like none of its training.

    Attributes:
        unfamiliar_above: Faces whose ``unfamiliar`` lies above it are not decided.
        false_refusals: Share of validation faces that it refuses.
        rule: How the score is made and the threshold was chosen.
        fitted_on: On what.
    """

    unfamiliar_above: float = 1.0
    false_refusals: float = 0.0
    rule: str = ""
    fitted_on: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.unfamiliar_above < math.inf and 0 <= self.false_refusals <= 1):
            raise ModelError(
                "a guard needs unfamiliar_above > 0 and false_refusals in 0..1, got "
                f"{self.unfamiliar_above} and {self.false_refusals}"
            )


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model file says of itself; it travels in the file's metadata.

    Attributes:
        name: Short name, as shown in ``model`` of a verdict.
        architecture: ``meso4``, ``mesoinception4``.
        input_px: Side of the square crops it takes.
        crop_margin: Longest box side times this is the side of the crop.
        resize: Filter of the crop, see :mod:`mesoscope.faces.crop`.
        calibration: What was done to the logit.
        thresholds: Where ``p_fake`` turns into a label.
        guard: When a face is unfamiliar; ``None`` where the model cannot tell.
        training_data: In words: what it saw.
        metrics: What was measured, with conditions.
        recipe_sha256: Digest of the resolved recipe, empty for imported weights.
        parameters: Trainable parameters.
        sparsity: What pruning took away: overall and by layer; empty where nothing was pruned.
        licence: Of the weights.
        source: Where the weights come from.
        label_convention: Always the same sentence.
        graph_sha256: Digest of the graph, set by the exporter.
        self_check: ``p_fake`` for the four pictures of :func:`mesoscope.scorer.check_pictures`.
        card_version: Of this shape.
    """

    name: str
    architecture: str
    input_px: int = 256
    crop_margin: float = 1.0
    resize: str = "area"
    calibration: Calibration = field(default_factory=Calibration)
    thresholds: Thresholds = field(default_factory=Thresholds)
    training_data: str = ""
    metrics: Mapping[str, Json] = field(default_factory=dict)
    recipe_sha256: str = ""
    parameters: int = 0
    sparsity: Mapping[str, Json] = field(default_factory=dict)
    licence: str = ""
    source: str = ""
    label_convention: str = "p_fake: fake = 1, real = 0"
    graph_sha256: str = ""
    self_check: tuple[float, ...] = ()
    card_version: int = 1
    guard: Guard | None = None

    def __post_init__(self) -> None:
        if not (self.input_px >= 1 and 1 <= self.crop_margin < math.inf):
            raise ModelError(
                "a card needs input_px and crop_margin of at least 1, got "
                f"{self.input_px} and {self.crop_margin}"
            )

    def to_json(self) -> str:
        """The card as JSON, keys sorted."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card.

        Raises:
            ModelError: Not a card, or of a newer version.
        """
        try:
            data = json.loads(text)
            version = data.get("card_version")
            if version != 1:
                raise ModelError(
                    f"its card has version {version}, and this mesoscope reads 1: update mesoscope"
                )
            data["calibration"] = Calibration(**data["calibration"])
            data["thresholds"] = Thresholds(**data["thresholds"])
            data["self_check"] = tuple(data["self_check"])
            if data.get("guard") is not None:
                data["guard"] = Guard(**data["guard"])
            return cls(**data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"its card cannot be read: {error}") from error


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
    """

    faces: str = "auto"
    threshold: float | None = None
    max_pixels: int = DEFAULT_MAX_PIXELS
    batch_size: int = 1
    jobs: int = 0
    min_face_px: int = 40
    heat: bool = False
    guard: bool = True

    def __post_init__(self) -> None:
        if self.faces not in ("auto", "whole"):
            raise OptionError(f"faces must be auto or whole, got {self.faces!r}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise OptionError(f"threshold must lie in 0..1, got {self.threshold}")
        least = {"max_pixels": 1, "batch_size": 1, "jobs": 0, "min_face_px": 1}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise OptionError(f"{name} must be at least {smallest}, got {getattr(self, name)}")
