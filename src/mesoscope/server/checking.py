"""Judge uploads, and add provenance, evidence maps and previews to verdicts."""

from __future__ import annotations

import base64
import dataclasses
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
from mesoscope.files.digest import FileHash, hash_bytes, hash_file
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
    """An uploaded clip, too large to hold in memory.

    Attributes:
        path: Path of the file.
        name: The caller's file name.
    """

    path: Path
    name: str

    def source(self) -> Path:
        """Return its path: it is not read into memory."""
        return self.path


MAP_PX = 128  # side of an evidence map in a response
PREVIEW_PX = 1600  # longest side of a preview
_PREVIEW_QUALITY = 95
_COVERS, _RISE = 0.85, 0.7  # as in mesoscope.draw


class UploadFile(Protocol):
    """A file that can be judged: an upload, or a member of an archive."""

    @property
    def name(self) -> str:
        """The caller's file name."""
        ...

    def source(self) -> FileBytes | Path:
        """Return its bytes under its name, or its path.

        Raises:
            SourceError: The file is not readable.
        """
        ...


@dataclass(slots=True)
class CheckItem:
    """One file, and the requested parts of its result.

    Attributes:
        file: The file to judge.
        id: Id of the result.
        heat: Make evidence maps.
        provenance: Read the file's provenance.
        whole: Keep its bytes in the answer, to store them.
        preview: Return the picture as a JPEG, for browsers that do not support its format.
    """

    file: UploadFile
    id: str
    heat: bool = False
    provenance: bool = False
    whole: bool = False
    preview: bool = False


