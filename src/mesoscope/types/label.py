"""The labels and reasons of a verdict, and what each says to people: their one home.

A :class:`~typing.Literal` names them, so that a type checker refuses a misspelt one and JSON holds
plain text. All that shows a label takes its words from here: reports, pictures of evidence, the
command line, the service and its page.
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
Answer = Literal["fake", "real", "inconclusive", "none", "unreadable"]  # what a source comes to
Opinion = Literal["real", "forged", "unsure"]  # what a person says of a result

LABELS: Final[tuple[Label, ...]] = get_args(Label)
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
ANSWERS: Final[tuple[Answer, ...]] = get_args(Answer)
CLASSES: Final = ("real", "fake")  # of labelled pictures: real = 0, fake = 1

WORDS: Final[Mapping[Answer, str]] = {
    "fake": "fake",
    "inconclusive": "inconclusive",
    "real": "real",
    "none": "no answer",
    "unreadable": "not readable",
}
# An answer as a clause. For the label "real" it is not said that anything is genuine.
SAYINGS: Final[Mapping[Answer, str]] = {
    "fake": "a face looks forged to the model",
    "inconclusive": "the model cannot tell",
    "real": "no sign of a forgery known to this model",
    "none": "no face to judge",
    "unreadable": "the file could not be read",
}
# A reason as a clause; a sentence of it: :func:`as_sentence`.
CLAUSES: Final[Mapping[Reason, str]] = {
    "between_thresholds": "the score lies between the model's two thresholds",
    "unfamiliar": "a face is unlike those that the model learnt from, so its score says nothing",
    "background_face": "only a small face in the background looks forged, not the person shown",
    "no_face": "no face was found",
    "face_not_seen": "no face was found, so the score is of the whole picture, were it a face crop",
    "face_too_small": "only faces that are too small to be judged were found",
    "few_frames": "a face was judged in too few frames",
    "unreadable": "the file could not be read",
}


def answer_of(label: Label | None, *, failed: bool = False) -> Answer:
    """What a source comes to: its label; ``unreadable`` with an error; ``none`` otherwise."""
    return "unreadable" if failed else label or "none"


def clause_of(reason: str | None) -> str:
    """A reason as a clause; one of a later version as it is; empty for none."""
    return CLAUSES.get(cast("Reason", reason), reason or "")


def as_sentence(clause: str) -> str:
    """A clause as a sentence: with a capital letter and a full stop; empty stays empty."""
    return f"{clause[0].upper()}{clause[1:]}." if clause else ""
