"""Scores and a card in, a label out. Pure: no picture, no file, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import FaceScore, Label, Thresholds


class Judgement(NamedTuple):
    """A label, the score behind it, and why there is no clear one."""

    label: Label | None
    p_fake: float | None
    reason: str | None


def judge(
    faces: Sequence[FaceScore],
    thresholds: Thresholds,
    *,
    threshold: float | None = None,
    skipped: int = 0,
) -> Judgement:
    """Judge one picture by its most suspicious face.

    Args:
        faces: Scored faces.
        thresholds: The card's two.
        threshold: One cut in place of both: fake from there on, real below, nothing between.
        skipped: Faces that were found and are too small to be scored.

    Returns:
        ``label`` is ``None`` with reason ``no_face`` or ``face_too_small`` where nothing was
        scored; ``inconclusive`` has the reason ``between_thresholds``.
    """
    if not faces:
        return Judgement(None, None, "face_too_small" if skipped else "no_face")
    p_fake = max(face.p_fake for face in faces)
    fake_above = thresholds.fake_above if threshold is None else threshold
    real_below = thresholds.real_below if threshold is None else threshold
    if p_fake >= fake_above:
        return Judgement("fake", p_fake, None)
    if p_fake < real_below:
        return Judgement("real", p_fake, None)
    return Judgement("inconclusive", p_fake, "between_thresholds")
