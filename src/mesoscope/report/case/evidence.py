"""Collect the evidence of one item: its picture, face crops with maps, and provenance."""

from __future__ import annotations

import dataclasses
import io
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from PIL import Image

from mesoscope.draw import Terms, clock, draw_faces, draw_heat, most_suspicious, square_of
from mesoscope.errors import SourceError
from mesoscope.errors.failures import failure
from mesoscope.faces.crop import crop
from mesoscope.imaging.filters import scaled
from mesoscope.media.image import open_image
from mesoscope.media.provenance import Finding, read_provenance
from mesoscope.media.video import frames_at
from mesoscope.report.case.items import Timeline, hash_source, timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.report.case.items import ReportItem
    from mesoscope.types import (
        DetectOptions,
        FaceScore,
        Frame,
        Guard,
        ModelCard,
        Pixels,
        Thresholds,
        Verdict,
    )

PICTURE_PX = 960  # longest side of a picture in a report
FRAME_PX = 480  # longest side of a frame in a clip's strip
FACE_PX = 192  # side of a face
FACES = 6  # number of face close-ups, the most suspicious first
OF_A_PERSON = 2
FRAMES = 6
_QUALITY = 86
_SAME = 5e-3  # of p_fake: batches of one model differ by rounding, settings differ more


class Judge(Protocol):
    """Judges a source again, with evidence maps: a ``Detector(heat=True)``."""

    options: DetectOptions
    thresholds: Thresholds
    guard: Guard | None

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        ...

    @property
    def model_id(self) -> str:
        """The model's id, as in verdicts."""
        ...

    def check(self, source: str) -> Verdict:
        """Judge one source.

        Raises:
            SourceError: The source is not readable.
        """
        ...


class Shot(NamedTuple):
    """A picture for a report: JPEG bytes, size in pixels, and description."""

    jpeg: bytes
    width: int
    height: int
    caption: str


class CloseUp(NamedTuple):
    """A face crop, plain and with its evidence map."""

    face: FaceScore
    number: int
    plain: Shot
    heat: Shot | None


@dataclass(slots=True)
class Evidence:
    """Evidence of one item.

    Attributes:
        item: The item.
        verdict: Its verdict; with evidence maps, if judging again gave the same result.
        picture: Picture with marked faces; ``None`` for clips, or if not available.
        faces: Close-ups of faces.
        strip: Most suspicious frames of a clip.
        timeline: Scores of a clip over time.
        findings: Provenance findings.
        notes: Reasons why something is missing, in sentences.
    """

    item: ReportItem
    verdict: Verdict
    picture: Shot | None = None
    faces: list[CloseUp] = field(default_factory=list)
    strip: list[Shot] = field(default_factory=list)
    timeline: Timeline | None = None
    findings: tuple[Finding, ...] = ()
    notes: list[str] = field(default_factory=list)


def collect_evidence(item: ReportItem, judge: Judge | None) -> Evidence:
    """Open an item's source again and collect its evidence; failures become notes.

    Args:
        item: The item.
        judge: Judges again for evidence maps; ``None`` if its model is not available.
    """
    found = Evidence(item, item.verdict, timeline=timeline(item.verdict))
    source = item.verdict.source
    if item.file is None:
        found.notes.append(
            "The file could not be read when this report was made, so its picture is missing."
        )
        return found
    if item.earlier is not None:
        return _changed(item)
    terms = Terms()
    if judge is None or judge.model_id != item.verdict.model:
        found.notes.append("Without evidence maps, as the model's file was not at hand.")
    else:
        _judge_again(found, judge)
        terms = Terms.of(judge.card, judge.thresholds, judge.guard)
    try:
        if found.verdict.kind == "clip":
            _show_clip(found, source, terms)
        else:
            _show_picture(found, source, terms, judge)
    except Exception as error:  # noqa: BLE001 - one file does not end the report
        error = failure(found.verdict.source, error)
        found.notes.append(f"Its picture could not be made: {error}.")
    _read_provenance(found, source)
    shows = found.picture or found.strip or found.findings
    return found if not shows or _still(item) else _changed(item)


def _still(item: ReportItem) -> bool:
    """Whether the file still has the hash in the report."""
    try:
        return hash_source(item.verdict.source) == item.file
    except SourceError:
        return False


def _changed(item: ReportItem) -> Evidence:
    found = Evidence(item, item.verdict, timeline=timeline(item.verdict))
    found.notes.append(
        "The file has changed since it was judged. Its picture is left out, as it is not the one "
        "that the answer is about."
    )
    return found


def _read_provenance(found: Evidence, source: str) -> None:
    try:
        said = read_provenance(source)
    except Exception as error:  # noqa: BLE001
        error = failure(source, error)
        found.notes.append(f"Its provenance could not be read: {error}.")
        return
    found.findings = said.findings
    if said.error is not None:
        found.notes.append(f"Its provenance could not be read: {said.error['message']}.")


