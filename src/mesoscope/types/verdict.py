"""The verdict on a source and its parts: frozen, validated, and read from and written to JSON."""

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
else:  # types of the JSON: reasons of later versions are any text, and heat maps are not stored
    Why, Heat = str, Any

Box = tuple[float, float, float, float]
Point = tuple[float, float]


def longest_side(box: Box) -> float:
    """Return the longer side of a box, in pixels."""
    x1, y1, x2, y2 = box
    return max(x2 - x1, y2 - y1)


@dataclass(frozen=True, slots=True)
class FaceScore:
    """The score of one face.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels of the frame.
        confidence: Confidence of the finder, 0 to 1, as in :class:`~mesoscope.types.Face`.
        p_fake: Calibrated probability that the face is forged, 0 to 1.
        frame_index: Index of the frame.
        time_s: Time of the frame in seconds; ``None`` for a picture.
        heat: Evidence map of the crop, ``(h, w) float32``, not negative; ``None`` unless requested.
        unfamiliar: Distance of the crop from the training data, not negative; above the card's
            ``guard.unfamiliar_above`` the face is unfamiliar. ``None`` for a model without a guard.
        landmarks: As in :class:`~mesoscope.types.Face`.
        person: Index into the verdict's persons, from 0; 0 for a picture, which has no persons.

    Raises:
        OptionError: ``p_fake`` or ``unfamiliar`` is out of range.
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
        """Return the JSON object, without the heat map and without unknown values."""
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
    """A face that was found but not judged.

    Attributes:
        box: ``(x1, y1, x2, y2)`` in pixels of the frame.
        confidence: Confidence of the finder, 0 to 1.
        frame_index: Index of the frame.
        time_s: Time of the frame in seconds; ``None`` for a picture.
        reason: Why it was not judged: ``face_too_small``.
    """

    box: Box
    confidence: float
    frame_index: int = 0
    time_s: float | None = None
    reason: Why = "face_too_small"

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON object."""
        return {
            "box": [round(v, 2) for v in self.box],
            "confidence": round(self.confidence, 4),
            "frame_index": self.frame_index,
            "time_s": None if self.time_s is None else round(self.time_s, 6),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a clip: the aggregated scores of a face over the frames. Stores no identity.

    Attributes:
        number: Index from 0, in the order of appearance.
        label: ``fake``, ``real``, ``inconclusive``, or ``None`` with a reason.
        p_fake: Score over the person's frames, by the aggregation in the model's card.
        reason: Why there is no label, or why it is inconclusive; ``None`` otherwise.
        frames: Number of frames in which the face was judged.
        first_s: Time of the first of these frames, in seconds.
        last_s: Time of the last one, in seconds.
        face_px: Median longest side of the faces in pixels; ``None`` if unknown.
        background: Whether the face is small beside the main persons; such a face decides no
            verdict (:func:`mesoscope.detection.judge.in_background`).
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
        """Return the JSON object."""
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
    """The verdict on one source; its JSON is that of the command line, the API and the reports.

    Attributes:
        source: The path, or ``<array>``, ``<image>``, ``<bytes>``.
        kind: ``"image"`` or ``"clip"``.
        label: ``fake``, ``real``, ``inconclusive``, or ``None`` if nothing could be judged.
        p_fake: Score of the deciding face (:func:`mesoscope.detection.judge.judge`), 0 to 1;
            ``None`` if nothing was scored.
        reason: Why there is no label, or why it is inconclusive; ``None`` otherwise.
        faces: Score of each face, those of a clip in order of time.
        frames_read: Number of decoded frames.
        model: ``name@first 8 digits of the file's SHA-256``.
        finder: Name of the face finder that was used; ``None`` if none was.
        skipped: Faces that were found but not judged.
        persons: Persons of a clip, in the order of appearance.
        duration_s: Duration of a clip, if known.
        notes: Sentences for the user, such as why a picture was taken as a face or which part of a
            clip could not be decoded.
        elapsed_s: Seconds per stage.
        error: ``{"code", "message"}`` if the source could not be read.

    Raises:
        OptionError: ``kind``, ``p_fake`` or ``label`` is invalid.
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
        """The label; ``none`` if nothing was judged, ``unreadable`` with an error."""
        return answer_of(self.label, failed=self.error is not None)

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON object, schema 2."""
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
        """Return one line of ASCII JSON; names that are not UTF-8 are kept, escaped."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Read a verdict from the JSON of :meth:`to_json`.

        Raises:
            OptionError: The text is not a verdict, or has an unknown schema.
        """
        try:
            data = loads(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(f"not a verdict: {error}") from error
        if not isinstance(data, dict) or "schema" not in data:
            raise OptionError("not a verdict: not an object with a schema")
        refuse_version("verdict", data.pop("schema"), OptionError, where="a verdict of schema")
        return read(cls, data, OptionError, what="not a verdict")
