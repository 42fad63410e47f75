"""Labels and reasons of a verdict, and their wording for users.

They are :class:`~typing.Literal` strings: type checkers reject misspelt ones, and JSON holds plain
text. Reports, evidence pictures, the command line and the service take their wording from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, cast, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

Label = Literal["fake", "real", "inconclusive"]
Reason = Literal[
    "between_thresholds", "unfamiliar", "background_face", "no_face", "face_not_seen",
    "face_too_small", "few_frames", "unreadable",
]  # fmt: skip
Answer = Literal["fake", "real", "inconclusive", "none", "unreadable"]  # result for a source
Opinion = Literal["real", "forged", "unsure"]  # a user's opinion on a result

LABELS: Final[tuple[Label, ...]] = get_args(Label)
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
ANSWERS: Final[tuple[Answer, ...]] = get_args(Answer)
CLASSES: Final = ("real", "fake")  # of labelled pictures: real = 0, fake = 1

ANSWER_NAMES: Final[Mapping[Answer, str]] = {
    "fake": "fake",
    "inconclusive": "inconclusive",
    "real": "real",
    "none": "no answer",
    "unreadable": "not readable",
}
# What each answer means. The text of "real" does not claim that anything is genuine.
ANSWER_TEXTS: Final[Mapping[Answer, str]] = {
    "fake": "a face looks forged to the model",
    "inconclusive": "the model cannot tell",
    "real": "no sign of a forgery known to this model",
    "none": "no face to judge",
    "unreadable": "the file could not be read",
}
# Each reason in words; :func:`as_sentence` makes a sentence of them.
REASON_TEXTS: Final[Mapping[Reason, str]] = {
    "between_thresholds": "the score lies between the model's two thresholds",
    "unfamiliar": "a face is unlike those that the model learnt from, so its score says nothing",
    "background_face": "only a small face in the background looks forged, not the person shown",
    "no_face": "no face was found",
    "face_not_seen": "no face was found, so the score is of the whole picture taken as a face crop",
    "face_too_small": "only faces that are too small to be judged were found",
    "few_frames": "a face was judged in too few frames",
    "unreadable": "the file could not be read",
}


def answer_of(label: Label | None, *, failed: bool = False) -> Answer:
    """Return the answer for a source: its label, ``unreadable`` on failure, otherwise ``none``."""
    return "unreadable" if failed else label or "none"


def reason_text(reason: str | None) -> str:
    """Return a reason in words: unknown reasons unchanged, an empty string for ``None``."""
    return REASON_TEXTS.get(cast("Reason", reason), reason or "")


def as_sentence(text: str) -> str:
    """Capitalise a text and end it with a full stop; an empty text stays empty."""
    return f"{text[0].upper()}{text[1:]}." if text else ""


def plural(count: int, noun: str) -> str:
    """Format a count with its noun: ``1 file``, ``2,000 files``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
