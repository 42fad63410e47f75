"""Uploads → answers, by the one path; what stands beside a verdict is made here, too."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from mesoscope.detection.detector import DetectorSpec
from mesoscope.detection.scorer import OnnxScorer
from mesoscope.draw import Terms, square_of
from mesoscope.draw.heat import FULL, colours, log_odds
from mesoscope.errors import MesoscopeError, SourceError
from mesoscope.errors.failures import cause
from mesoscope.imaging.encode import jpeg, png
from mesoscope.imaging.filters import scaled
from mesoscope.media.image import open_image
from mesoscope.media.provenance import Provenance, read_provenance
from mesoscope.media.walk import Unreadable
from mesoscope.models.file import find_model
from mesoscope.scan.job import renamed
from mesoscope.types import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from mesoscope.media.image import FileBytes
    from mesoscope.types import DetectOptions, Json


@dataclass(frozen=True, slots=True)
class ClipRequest:
    """A clip, or whatever was sent as one: too large to hold in memory.

    Attributes:
        path: Where it lies.
        name: What its caller calls it.
    """

    path: Path
    name: str

    def source(self) -> Path:
        """Where it lies: it is not read into memory."""
        return self.path


_BLOCK = 1 << 20
MAP_PX = 128  # side of an evidence map that is sent
PREVIEW_PX = 1600  # longest side of a preview
_PREVIEW_QUALITY = 95
_COVERS, _RISE = 0.85, 0.7  # as mesoscope.draw lays maps over pictures


class Held(Protocol):
    """What can be judged: an upload, a member of an archive."""

    @property
    def name(self) -> str:
        """What its caller calls it."""
        ...

    def source(self) -> FileBytes | Path:
        """Its bytes under its name, or where it lies.

        Raises:
            SourceError: It cannot be read.
        """
        ...


@dataclass(slots=True)
class Question:
    """One file and what is asked of it.

    Attributes:
        file: What is judged.
        id: Of its result.
        heat: Make evidence maps.
        provenance: Tell what the file says of itself.
        whole: Keep its bytes in the answer, for whoever stores them.
        preview: Send the picture back as a JPEG, for browsers that cannot show its kind.
    """

    file: Held
    id: str
    heat: bool = False
    provenance: bool = False
    whole: bool = False
    preview: bool = False


@dataclass(slots=True)
class UploadAnswer:
    """What became of a question.

    Attributes:
        verdict: Its source is the upload's name.
        text: The verdict as JSON, made once for caller and database.
        sha256: Of the file, in hexadecimal.
        size: Of the file, in bytes.
        evidence: One a face: square and map; ``None`` where none was asked for.
        provenance: As :meth:`Provenance.to_dict`; ``None`` where it was not asked for.
        data: The file's bytes, or where it lies, where it is to be kept.
        preview: The picture as a JPEG and its size; ``None`` where none was asked for.
    """

    verdict: Verdict
    text: str
    sha256: str
    size: int
    evidence: list[Json] | None = None
    provenance: dict[str, Json] | None = None
    data: bytes | Path | None = field(default=None, repr=False)
    preview: dict[str, Json] | None = None

    def body(self, result_id: str | None) -> bytes:
        """The JSON object that a caller gets."""
        beside: dict[str, Json] = {"evidence": self.evidence, "provenance": self.provenance}
        if self.preview is not None:
            beside["preview"] = self.preview
        head = compact({"id": result_id, "sha256": self.sha256})
        return b'%s,"verdict":%s,%s' % (head[:-1], self.text.encode("ascii"), compact(beside)[1:])


class Judges:
    """Detectors with one model in memory: with evidence maps and without.

    Args:
        model: Name of a shipped model or path of a model file.
        options: By which is judged; each call takes one thread.
        told: Called with each failure that no file should cause.

    Raises:
        ModelError: No such model, or not a model file.
        OptionError: Options that do not go together.
    """

    def __init__(
        self,
        model: str,
        options: DetectOptions,
        told: Callable[[str, dict[str, object]], None] | None = None,
    ) -> None:
        self._told = told
        self.model_path = find_model(model)
        scorer = OnnxScorer(self.model_path)
        spec = DetectorSpec.of(scorer, dataclasses.replace(options, jobs=1, heat=False))
        self.plain = spec.build()
        self.mapping = dataclasses.replace(spec, heat=True).build()
        guard = self.plain.card.guard if options.guard else None
        card = self.plain.card
        self.terms = Terms(self.plain.thresholds, guard, card.face_margin, card.crop_margin)

    def answer(self, questions: Sequence[Question]) -> Iterator[UploadAnswer]:
        """Judge some files together; one answer a question, in their order.

        A file that cannot be read has a verdict that says so, whatever went wrong. Where it is not
        known whose fault it is, this raises, and each file is to be tried by itself.
        """
        try:
            yield from self._together(questions)
        except Exception as error:
            if len(questions) > 1:
                raise
            yield self._failed(questions[0], error)

    def _failed(self, question: Question, error: Exception) -> UploadAnswer:
        if self._told is not None:
            what = f"{type(error).__name__}: {error}"
            self._told("a file failed", {"error": what, "trace": traceback.format_exc()})
        name = question.file.name
        message = f"{name}: cannot be judged, which is a fault of the service: its log says why"
        verdict = Verdict(
            source=name, kind="image", label=None, p_fake=None, model=self.plain.model_id,
            reason="unreadable", frames_read=0,
            error={"code": SourceError.code, "message": message},
        )  # fmt: skip
        return UploadAnswer(verdict, verdict.to_json(), "", 0)

    def _together(self, questions: Sequence[Question]) -> Iterator[UploadAnswer]:
        sources = [_source(question.file) for question in questions]
        detector = self.mapping if any(q.heat for q in questions) else self.plain
        verdicts = detector.check_many(sources, keep_going=True)
        for question, source, verdict in zip(questions, sources, verdicts, strict=True):
            yield self._answer(question, source, verdict)

    def _answer(
        self, question: Question, source: FileBytes | Path | Unreadable, verdict: Verdict
    ) -> UploadAnswer:
        name = question.file.name
        verdict = renamed(verdict, name)
        if isinstance(source, Unreadable):
            return UploadAnswer(verdict, verdict.to_json(), "", 0)
        digest, size = identity(source)
        answer = UploadAnswer(verdict, verdict.to_json(), digest, size)
        if question.heat:
            answer.evidence = self.evidence(verdict)
        if question.provenance:
            answer.provenance = provenance_of(
                str(source) if isinstance(source, Path) else source, name
            )
        if question.whole:
            answer.data = source
        if question.preview and verdict.error is None:
            answer.preview = preview_of(source, self.plain.options.max_pixels)
        return answer

    def evidence(self, verdict: Verdict) -> list[Json]:
        """Of each face its square in the picture and its map, as a PNG to lay over that square."""
        found: list[Json] = []
        for number, face in enumerate(verdict.faces):
            if face.heat is not None:
                square = square_of(face, verdict, self.terms)
                found.append(
                    {
                        "face": number,
                        "square": [round(value, 2) for value in square],
                        "png": base64.b64encode(map_png(face.heat)).decode("ascii"),
                    }
                )
        return found


def _source(file: Held) -> FileBytes | Path | Unreadable:
    try:
        return file.source()
    except SourceError as error:
        return Unreadable(file.name, error)
    except OSError as error:
        return Unreadable(file.name, SourceError(f"{file.name}: cannot be read: {cause(error)}"))


def identity(source: FileBytes | Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal, and length in bytes."""
    if not isinstance(source, Path):
        return hashlib.sha256(source).hexdigest(), len(source)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def preview_of(source: FileBytes | Path, max_pixels: int) -> dict[str, Json]:
    """A picture, upright, as a JPEG in base64, beside the size that boxes are told in.

    Args:
        source: It was judged already.
        max_pixels: Refuse pictures with more.

    Returns:
        ``width`` and ``height`` in pixels, and ``jpeg``, whose longest side is
        :data:`PREVIEW_PX` at most.
    """
    pixels = open_image(source, max_pixels=max_pixels).pixels
    height, width = pixels.shape[:2]
    shrink = min(1.0, PREVIEW_PX / max(height, width))
    small = pixels if shrink == 1 else scaled(pixels, shrink)
    data = base64.b64encode(jpeg(small, _PREVIEW_QUALITY)).decode("ascii")
    return {"width": width, "height": height, "jpeg": data}


def map_png(heat: NDArray[np.float32]) -> bytes:
    """An evidence map as a PNG with transparency, on the absolute scale of all drawn maps.

    Args:
        heat: ``(h, w)``, as a face score holds it.

    Returns:
        A PNG of :data:`MAP_PX` by as many pixels.
    """
    share = np.clip(log_odds(heat) / FULL, 0, 1).astype(np.float32)
    share = cv2.resize(share, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR)
    alpha = np.rint(255 * _COVERS * share**_RISE).astype(np.uint8)
    return png(np.dstack([colours(share), alpha]))


def provenance_of(source: bytes | str, name: str) -> dict[str, Json]:
    """What a file says of itself; where that cannot be read, why.

    Args:
        source: The file's bytes or its path.
        name: What the caller calls it.
    """
    try:
        told = dataclasses.replace(read_provenance(source), source=name)
    except MesoscopeError as error:
        shown = source if isinstance(source, str) else "<bytes>"
        message = str(error).replace(shown, name)
        told = Provenance(name, None, error={"code": error.code, "message": message})
    return told.to_dict()


def compact(value: Json | dict[str, Json]) -> bytes:
    """JSON in plain ASCII, as verdicts are written everywhere."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
