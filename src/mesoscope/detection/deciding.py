"""Stage five, deciding: the record of each source → its verdict; pure functions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mesoscope.detection.judge import judge, judge_clip
from mesoscope.detection.persons import Observation, track_persons
from mesoscope.detection.reading import SourceEnd, SourceInfo
from mesoscope.errors import MesoscopeError
from mesoscope.errors.failures import failure
from mesoscope.types import FaceScore, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mesoscope.detection.stages import ScoredFace
    from mesoscope.types import Found, Guard, Person, SkippedFace, Thresholds
    from mesoscope.types.card import Aggregation


_NAMED = 3  # most forged faces in the background that notes describe


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """The rules of labels.

    Attributes:
        model_id: Id of the model.
        thresholds: Thresholds of the labels.
        aggregation: Rule that aggregates the scores of a person's frames.
        guard: Threshold of unfamiliar faces; ``None`` without the guard.
    """

    model_id: str
    thresholds: Thresholds
    aggregation: Aggregation
    guard: Guard | None


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """A frame after finding, cropping and scoring, without its pixels.

    Attributes:
        index: Its number within the source.
        time_s: Its time; ``None`` for a picture.
        width_px: Its width.
        scene: See :func:`mesoscope.detection.persons.scene_of`; ``None`` for pictures.
        found: Detections.
        scored: Scored faces, in the finder's order.
        skipped: Detections that are too small.
        find_s: Seconds of finding and cropping.
        score_s: Seconds of scoring.
    """

    index: int
    time_s: float | None
    width_px: int
    scene: NDArray[np.float32] | None
    found: Found
    scored: tuple[ScoredFace, ...]
    skipped: tuple[SkippedFace, ...]
    find_s: float
    score_s: float


@dataclass(frozen=True, slots=True)
class InspectedBatch:
    """A :class:`~mesoscope.detection.reading.FrameBatch` after finding, cropping and scoring.

    Attributes:
        frames: Each frame's source with its record or error.
        ended: Sources that were read completely.
    """

    frames: tuple[tuple[SourceInfo, FrameRecord | MesoscopeError], ...]
    ended: tuple[SourceEnd, ...]

    @property
    def failed(self) -> bool:
        """Whether one of the frames failed."""
        return any(isinstance(its, MesoscopeError) for _, its in self.frames)


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """The frames and notes of a source, before the verdict.

    Attributes:
        source: The source.
        frames: Its frames in the order of time.
        notes: Notes of reading.
        read_s: Seconds of reading and decoding.
        error: The error of the source; ``None`` without an error.
    """

    source: SourceInfo
    frames: tuple[FrameRecord, ...]
    notes: tuple[str, ...] = ()
    read_s: float = 0.0
    error: MesoscopeError | None = None


def source_records(batches: Sequence[InspectedBatch]) -> list[SourceRecord]:
    """Group the frames of batches by source, in the order of the sources.

    If several frames of a source failed, the source has the first error.

    Args:
        batches: All batches of some sources, in the order of reading; reading may have stopped at
            the failure of a source.
    """
    sources: dict[int, SourceInfo] = {}
    frames: defaultdict[int, list[FrameRecord]] = defaultdict(list)
    errors: dict[int, MesoscopeError] = {}
    ends: dict[int, SourceEnd] = {}
    for batch in batches:
        for source, its in batch.frames:
            sources[source.place] = source
            if isinstance(its, MesoscopeError):
                errors.setdefault(source.place, its)
            else:
                frames[source.place].append(its)
        for end in batch.ended:
            sources[end.source.place], ends[end.source.place] = end.source, end
    records = []
    for place, source in sorted(sources.items()):
        end = ends.get(place, SourceEnd(source))
        error = errors.get(place, end.error)
        records.append(SourceRecord(source, tuple(frames[place]), end.notes, end.read_s, error))
    return records


def decide(
    records: Sequence[SourceRecord], rules: DecisionRules
) -> list[tuple[Verdict, MesoscopeError | None]]:
    """Decide on records: a verdict each, and the error of a source that failed.

    An error while deciding on a source is only that source's error.
    """
    return [_decide_one(record, rules) for record in records]


def _decide_one(
    record: SourceRecord, rules: DecisionRules
) -> tuple[Verdict, MesoscopeError | None]:
    error = record.error
    if error is None:
        try:
            return _verdict(record, rules), None
        except Exception as raised:  # noqa: BLE001 - one source does not end the batch
            error = failure(record.source.name, raised)
    verdict = Verdict(
        source=record.source.name,
        kind=record.source.kind,
        label=None,
        p_fake=None,
        model=rules.model_id,
        reason="unreadable",
        frames_read=0,
        error={"code": error.code, "message": str(error)},
    )
    return verdict, error


def _verdict(record: SourceRecord, rules: DecisionRules) -> Verdict:
    is_clip = record.source.kind == "clip"
    frames = _of_one_framing(record.frames)
    faces = _face_scores(frames, is_clip=is_clip)
    skipped = tuple(face for frame in frames for face in frame.skipped)
    persons: tuple[Person, ...] = ()
    if is_clip:
        (label, p_fake, reason), persons = judge_clip(
            faces, rules.thresholds, rules.aggregation, guard=rules.guard, skipped=len(skipped)
        )
    else:
        label, p_fake, reason = judge(
            faces, rules.thresholds, guard=rules.guard, skipped=len(skipped)
        )
    of_finder = (frame.found.note for frame in frames if frame.found.note)
    notes = (*record.notes, *of_finder, *_note_few(persons, rules.aggregation.min_frames))
    notes = (*notes, *_notes_background([p for p in persons if p.background]))
    return Verdict(
        source=record.source.name,
        kind=record.source.kind,
        label=label,
        p_fake=p_fake,
        model=rules.model_id,
        reason=reason,
        faces=faces,
        frames_read=len(record.frames),
        elapsed_s={
            "read": record.read_s,
            "find": sum(frame.find_s for frame in record.frames),
            "score": sum(frame.score_s for frame in record.frames),
        },
        finder=_finders(frames),
        skipped=skipped,
        persons=persons,
        duration_s=record.source.duration_s,
        notes=tuple(dict.fromkeys(notes)),  # once each, in their order
    )


def _of_one_framing(frames: Sequence[FrameRecord]) -> list[FrameRecord]:
    """Return the frames with the more frequent framing: whole frames, or detected faces.

    Scores of whole frames and of detected faces are not averaged.
    """
    whole = [frame.found.whole for frame in frames if frame.found.faces]
    mostly = whole.count(True) > len(whole) / 2
    return [f for f in frames if not f.found.faces or f.found.whole == mostly]


def _face_scores(frames: Sequence[FrameRecord], *, is_clip: bool) -> tuple[FaceScore, ...]:
    pairs = [(frame, scored) for frame in frames for scored in frame.scored]
    persons = [0] * len(pairs)
    if is_clip:
        persons = track_persons(
            [
                Observation(f.index, f.time_s or 0.0, s.face, f.width_px, f.scene)
                for f, s in pairs
                if f.scene is not None
            ]
        )
    faces = [
        FaceScore(
            scored.face.box,
            scored.face.confidence,
            scored.p_fake,
            frame_index=frame.index,
            time_s=frame.time_s,
            heat=scored.heat,
            unfamiliar=scored.unfamiliar,
            landmarks=scored.face.landmarks,
            person=person,
        )
        for (frame, scored), person in zip(pairs, persons, strict=True)
    ]
    if is_clip:
        faces.sort(key=lambda face: (face.frame_index, face.person))
    return tuple(faces)


def _finders(frames: Sequence[FrameRecord]) -> str | None:
    """Return the names of the finders: those that found faces, or all without faces."""
    of = [frame for frame in frames if frame.found.faces] or frames
    return ", ".join(name for name, _ in groupby(sorted(f.found.finder for f in of))) or None


def _note_few(persons: tuple[Person, ...], needed: int) -> tuple[str, ...]:
    few = sum(person.reason == "few_frames" for person in persons)
    if not few:
        return ()
    if few == len(persons):
        more = "look at more of the clip with `frames` or `every_s`"
        return (f"no face was seen in {needed} frames or more, which a verdict needs: {more}",)
    who = "1 face was" if few == 1 else f"{few} faces were"
    return (f"{who} seen in fewer than {needed} frames and left out of the verdict",)


def _notes_background(background: list[Person]) -> list[str]:
    """Return notes about persons in the background: their number, and those that look forged."""
    if not background:
        return []
    who = "1 face in the background was" if len(background) == 1 else (
        f"{len(background)} faces in the background were"
    )  # fmt: skip
    notes = [f"{who} left out of the verdict"]
    forged = sorted((p for p in background if p.label == "fake"), key=lambda p: -(p.p_fake or 0))
    for one in forged[:_NAMED]:
        size = "" if one.face_px is None else f" of about {one.face_px:.0f} px"
        notes.append(
            f"a face{size} in the background, from {one.first_s:.1f} to {one.last_s:.1f} s, looks "
            f"forged by itself (p_fake {one.p_fake:.2f}): so small a face does not make a clip "
            "fake, look at it"
        )
    return notes
