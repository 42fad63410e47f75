"""Stage five, deciding: what is known of each source → its verdict. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mesoscope.detection.judge import judge, judge_clip
from mesoscope.detection.persons import Sighting, join
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


_NAMED = 3  # faces of the background that look forged; a crowd may have more


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """By what labels are given.

    Attributes:
        model_id: Of the model that scored.
        thresholds: Where labels begin.
        aggregation: How the scores of a person's frames become one.
        guard: When a face is unfamiliar; ``None`` where that is not asked.
    """

    model_id: str
    thresholds: Thresholds
    aggregation: Aggregation
    guard: Guard | None


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """One frame that was inspected; its pixels are gone.

    Attributes:
        index: Its number within the source.
        time_s: Its time; ``None`` for a picture.
        width_px: Its width.
        scene: See :func:`mesoscope.detection.persons.scene_of`; only of clips.
        found: The finder's answer.
        scored: One a judged face, in the finder's order.
        skipped: Faces that were not judged.
        find_s: Seconds that finding and cropping took.
        score_s: Seconds that scoring took.
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
        frames: Each with what was found in it, or with the error that it failed with.
        ended: Sources that were read to their end.
    """

    frames: tuple[tuple[SourceInfo, FrameRecord | MesoscopeError], ...]
    ended: tuple[SourceEnd, ...]

    @property
    def failed(self) -> bool:
        """Whether one of the frames failed."""
        return any(isinstance(its, MesoscopeError) for _, its in self.frames)


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """All that is known of one source before it is judged.

    Attributes:
        source: Which.
        frames: In the order of time.
        notes: What reading it had to say.
        read_s: Seconds that reading and decoding took.
        error: Why it cannot be judged; ``None`` where it can.
    """

    source: SourceInfo
    frames: tuple[FrameRecord, ...]
    notes: tuple[str, ...] = ()
    read_s: float = 0.0
    error: MesoscopeError | None = None


def source_records(batches: Sequence[InspectedBatch]) -> list[SourceRecord]:
    """Put together what batches hold of each source, in the order of the sources.

    Where several frames of a source failed, the first one's error is the source's.

    Args:
        batches: All of a number of sources, in the order of reading; reading may have stopped where
            a source had failed.
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
    """Stage five: records → verdicts, each with the error of a source that could not be judged.

    What goes wrong in deciding on a source is that source's error and of no other.
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
    """The frames without those whose faces were cut in the rarer of the two ways.

    A whole frame and a face found in it are not one person's crops, and their scores are not to
    be averaged: a clip is taken as a face throughout, or as showing some.
    """
    whole = [frame.found.whole for frame in frames if frame.found.faces]
    mostly = whole.count(True) > len(whole) / 2
    return [f for f in frames if not f.found.faces or f.found.whole == mostly]


def _face_scores(frames: Sequence[FrameRecord], *, is_clip: bool) -> tuple[FaceScore, ...]:
    pairs = [(frame, scored) for frame in frames for scored in frame.scored]
    persons = [0] * len(pairs)
    if is_clip:
        persons = join(
            [
                Sighting(f.index, f.time_s or 0.0, s.face, f.width_px, f.scene)
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
    """Who answered; where there are faces, only those who found them."""
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
    """What is said of people in the background: how many there are, and who is to be looked at."""
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
