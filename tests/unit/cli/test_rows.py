"""A verdict as a line of a table."""

import os

from mesoscope.cli.printing import row
from mesoscope.types import Person, Verdict


def test_label_score_source_and_reason():
    assert row(Verdict("a.jpg", "image", "real", 0.1, "m@1")) == "real          0.100  a.jpg"
    between = Verdict("a.jpg", "image", "inconclusive", 0.5, "m@1", reason="between_thresholds")
    assert row(between) == "inconclusive  0.500  a.jpg"
    unseen = Verdict("a.jpg", "image", "inconclusive", 0.1, "m@1", reason="face_not_seen")
    assert row(unseen) == "inconclusive  0.100  a.jpg  (face_not_seen)"
    none = Verdict("a.jpg", "image", None, None, "m@1", reason="no_face")
    assert row(none) == "–                 –  a.jpg  (no_face)"


def test_a_clips_persons_stand_below():
    person = Person(0, "fake", 0.9, 32, 0.0, 9.84)
    clip = Verdict("a.mp4", "clip", "fake", 0.9, "m@1", persons=(person,))
    assert row(clip).splitlines()[1] == "  fake        0.900    person 1: 32 frames, 0.0–9.8 s"


def test_names_cannot_steer_the_terminal_or_break_the_line():
    name = os.fsdecode(b"a\n\x1b[2Jb\xff.jpg")
    shown = r"a\n\x1b[2Jb\udcff.jpg"
    assert row(Verdict(name, "image", "real", 0.1, "m@1")).endswith(f"  {shown}")
    error = {"code": "source.unreadable", "message": f"{name}: damaged"}
    failed = Verdict(name, "image", None, None, "m@1", error=error)
    assert row(failed).endswith(f"  {shown}: damaged")
