"""An answer and its parts: frozen, checked when made, one JSON shape there and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesoscope.errors import OptionError
from mesoscope.types.label import LABELS, Label, answer_of
from mesoscope.types.schema import VERSIONS, loads, read, refuse_version

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mesoscope.types.card import Json
    from mesoscope.types.label import Answer, Reason

__all__ = ["Box", "FaceScore", "Person", "Point", "SkippedFace", "Verdict"]

if TYPE_CHECKING:
    Why = Reason
    Heat = NDArray[np.float32]
else:  # what JSON may hold: the reason of a later version is any text, and a heat map never comes
    Why, Heat = str, Any

Box = tuple[float, float, float, float]
Point = tuple[float, float]


def longest_side(box: Box) -> float:
    """The longer side of a box, in pixels."""
    x1, y1, x2, y2 = box
    return max(x2 - x1, y2 - y1)


@dataclass(frozen=True, slots=True)
class FaceScore:
    """What the model says of one face.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels of the frame.
        confidence: The finder's, 0 to 1; as of :class:`~mesoscope.types.Face`.
        p_fake: Calibrated probability that the face is forged, 0 to 1.
        frame_index: The frame it stands in.
        time_s: That frame's time in seconds; ``None`` for a picture.
        heat: Evidence map of the crop, ``(h, w) float32``, not negative; only when asked for.
        unfamiliar: How far the crop is from those of the training, not negative; beyond the card's
            ``guard.unfamiliar_above`` it is unfamiliar. ``None`` for a model without a guard.
        landmarks: As of :class:`Face`.
        person: Which of the verdict's persons, counted from 0; always 0 in a picture's verdict
            without persons.
    """

    box: Box
    confidence: float
    p_fake: float
    frame_index: int = 0
    time_s: float | None = None
    heat: Heat | None = field(default=None, compare=False, repr=False)
    unfamiliar: float | None = None
    landmarks: tuple[Point, ...] = ()
    person: int = 0

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
            "time_s": None if self.time_s is None else round(self.time_s, 6),
            "person": self.person,
        }
        if self.landmarks:
            data["landmarks"] = [[round(x, 2), round(y, 2)] for x, y in self.landmarks]
        if self.unfamiliar is not None:
            data["unfamiliar"] = round(self.unfamiliar, 4)
        return data


@dataclass(frozen=True, slots=True)
class SkippedFace:
    """A face that was found and not judged.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels of the frame.
        confidence: The finder's, 0 to 1.
        frame_index: The frame it stands in.
        time_s: That frame's time in seconds; ``None`` for a picture.
        reason: ``face_too_small``.
    """

    box: Box
    confidence: float
    frame_index: int = 0
    time_s: float | None = None
    reason: Why = "face_too_small"

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape."""
        return {
            "box": [round(v, 2) for v in self.box],
            "confidence": round(self.confidence, 4),
            "frame_index": self.frame_index,
            "time_s": None if self.time_s is None else round(self.time_s, 6),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Person:
    """One face through a clip: the scores of a person's frames as one. No identity is stored.

    Attributes:
        number: From 0, in the order of appearance.
        label: ``fake``, ``real``, ``inconclusive``, or ``None`` with a reason.
        p_fake: Over the person's frames, by the rule in the model's card.
        reason: Why there is no label, or why it is inconclusive; ``None`` otherwise.
        frames: In how many frames the face was judged.
        first_s: Time of the first of them in seconds.
        last_s: Time of the last.
        face_px: Median of the faces' longest sides in pixels; ``None`` where it is not known.
        background: Small beside whom the clip shows, so that it decides no verdict
            (:func:`mesoscope.detection.judge.in_background`).
    """

    number: int
    label: Label | None
    p_fake: float | None
    frames: int
    first_s: float
    last_s: float
    reason: Why | None = None
    face_px: float | None = None
    background: bool = False

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape."""
        return {
            "number": self.number,
            "label": self.label,
            "p_fake": None if self.p_fake is None else round(self.p_fake, 6),
            "reason": self.reason,
            "frames": self.frames,
            "first_s": round(self.first_s, 6),
            "last_s": round(self.last_s, 6),
            "face_px": None if self.face_px is None else round(self.face_px, 2),
            "background": self.background,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one source, and the one JSON shape of command line, API and reports.

    Attributes:
        source: The path, or ``<array>``, ``<image>``, ``<bytes>``.
        kind: ``"image"`` or ``"clip"``.
        label: ``fake``, ``real``, ``inconclusive``, or ``None`` where nothing could be judged.
        p_fake: Of the deciding face (:func:`mesoscope.detection.judge.judge`), 0 to 1; ``None``
            where nothing was scored.
        reason: Why there is no label, or why it is inconclusive; ``None`` otherwise.
        faces: One score a face, of a clip in the order of time.
        frames_read: Pictures decoded.
        model: ``name@first 8 digits of the file's SHA-256``.
        finder: Which face finder answered; ``None`` where none was asked.
        skipped: Faces that were found and not judged.
        persons: Of a clip: one a person, in the order of appearance.
        duration_s: Of a clip, as far as it is known.
        notes: What the user should know besides, in sentences: why a picture was taken as a face,
            what of a clip could not be decoded.
        elapsed_s: Seconds by stage.
        error: ``{"code", "message"}`` where the source could not be read.
    """

    source: str
    kind: str
    label: Label | None
    p_fake: float | None
    model: str
    reason: Why | None = None
    faces: tuple[FaceScore, ...] = ()
    frames_read: int = 1
    elapsed_s: Mapping[str, float] = field(default_factory=dict, compare=False)
    error: Mapping[str, str] | None = None
    finder: str | None = None
    skipped: tuple[SkippedFace, ...] = ()
    persons: tuple[Person, ...] = ()
    duration_s: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("image", "clip"):
            raise OptionError(f"{self.source}: kind must be image or clip, got {self.kind!r}")
        if self.p_fake is not None and not 0 <= self.p_fake <= 1:
            raise OptionError(f"{self.source}: p_fake must lie in 0..1, got {self.p_fake}")
        if self.label not in (*LABELS, None):
            raise OptionError(f"{self.source}: unknown label {self.label!r}")

    @property
    def answer(self) -> Answer:
        """The label, ``none`` where nothing was judged, ``unreadable`` with an error."""
        return answer_of(self.label, failed=self.error is not None)

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape, schema 2."""
        return {
            "schema": VERSIONS["verdict"][-1],
            "source": self.source,
            "kind": self.kind,
            "label": self.label,
            "p_fake": None if self.p_fake is None else round(self.p_fake, 6),
            "reason": self.reason,
            "faces": [face.to_dict() for face in self.faces],
            "skipped": [face.to_dict() for face in self.skipped],
            "persons": [person.to_dict() for person in self.persons],
            "duration_s": None if self.duration_s is None else round(self.duration_s, 6),
            "frames_read": self.frames_read,
            "finder": self.finder,
            "notes": list(self.notes),
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
            data = loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"not a verdict: {error}") from error
        if not isinstance(data, dict) or "schema" not in data:
            raise OptionError("not a verdict: it is no object with a schema")
        refuse_version("verdict", data.pop("schema"), OptionError, where="a verdict of schema")
        return read(cls, data, OptionError, what="not a verdict")
