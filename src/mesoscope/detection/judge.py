"""Decide labels from scores and thresholds; pure functions."""

from __future__ import annotations

import dataclasses
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.types import Person
from mesoscope.types.verdict import longest_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesoscope.types import FaceScore, Guard, Label, Reason, Thresholds
    from mesoscope.types.card import Aggregation

BACKGROUND_PX = 96  # faces in the background are smaller, with little detail for the network
BACKGROUND_RATIO = 3.0  # and the face of another person is larger by this factor
_FEW_FRAMES = 0.25  # share of the main person's frames


class Judgement(NamedTuple):
    """A label, the score that decided it, and the reason without a clear label."""

    label: Label | None
    p_fake: float | None
    reason: Reason | None


def judge(
    faces: Sequence[FaceScore],
    thresholds: Thresholds,
    *,
    guard: Guard | None = None,
    skipped: int = 0,
) -> Judgement:
    """Judge a picture by its deciding face.

    Scores are only reliable for faces like those of the training data. A picture is fake if one
    familiar face is fake, and real only if all faces are familiar and below the lower threshold.
    The deciding face is, in this order: the familiar face with the highest score, if it is fake;
    the unfamiliar face with the highest score, if there is one; the face with the highest score.

    A whole picture that was scored as a face without a detection, see :func:`is_undetected`, is
    inconclusive: it may show no face.

    Args:
        faces: Scored faces.
        thresholds: The label is fake from the upper threshold on, and real below the lower one.
        guard: Threshold of unfamiliar faces; with ``None`` all faces are familiar.
        skipped: Number of detected faces that are too small to score.

    Returns:
        Without a scored face, the label is ``None`` with the reason ``no_face`` or
        ``face_too_small``. The reason of ``inconclusive`` is ``unfamiliar``,
        ``between_thresholds`` or ``face_not_seen``.
    """
    if not faces:
        return Judgement(None, None, "face_too_small" if skipped else "no_face")
    if all(is_undetected(face) for face in faces):
        return Judgement("inconclusive", max(face.p_fake for face in faces), "face_not_seen")
    return _decide(
        [face.p_fake for face in faces if not is_unfamiliar(face, guard)],
        [face.p_fake for face in faces if is_unfamiliar(face, guard)],
        thresholds,
    )


def judge_clip(
    faces: Sequence[FaceScore],
    thresholds: Thresholds,
    aggregation: Aggregation,
    *,
    guard: Guard | None = None,
    skipped: int = 0,
) -> tuple[Judgement, tuple[Person, ...]]:
    """Judge a clip by its deciding person, chosen as :func:`judge` chooses among faces.

    Persons in too few frames are ignored if another person is in enough: false detections last a
    frame or two. Persons in the background are ignored, too, see :func:`in_background`, but a clip
    with a fake person in the background is not called real.

    Args:
        faces: Scored faces of all frames, with the number of their person.
        thresholds: As for :func:`judge`, for scores of persons.
        aggregation: Rule of the card, and the number of frames that a person needs.
        guard: As for :func:`judge`.
        skipped: Number of detected faces that are too small to score.

    Returns:
        The clip's judgement, and the persons by number. Reasons are those of :func:`judge`,
        ``few_frames`` (the label is ``None``) and ``background_face`` (the score is that of the
        foreground).
    """
    if not faces:
        return judge(faces, thresholds, skipped=skipped), ()
    of_person: dict[int, list[FaceScore]] = {}
    for face in faces:
        of_person.setdefault(face.person, []).append(face)
    persons = tuple(
        person_of(of_person[n], thresholds, aggregation, guard=guard) for n in sorted(of_person)
    )
    seen = {p.number: of_person[p.number] for p in persons if p.reason != "few_frames"}
    if not seen:
        return Judgement(None, max(_score(p) for p in persons), "few_frames"), persons
    behind = in_background(seen)
    persons = tuple(dataclasses.replace(p, background=p.number in behind) for p in persons)
    before = [person for person in persons if person.number in seen and not person.background]
    judgement = _decide(
        [_score(person) for person in before if person.reason != "unfamiliar"],
        [_score(person) for person in before if person.reason == "unfamiliar"],
        thresholds,
    )
    if judgement.label == "real" and any(p.label == "fake" for p in persons if p.background):
        judgement = Judgement("inconclusive", judgement.p_fake, "background_face")
    return judgement, persons


