"""What is known of one source on its way: frames come in, a verdict comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from mesoscope.detection.judge import judge, judge_clip
from mesoscope.detection.persons import Sighting, join
from mesoscope.errors.failures import failure
from mesoscope.types import FaceScore, Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mesoscope.errors import MesoscopeError
    from mesoscope.types import Face, Found, Guard, Person, SkippedFace, Thresholds
    from mesoscope.types.card import Aggregation


_NAMED = 3  # faces of the background that look forged; a crowd may have more


@dataclass(frozen=True, slots=True)
class Terms:
    """By what verdicts are given.

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
class Scored:
    """What the model said of one face; heat and ``unfamiliar`` where it gives them."""

    face: Face
    p_fake: float
    heat: NDArray[np.float32] | None
    unfamiliar: float | None


@dataclass(frozen=True, slots=True)
class FrameSeen:
    """One frame, looked at; its pixels are gone.

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
    scored: tuple[Scored, ...]
    skipped: tuple[SkippedFace, ...]
    find_s: float
    score_s: float


@dataclass(slots=True)
class Gathered:
    """All that is known of one source, and how it becomes a verdict.

    Attributes:
        name: The source, as shown to the user.
        kind: ``image`` or ``clip``.
        seen: Its frames, in the order of time.
        duration_s: Of a clip.
        notes: What reading it had to say.
        read_s: Seconds that reading and decoding took.
        error: Why it cannot be read; ``None`` where it can.
    """

    name: str
    kind: str = "image"
    seen: list[FrameSeen] = field(default_factory=list)
    duration_s: float | None = None
    notes: tuple[str, ...] = ()
    read_s: float = 0.0
    error: MesoscopeError | None = None

    def verdict(self, terms: Terms) -> Verdict:
        """The answer for this source; what goes wrong in giving it is kept as its error."""
        if self.error is None:
            try:
                return self._judged(terms)
            except Exception as error:  # noqa: BLE001 - one source never ends those after it
                self.error = failure(self.name, error)
        return Verdict(
            source=self.name,
            kind=self.kind,
            label=None,
            p_fake=None,
            model=terms.model_id,
            reason="unreadable",
            frames_read=0,
            error={"code": self.error.code, "message": str(self.error)},
        )

    def _judged(self, terms: Terms) -> Verdict:
        seen = self._of_one_measure()
        faces = self._faces(seen)
        skipped = tuple(face for frame in seen for face in frame.skipped)
        persons: tuple[Person, ...] = ()
        if self.kind == "clip":
            (label, p_fake, reason), persons = judge_clip(
                faces, terms.thresholds, terms.aggregation, guard=terms.guard, skipped=len(skipped)
            )
        else:
            label, p_fake, reason = judge(
                faces, terms.thresholds, guard=terms.guard, skipped=len(skipped)
            )
        told = (frame.found.note for frame in seen if frame.found.note)
        notes = (*self.notes, *told, *_note_few(persons, terms.aggregation.min_frames))
        notes = (*notes, *_notes_behind([p for p in persons if p.background]))
        return Verdict(
            source=self.name,
            kind=self.kind,
            label=label,
            p_fake=p_fake,
            model=terms.model_id,
            reason=reason,
            faces=faces,
            frames_read=len(self.seen),
            elapsed_s={
                "read": self.read_s,
                "find": sum(frame.find_s for frame in self.seen),
                "score": sum(frame.score_s for frame in self.seen),
            },
            finder=_finders(seen),
            skipped=skipped,
            persons=persons,
            duration_s=self.duration_s,
            notes=tuple(dict.fromkeys(notes)),  # once each, in their order
        )

    def _of_one_measure(self) -> list[FrameSeen]:
        """The frames without those whose faces were cut in the rarer of the two ways.

        A whole frame and a face found in it are not one person's crops, and their scores are not to
        be averaged: a clip is taken as a face throughout, or as showing some.
        """
        whole = [frame.found.whole for frame in self.seen if frame.found.faces]
        mostly = whole.count(True) > len(whole) / 2
        return [f for f in self.seen if not f.found.faces or f.found.whole == mostly]

    def _faces(self, seen: list[FrameSeen]) -> tuple[FaceScore, ...]:
        pairs = [(frame, scored) for frame in seen for scored in frame.scored]
        persons = [0] * len(pairs)
        if self.kind == "clip":
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
        if self.kind == "clip":
            faces.sort(key=lambda face: (face.frame_index, face.person))
        return tuple(faces)


def _finders(seen: list[FrameSeen]) -> str | None:
    """Who answered; where there are faces, only those who found them."""
    of = [frame for frame in seen if frame.found.faces] or seen
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


def _notes_behind(behind: list[Person]) -> list[str]:
    """What is said of people in the background: how many there are, and who is to be looked at."""
    if not behind:
        return []
    who = "1 face in the background was" if len(behind) == 1 else (
        f"{len(behind)} faces in the background were"
    )  # fmt: skip
    notes = [f"{who} left out of the verdict"]
    forged = sorted((p for p in behind if p.label == "fake"), key=lambda p: -(p.p_fake or 0))
    for one in forged[:_NAMED]:
        size = "" if one.face_px is None else f" of about {one.face_px:.0f} px"
        notes.append(
            f"a face{size} in the background, from {one.first_s:.1f} to {one.last_s:.1f} s, looks "
            f"forged by itself (p_fake {one.p_fake:.2f}): so small a face does not make a clip "
            "fake, look at it"
        )
    return notes