@dataclass(slots=True)
class CheckResult:
    """Result of an item.

    Attributes:
        verdict: The verdict; its source is the upload's name.
        text: The verdict as JSON, for caller and database.
        sha256: Digest of the file, in hexadecimal.
        size: Size of the file, in bytes.
        evidence: Square and map of each face; ``None`` if not requested.
        provenance: As in :meth:`Provenance.to_dict`; ``None`` if not requested.
        data: The file's bytes or path, if it is to be kept.
        preview: The picture as a JPEG and its size; ``None`` if not requested.
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
        """Return the JSON object for the caller."""
        beside: dict[str, Json] = {"evidence": self.evidence, "provenance": self.provenance}
        if self.preview is not None:
            beside["preview"] = self.preview
        head = compact({"id": result_id, "sha256": self.sha256})
        return b'%s,"verdict":%s,%s' % (head[:-1], self.text.encode("ascii"), compact(beside)[1:])


class UploadChecker:
    """Detectors on one model in memory: with and without evidence maps.

    Args:
        model: Name of a shipped model or path of a model file.
        options: Options of the detectors; each call uses one thread.
        log: Called with each unexpected failure.

    Raises:
        ModelError: The model does not exist, or the file is no model.
        OptionError: The options are not compatible.
    """

    def __init__(
        self,
        model: str,
        options: DetectOptions,
        log: Callable[[str, dict[str, object]], None] | None = None,
    ) -> None:
        self._log = log
        self.model_path = find_model(model)
        scorer = OnnxScorer(self.model_path)
        spec = DetectorSpec.of(scorer, dataclasses.replace(options, jobs=1, heat=False))
        self.plain = spec.build()
        self.mapping = dataclasses.replace(spec, heat=True).build()
        self.terms = Terms.of(self.plain.card, self.plain.thresholds, self.plain.guard)

    def check_many(self, items: Sequence[CheckItem]) -> Iterator[CheckResult]:
        """Judge some files together; one result per question, in order.

        An unreadable file gets a verdict with its error. An error of unknown origin is raised, and
        each file is then tried by itself.
        """
        try:
            yield from self._check_batch(items)
        except Exception as error:
            if len(items) > 1:
                raise
            yield self._failed(items[0], error)

    def _failed(self, item: CheckItem, error: Exception) -> CheckResult:
        if self._log is not None:
            what = f"{type(error).__name__}: {error}"
            self._log("a file failed", {"error": what, "trace": traceback.format_exc()})
        name = item.file.name
        message = f"{name}: cannot be judged, which is a fault of the service: its log says why"
        verdict = Verdict(
            source=name, kind="image", label=None, p_fake=None, model=self.plain.model_id,
            reason="unreadable", frames_read=0,
            error={"code": SourceError.code, "message": message},
        )  # fmt: skip
        return CheckResult(verdict, verdict.to_json(), "", 0)

    def _check_batch(self, items: Sequence[CheckItem]) -> Iterator[CheckResult]:
        sources = [_source(item.file) for item in items]
        detector = self.mapping if any(q.heat for q in items) else self.plain
        verdicts = detector.check_many(sources, keep_going=True)
        for item, source, verdict in zip(items, sources, verdicts, strict=True):
            yield self._result(item, source, verdict)

    def _result(
        self, item: CheckItem, source: FileBytes | Path | Unreadable, verdict: Verdict
    ) -> CheckResult:
        name = item.file.name
        verdict = renamed(verdict, name)
        if isinstance(source, Unreadable):
            return CheckResult(verdict, verdict.to_json(), "", 0)
        digest, size = hash_upload(source)
        answer = CheckResult(verdict, verdict.to_json(), digest, size)
        if item.heat:
            answer.evidence = self.evidence(verdict)
        if item.provenance:
            answer.provenance = provenance_of(
                str(source) if isinstance(source, Path) else source, name
            )
        if item.whole:
            answer.data = source
        if item.preview and verdict.error is None:
            answer.preview = preview_of(source, self.plain.options.max_pixels)
        return answer

    def evidence(self, verdict: Verdict) -> list[Json]:
        """Return the square of each face in the picture and its map, as a PNG overlay."""
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


def _source(file: UploadFile) -> FileBytes | Path | Unreadable:
    try:
        return file.source()
    except SourceError as error:
        return Unreadable(file.name, error)
    except OSError as error:
        return Unreadable(file.name, SourceError(f"{file.name}: cannot be read: {cause(error)}"))


def hash_upload(source: FileBytes | Path) -> FileHash:
    """Hash an upload, in memory or on disk."""
    if not isinstance(source, Path):
        return hash_bytes(source)
    with source.open("rb") as file:
        return hash_file(file)


def preview_of(source: FileBytes | Path, max_pixels: int) -> dict[str, Json]:
    """Return a picture, upright, as a JPEG in base64, with the size that boxes refer to.

    Args:
        source: A picture that was judged.
        max_pixels: Most pixels of a picture.

    Returns:
        ``width`` and ``height`` in pixels, and ``jpeg``, whose longest side is at most
        :data:`PREVIEW_PX`.
    """
    pixels = open_image(source, max_pixels=max_pixels).pixels
    height, width = pixels.shape[:2]
    shrink = min(1.0, PREVIEW_PX / max(height, width))
    small = pixels if shrink == 1 else scaled(pixels, shrink)
    data = base64.b64encode(jpeg(small, _PREVIEW_QUALITY)).decode("ascii")
    return {"width": width, "height": height, "jpeg": data}


def map_png(heat: NDArray[np.float32]) -> bytes:
    """Encode an evidence map as a PNG with transparency, on the scale of :mod:`mesoscope.draw`.

    Args:
        heat: ``(h, w)``, from a face score.

    Returns:
        A PNG of :data:`MAP_PX` by as many pixels.
    """
    share = np.clip(log_odds(heat) / FULL, 0, 1).astype(np.float32)
    share = cv2.resize(share, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR)
    alpha = np.rint(255 * _COVERS * share**_RISE).astype(np.uint8)
    return png(np.dstack([colours(share), alpha]))


def provenance_of(source: bytes | str, name: str) -> dict[str, Json]:
    """Return the provenance of a file, or the error of reading it.

    Args:
        source: The file's bytes or its path.
        name: The caller's file name.
    """
    try:
        found = dataclasses.replace(read_provenance(source), source=name)
    except MesoscopeError as error:
        shown = source if isinstance(source, str) else "<bytes>"
        message = str(error).replace(shown, name)
        found = Provenance(name, None, error={"code": error.code, "message": message})
    return found.to_dict()


def compact(value: Json | dict[str, Json]) -> bytes:
    """Encode JSON in plain ASCII, as all verdicts."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
