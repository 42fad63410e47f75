"""Schemas of the JSON requests and responses, for OpenAPI, with examples."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mesoscope.types.label import Label, Opinion

Id = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_-]+$")]
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class Shape(BaseModel):
    """Base of all schemas; further fields are refused."""

    model_config = ConfigDict(extra="forbid")


class FileError(Shape):
    """Why a file could not be judged."""

    code: str
    message: str


class FaceShape(Shape):
    """A judged face; the box is x1, y1, x2, y2 in pixels of the upright picture."""

    box: tuple[float, float, float, float]
    confidence: float
    p_fake: Share
    frame_index: int
    time_s: float | None
    person: int
    unfamiliar: float | None = None
    landmarks: list[tuple[float, float]] = []


class SkippedShape(Shape):
    """A face that was detected and not judged."""

    box: tuple[float, float, float, float]
    confidence: float
    frame_index: int
    time_s: float | None
    reason: str


class PersonShape(Shape):
    """A person of a clip."""

    number: int
    label: Label | None
    p_fake: Share | None
    frames: int
    first_s: float
    last_s: float
    reason: str | None
    face_px: float | None = Field(
        None, description="median of the faces' longest sides; results of before lack it"
    )
    background: bool = Field(False, description="in the background: does not decide the clip")


class VerdictShape(Shape):
    """A verdict, as on the command line and in Python."""

    schema_: Annotated[Literal[1, 2], Field(alias="schema")]
    source: str
    kind: Literal["image", "clip"]
    label: Label | None
    p_fake: Share | None
    reason: str | None
    faces: list[FaceShape]
    skipped: list[SkippedShape]
    persons: list[PersonShape]
    duration_s: float | None
    frames_read: int
    finder: str | None
    notes: list[str]
    model: str
    elapsed_s: dict[str, float]
    error: FileError | None


class EvidenceShape(Shape):
    """Square of a face's crop in the picture, and its evidence map as a PNG overlay."""

    face: int
    square: Annotated[list[float], Field(description="left, top, side in pixels of the picture")]
    png: Annotated[str, Field(description="base64", json_schema_extra={"format": "byte"})]


class EvidencesShape(Shape):
    """Evidence maps of a result."""

    evidence: list[EvidenceShape]


class PreviewShape(Shape):
    """A picture as a JPEG of at most 1600 pixels, and its original size."""

    width: int
    height: int
    jpeg: Annotated[str, Field(description="base64", json_schema_extra={"format": "byte"})]


class FindingShape(Shape):
    """A finding about the provenance of a file."""

    kind: str
    field: str
    value: str
    where: str
    meaning: str
    weight: Literal["strong", "hint", "note"]


class ProvenanceShape(Shape):
    """Provenance of a file; never part of a score."""

    schema_: Annotated[int, Field(alias="schema")]
    source: str
    kind: str | None
    findings: list[FindingShape]
    error: FileError | None


class CheckedShape(Shape):
    """Result of one file of a check."""

    id: Id | None
    sha256: Sha256
    verdict: VerdictShape
    evidence: list[EvidenceShape] | None
    provenance: ProvenanceShape | None
    preview: Annotated[PreviewShape | None, Field(description="where it was asked for")] = None


class CheckShape(Shape):
    """Results of a check, one per file, in the order of the upload."""

    results: list[CheckedShape]


class FeedbackShape(Shape):
    """Feedback on a result."""

    result: Id
    says: Opinion
    note: Annotated[str, Field(max_length=2000)] = ""


class SaidShape(Shape):
    """Stored feedback."""

    says: Opinion
    note: str


class ResultShape(Shape):
    """A result of the history."""

    id: Id
    job: Id | None
    seq: int | None
    created: Annotated[str, Field(description="UTC, ISO 8601")]
    name: str
    sha256: Sha256
    picture: Annotated[bool, Field(description="whether the file was kept")]
    verdict: VerdictShape
    provenance: ProvenanceShape | None
    feedback: SaidShape | None


class ResultsShape(Shape):
    """A page of results."""

    results: list[ResultShape]
    next: Annotated[
        int | None, Field(description="give it as `before` or `after` to get the next page")
    ]


class JobShape(Shape):
    """A job."""

    id: Id
    name: str
    state: Literal["queued", "running", "done", "cancelled", "failed"]
    total: Annotated[int | None, Field(description="files; null until they are counted")]
    done: int
    failed: Annotated[int, Field(description="files that could not be read")]
    fake: int
    created: str
    finished: str | None
    error: FileError | None


class JobsShape(Shape):
    """A page of jobs."""

    jobs: list[JobShape]
    next: int | None


class ModelShape(Shape):
    """The model, its thresholds, and the options of the service."""

    id: str
    version: Annotated[str, Field(description="of mesoscope")]
    real_below: float
    fake_above: float
    unfamiliar_above: Annotated[
        float | None, Field(description="of the guard in force; none without one")
    ]
    card: dict[str, object]
    options: dict[str, object]
    keep_days: Annotated[float, Field(description="so long a file is kept; 0 = never")]
    keep_results_days: float
    limits: dict[str, float]
    signs: Annotated[bool, Field(description="whether reports are signed")]


class HealthShape(Shape):
    """Liveness or readiness."""

    status: str


class ProblemShape(BaseModel):
    """An error response by RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str


EXAMPLE_VERDICT = {
    "schema": 2, "source": "holiday.jpg", "kind": "image", "label": "real", "p_fake": 0.071409,
    "reason": None,
    "faces": [
        {
            "box": [180.21, 74.9, 263.4, 190.02], "confidence": 0.99914, "p_fake": 0.071409,
            "frame_index": 0, "time_s": None, "person": 0, "unfamiliar": 6.4,
        }
    ],
    "skipped": [], "persons": [], "duration_s": None, "frames_read": 1, "finder": "mtcnn",
    "notes": [], "model": "mesoscope@2f0c6a1b",
    "elapsed_s": {"read": 0.00291, "find": 0.0225, "score": 0.0025}, "error": None,
}  # fmt: skip
EXAMPLE_ID = "Y2F0c2xpa2VtYXRofQ"
EXAMPLE_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
EXAMPLE_CHECK = {
    "results": [
        {
            "id": EXAMPLE_ID, "sha256": EXAMPLE_SHA256,
            "verdict": EXAMPLE_VERDICT, "evidence": None, "provenance": None,
        }
    ]
}  # fmt: skip
EXAMPLE_JOB = {
    "id": "b25lIGpvYiBhdCBhIHRpbQ", "name": "archive.zip", "state": "running", "total": 1200,
    "done": 311, "failed": 2, "fake": 14, "created": "2026-11-29T05:12:06.120Z", "finished": None,
    "error": None,
}  # fmt: skip
EXAMPLE_RESULT = {
    "id": EXAMPLE_ID, "job": None, "seq": None, "created": "2026-11-29T05:12:06.120Z",
    "name": "holiday.jpg", "sha256": EXAMPLE_SHA256, "picture": False,
    "verdict": EXAMPLE_VERDICT, "provenance": None,
    "feedback": {"says": "real", "note": "my own photograph"},
}  # fmt: skip
EXAMPLE_PROBLEM = {
    "type": "urn:mesoscope:problem:source.unreadable", "title": "The file cannot be judged",
    "status": 422, "detail": "holiday.jpg: the JPEG is truncated: fetch it again",
    "code": "source.unreadable", "instance": "urn:mesoscope:request:5f1c0d3a9e7b",
}  # fmt: skip
