"""Scores and a card in, a label out. Pure: no picture, no file, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import FaceScore, Guard, Label, Thresholds


class Judgement(NamedTuple):
    """A label, the score behind it, and why there is no clear one."""

    label: Label | None
    p_fake: float | None
    reason: str | None


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

    Args:
        faces: Scored faces.
        thresholds: Fake from the upper one on, real below the lower one.
        guard: The card's, says when a face is unfamiliar; ``None`` takes every face as familiar.
        skipped: Faces that were found and are too small to be scored.

    Returns:
        ``label`` is ``None`` with reason ``no_face`` or ``face_too_small`` where nothing was
        scored; ``inconclusive`` has the reason ``unfamiliar`` or ``between_thresholds``.
    """
    if not faces:
        return Judgement(None, None, "face_too_small" if skipped else "no_face")
    strange = [face.p_fake for face in faces if is_unfamiliar(face, guard)]
    known = [face.p_fake for face in faces if not is_unfamiliar(face, guard)]
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