def in_background(faces: Mapping[int, Sequence[FaceScore]]) -> set[int]:
    """Return the persons in the background of a clip, such as colleagues behind a newsreader.

    The main person has the largest product of median face size and number of frames. A person is in
    the background if the median face size is below :data:`BACKGROUND_PX` and below that of the main
    person divided by :data:`BACKGROUND_RATIO`, and if the person either has a face larger by that
    ratio in at least half of the same frames, or less than a quarter of the main person's frames.
    Persons who are small only because the camera is far away are not in the background.

    Args:
        faces: Faces by person, of persons in enough frames.

    Returns:
        Numbers of persons; never of all.
    """
    sides = {number: median(longest_side(f.box) for f in of) for number, of in faces.items()}
    main = max(sides, key=lambda number: (sides[number] * len(faces[number]), -number))
    largest: dict[int, float] = {}
    for face in (one for of in faces.values() for one in of):
        largest[face.frame_index] = max(largest.get(face.frame_index, 0.0), longest_side(face.box))
    found = set()
    for number, of in faces.items():
        small = sides[number] < min(BACKGROUND_PX, sides[main] / BACKGROUND_RATIO)
        beside = sum(largest[f.frame_index] >= BACKGROUND_RATIO * longest_side(f.box) for f in of)
        if small and (2 * beside >= len(of) or len(of) < _FEW_FRAMES * len(faces[main])):
            found.add(number)
    return found


def person_of(
    faces: Sequence[FaceScore],
    thresholds: Thresholds,
    aggregation: Aggregation,
    *,
    guard: Guard | None = None,
) -> Person:
    """Aggregate the scores of a person over the frames.

    The score is the trimmed mean of ``p_fake`` over the frames with a familiar face: the share
    ``trim`` is left out at each end, against blinks and blur. If fewer than half of the frames, or
    fewer than ``min_frames``, are familiar, the person is unfamiliar, and the mean is over all
    frames.

    Args:
        faces: Scored faces of this person, at least one.
        thresholds: The label is fake from the upper threshold on, and real below the lower one.
        aggregation: Rule of the card.
        guard: Threshold of unfamiliar faces; with ``None`` all faces are familiar.
    """
    scores = [face.p_fake for face in faces]
    familiar = [face.p_fake for face in faces if not is_unfamiliar(face, guard)]
    times = [face.time_s or 0.0 for face in faces]
    if len(scores) < aggregation.min_frames:
        judgement = Judgement(None, _trimmed_mean(scores, aggregation.trim), "few_frames")
    elif len(familiar) < max(aggregation.min_frames, len(scores) / 2):
        judgement = _decide([], [_trimmed_mean(scores, aggregation.trim)], thresholds)
    else:
        judgement = _decide([_trimmed_mean(familiar, aggregation.trim)], [], thresholds)
    return Person(
        number=faces[0].person,
        label=judgement.label,
        p_fake=judgement.p_fake,
        frames=len(faces),
        first_s=min(times),
        last_s=max(times),
        reason=judgement.reason,
        face_px=median(longest_side(f.box) for f in faces),
    )


def _trimmed_mean(values: Sequence[float], trim: float) -> float:
    cut = int(trim * len(values))
    kept = sorted(values)[cut : len(values) - cut]
    return min(max(sum(kept) / len(kept), 0.0), 1.0)  # a sum of ones may round to above one


def _score(person: Person) -> float:
    return person.p_fake or 0.0


def _decide(
    familiar: Sequence[float], unfamiliar: Sequence[float], thresholds: Thresholds
) -> Judgement:
    """Decide by the scores of familiar and of unfamiliar faces; at least one of either."""
    if familiar and max(familiar) >= thresholds.fake_above:
        return Judgement("fake", max(familiar), None)
    if unfamiliar:
        return Judgement("inconclusive", max(unfamiliar), "unfamiliar")
    p_fake = max(familiar)
    if p_fake < thresholds.real_below:
        return Judgement("real", p_fake, None)
    return Judgement("inconclusive", p_fake, "between_thresholds")


def is_unfamiliar(face: FaceScore, guard: Guard | None) -> bool:
    """Whether a face is above the guard's threshold; ``False`` without a guard or a score."""
    if guard is None or face.unfamiliar is None:
        return False
    return face.unfamiliar > guard.unfamiliar_above


def is_undetected(face: FaceScore) -> bool:
    """Whether a whole picture was scored as a face without a detection; its confidence is 0."""
    return face.confidence == 0