def _judge_again(found: Evidence, judge: Judge) -> None:
    """Judge again for evidence maps, and use them only if the result is the same."""
    old = found.verdict
    try:
        new = judge.check(old.source)
    except Exception as error:  # noqa: BLE001
        error = failure(old.source, error)
        found.notes.append(f"Without evidence maps, as judging it once more failed: {error}.")
        return
    same = len(new.faces) == len(old.faces) and all(
        abs(a.p_fake - b.p_fake) <= _SAME for a, b in zip(new.faces, old.faces, strict=True)
    )
    if not same or new.label != old.label:
        now = "no score" if new.p_fake is None else f"{new.p_fake:.3f}"
        found.notes.append(
            f"Without evidence maps: judged once more, by the settings of this report, it gives "
            f"another answer ({new.label or new.reason}, {now}). The answer shown is the first one."
        )
        return
    # The original verdict stays; only the maps are added.
    faces = tuple(
        dataclasses.replace(a, heat=b.heat) for a, b in zip(old.faces, new.faces, strict=True)
    )
    found.verdict = dataclasses.replace(old, faces=faces)


def _show_picture(found: Evidence, source: str, terms: Terms, judge: Judge | None) -> None:
    verdict = found.verdict
    limit = {} if judge is None else {"max_pixels": judge.options.max_pixels}
    frame = open_image(source, **limit)
    small, scale = _fitted(frame.pixels, PICTURE_PX)
    drawn = draw_faces(small, verdict, terms=terms, scale=scale)
    found.picture = _shot(drawn, _picture_caption(verdict))
    found.faces = _close_ups([frame], verdict, terms)


def _show_clip(found: Evidence, source: str, terms: Terms) -> None:
    verdict = found.verdict
    times = most_suspicious(verdict, FRAMES)
    if not times:
        return
    frames = frames_at(source, times)
    for frame in frames:
        small, scale = _fitted(frame.pixels, FRAME_PX)
        drawn = draw_faces(small, verdict, terms=terms, scale=scale, frame_index=frame.index)
        found.strip.append(_shot(drawn, f"at {clock(frame.time_s or 0.0)}"))
    if len(frames) < len(times):
        found.notes.append(
            f"{len(times) - len(frames)} of its most suspicious frames could not be decoded again."
        )
    found.faces = _close_ups(frames, verdict, terms)


def _close_ups(frames: Sequence[Frame], verdict: Verdict, terms: Terms) -> list[CloseUp]:
    """Return the most suspicious faces of some frames, as the crops of the model."""
    by_index = {frame.index: frame for frame in frames}
    numbered = [
        (number, face)
        for number, face in enumerate(verdict.faces, 1)
        if face.frame_index in by_index
    ]
    numbered.sort(key=lambda one: -one[1].p_fake)
    if verdict.kind == "clip":  # frames of one person look alike
        numbered = _few_of_each(numbered)
    shown = []
    for number, face in numbered[:FACES]:
        side = square_of(face, verdict, terms)[2]
        longest = max(face.box[2] - face.box[0], face.box[3] - face.box[1])
        pixels = crop(
            by_index[face.frame_index].pixels,
            face.box,
            margin=max(1.0, side / longest),
            size_px=FACE_PX,
        )
        heat = None
        if face.heat is not None:
            heat = _shot(draw_heat(pixels, face.heat), f"face {number} with its evidence map")
        shown.append(CloseUp(face, number, _shot(pixels, f"face {number}"), heat))
    return shown


def _few_of_each(numbered: Sequence[tuple[int, FaceScore]]) -> list[tuple[int, FaceScore]]:
    seen: Counter[int] = Counter()
    chosen = []
    for number, face in numbered:
        seen[face.person] += 1
        if seen[face.person] <= OF_A_PERSON:
            chosen.append((number, face))
    return chosen


def _picture_caption(verdict: Verdict) -> str:
    count = len(verdict.faces)
    faces = "no face judged" if not count else "1 face" if count == 1 else f"{count} faces"
    skipped = f", {len(verdict.skipped)} too small" if verdict.skipped else ""
    return f"the picture with its boxes: {faces}{skipped}"


def _fitted(pixels: Pixels, longest_px: int) -> tuple[Pixels, float]:
    """Shrink a picture to a longest side, and return the factor. Small ones are unchanged."""
    height, width = pixels.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    if scale == 1:
        return pixels, 1.0
    return scaled(pixels, scale), scale


def _shot(pixels: Pixels, caption: str) -> Shot:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
    return Shot(file.getvalue(), pixels.shape[1], pixels.shape[0], caption)
