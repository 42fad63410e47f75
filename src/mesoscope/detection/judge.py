"""Scores and a card in, a label out. Pure: no picture, no file, no clock."""

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

BACKGROUND_PX = 96  # faces of the background are smaller: the network sees little of them
BACKGROUND_RATIO = 3.0  # and somebody else's face is larger by as much
_SELDOM = 0.25  # of the main person's frames


class Judgement(NamedTuple):
    """A label, the score behind it, and why there is no clear one."""

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
    """Judge one picture by one of its faces, the deciding one.

    A score says something only where the face is like those of the training. So a picture is fake
    as soon as one familiar face is, whatever else it shows; and real only if every face is familiar
    and none is suspicious. The deciding face is, in this order: the most suspicious familiar one,
    if it is fake; the most suspicious unfamiliar one, if there is any; the most suspicious.

    A picture that was scored as a face though a finder saw none in it, see :func:`is_unseen`, is
    called neither fake nor real: it may be a sleeve.

    Args:
        faces: Scored faces.
        thresholds: Fake from the upper one on, real below the lower one.
        guard: The card's, says when a face is unfamiliar; ``None`` takes every face as familiar.
        skipped: Faces that were found and are too small to be scored.

    Returns:
        ``label`` is ``None`` with reason ``no_face`` or ``face_too_small`` where nothing was
        scored; ``inconclusive`` has the reason ``unfamiliar``, ``between_thresholds`` or
        ``face_not_seen``.
    """
    if not faces:
        return Judgement(None, None, "face_too_small" if skipped else "no_face")
    if all(is_unseen(face) for face in faces):
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
    """Judge a clip by one of its persons, chosen as :func:`judge` chooses among faces.

    Persons seen in too few frames do not decide, whatever they score, as long as another person
    was seen in enough: a finder's mistake stands in a frame or two. Nor do persons of the
    background, see :func:`in_background`: the clip is judged by whom it shows. Where one of them is
    fake by itself, the clip is not called real either.

    Args:
        faces: Scored faces of all frames; ``person`` says whose.
        thresholds: As of :func:`judge`, for persons.
        aggregation: The card's rule, and how many frames a person needs.
        guard: As of :func:`judge`.
        skipped: Faces that were found and are too small to be scored.

    Returns:
        The clip's judgement, with reasons as of :func:`judge`, or ``few_frames``, whose label is
        ``None``, or ``background_face``, whose score is that of the foreground; and the persons in
        the order of their numbers.
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
    """Which persons of a clip are not whom it shows, such as colleagues behind a newsreader.

    The main person is the one whose faces fill most of the clip: median side times frames. A person
    is of the background whose faces are small, under :data:`BACKGROUND_PX`, smaller than the main
    person's by :data:`BACKGROUND_RATIO`, and who either stands beside a face larger by as much in
    half of the frames or more, or is seen in less than a quarter as many frames as the main person.
    So whoever is small because the camera is far away is none, and nobody is whose face is large.

    Args:
        faces: Each person's, of those seen in enough frames.

    Returns:
        Numbers; never all of them.
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
        if small and (2 * beside >= len(of) or len(of) < _SELDOM * len(faces[main])):
            found.add(number)
    return found


def person_of(
    faces: Sequence[FaceScore],
    thresholds: Thresholds,
    aggregation: Aggregation,
    *,
    guard: Guard | None = None,
) -> Person:
    """One person's frames as one score.

    The score is the mean of ``p_fake`` over the frames whose face is familiar, without the share
    ``trim`` of them at each end: a blink or a blur does not tip it. Where fewer than half of the
    frames, or fewer than ``min_frames``, are familiar, the person is unfamiliar, and the mean goes
    over all frames.

    Args:
        faces: Scored faces of this person, at least one.
        thresholds: Fake from the upper one on, real below the lower one.
        aggregation: The card's rule.
        guard: Says when a face is unfamiliar; ``None`` takes every face as familiar.
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


def _decide(known: Sequence[float], strange: Sequence[float], thresholds: Thresholds) -> Judgement:
    """The deciding score of familiar and of unfamiliar faces, at least one of both together."""
    if known and max(known) >= thresholds.fake_above:
        return Judgement("fake", max(known), None)
    if strange:
        return Judgement("inconclusive", max(strange), "unfamiliar")
    p_fake = max(known)
    if p_fake < thresholds.real_below:
        return Judgement("real", p_fake, None)
    return Judgement("inconclusive", p_fake, "between_thresholds")


def is_unfamiliar(face: FaceScore, guard: Guard | None) -> bool:
    """Whether a face lies beyond the guard's threshold; without a guard or a score it does not."""
    if guard is None or face.unfamiliar is None:
        return False
    return face.unfamiliar > guard.unfamiliar_above


def is_unseen(face: FaceScore) -> bool:
    """Whether a picture was taken as a face in which the finder saw none: it has no confidence."""
    return face.confidence == 0
