"""Timelines and strips of clips, and the sheets that hold all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mesoscope.draw import (
    clip_sheet,
    clock,
    contact_strip,
    draw_timeline,
    faces_of,
    most_suspicious,
    picture_sheet,
)
from mesoscope.draw import timeline as drawing
from mesoscope.draw.palette import PERSONS
from mesoscope.errors import OptionError
from mesoscope.types import FaceScore, Frame, SkippedFace, Verdict


def inked(picture, colour):
    """Columns that hold a colour."""
    return np.flatnonzero((picture == colour).all(axis=2).any(axis=0))


def test_a_line_breaks_where_the_person_is_away(clip_verdict):
    faces = [face for face in clip_verdict.faces if face.person == 0]
    times = sorted({face.time_s for face in clip_verdict.faces})
    runs = list(drawing._runs(faces, times, 0.5))
    assert [(run[0].time_s, run[-1].time_s) for run in runs] == [(0.0, 3.5), (6.0, 9.5)]


def test_a_gap_is_seen_without_anyone_else_in_it(clip_verdict):
    """Frames in which nobody was found leave no trace but the time that passed."""
    alone = tuple(face for face in clip_verdict.faces if face.person == 0)
    verdict = dataclasses.replace(clip_verdict, faces=alone)
    step = drawing._step_s(verdict, alone)
    times = [face.time_s for face in alone]
    assert len(list(drawing._runs(alone, times, step))) == 2


def test_frames_at_uneven_times_are_no_gaps():
    """Variable frame rates: steps of 0.4 s to 0.7 s."""
    times = np.cumsum([0.4, 0.7, 0.5, 0.4, 0.6, 0.7, 0.4])
    faces = [FaceScore((0.0, 0.0, 9.0, 9.0), 1.0, 0.5, i, float(t)) for i, t in enumerate(times)]
    verdict = Verdict("a", "clip", "real", 0.5, "m", faces=tuple(faces), frames_read=7, duration_s=3.8)  # fmt: skip  # noqa: E501
    step = drawing._step_s(verdict, faces)
    assert len(list(drawing._runs(faces, times.tolist(), step))) == 1


def test_gap_is_left_white(clip_verdict, terms):
    drawn = draw_timeline(clip_verdict, 900, 300, terms=terms)
    assert drawn.shape == (300, 900, 3)
    columns = inked(drawn, PERSONS[0])
    widest = int(np.diff(columns).max())
    others = int(np.diff(inked(drawn, PERSONS[1])).max())
    assert widest > 60
    assert others < 60


@pytest.mark.parametrize("size", [(40, 30), (200, 120), (1, 1), (3000, 200), (300, 3000)])
def test_any_size_is_drawn(clip_verdict, terms, size):
    assert draw_timeline(clip_verdict, *size, terms=terms).shape == (size[1], size[0], 3)
    assert draw_timeline(clip_verdict, *size).shape == (size[1], size[0], 3)


def test_many_persons_and_one_moment_are_drawn(terms):
    faces = tuple(FaceScore((0.0, 0.0, 9.0, 9.0), 1.0, n / 40, 0, 0.0, person=n) for n in range(40))
    verdict = Verdict("a", "clip", "fake", 0.97, "m", faces=faces, duration_s=0.0)
    assert draw_timeline(verdict, 600, 200, terms=terms).shape == (200, 600, 3)


def test_a_clip_without_faces_says_so(terms):
    verdict = Verdict("a", "clip", None, None, "m", reason="no_face", duration_s=3.0)
    drawn = draw_timeline(verdict, 500, 100, terms=terms)
    assert (drawn < 150).any()


def test_the_most_suspicious_moments_lie_apart(clip_verdict):
    close = dataclasses.replace(clip_verdict, duration_s=48.0)  # a 24th of it: 2 s
    times = most_suspicious(close, 4)
    assert times == tuple(sorted(times))
    assert len(times) == 4
    assert 9.5 in times
    assert min(np.diff(times)) >= 2
    assert len(most_suspicious(close, 100)) == 20
    assert most_suspicious(dataclasses.replace(clip_verdict, faces=()), 4) == ()


def test_strip_holds_all_frames(clip_verdict, terms):
    frames = [
        Frame(np.full((120, 240, 3), 40 * n, np.uint8), "a.mp4", n, n * 0.5) for n in range(5)
    ]
    before = [frame.pixels.copy() for frame in frames]
    strip = contact_strip(frames, clip_verdict, width_px=900, terms=terms)
    assert strip.shape[1] == 900
    for n in range(1, 5):
        assert (strip == 40 * n).all(axis=2).sum() > 5000
    assert all((frame.pixels == was).all() for frame, was in zip(frames, before, strict=True))


def test_strip_takes_frames_of_other_shapes(clip_verdict):
    """A clip may change its size on the way, or stand upright."""
    frames = [
        Frame(np.full(shape, 99, np.uint8), "a", n, n * 0.5)
        for n, shape in enumerate([(400, 100, 3), (100, 400, 3), (1, 1, 3)])
    ]
    assert contact_strip(frames, clip_verdict, width_px=600).shape[1] == 600


def test_strip_without_frames_is_refused(clip_verdict):
    with pytest.raises(OptionError, match=r"clips/a\.mp4: a strip needs at least one frame"):
        contact_strip([], clip_verdict)


def test_faces_are_told_by_time(clip_verdict):
    frame = Frame(np.zeros((9, 9, 3), np.uint8), "a", 77, 3.5)  # numbered otherwise
    assert [face.person for face in faces_of(frame, clip_verdict)] == [0, 1]


def test_clock():
    assert [clock(t) for t in (0, 3.517, 59.999, 61, 3723.5)] == [
        "0:00.00", "0:03.52", "1:00.00", "1:01.00", "1:02:03.50",
    ]  # fmt: skip
    assert clock(61.2, digits=0) == "1:01"


@pytest.mark.parametrize("shape", [(512, 512), (1920, 1080), (4320, 7680), (40, 30), (10, 3000)])
def test_picture_sheet_of_any_shape(make_verdict, terms, shape):
    height, width = shape
    box = (width * 0.3, height * 0.3, width * 0.6, height * 0.6)
    frame = Frame(np.full((height, width, 3), 120, np.uint8), "a")
    sheet = picture_sheet(frame, make_verdict((box, 0.9)), terms=terms)
    assert sheet.shape[1] == 1200
    assert sheet.shape[0] < 2200


def test_sheet_without_faces_has_no_panels(make_verdict, terms):
    frame = Frame(np.full((300, 300, 3), 120, np.uint8), "a")
    none = make_verdict(skipped=(SkippedFace((1.0, 1.0, 20.0, 20.0), 0.9),))
    short = picture_sheet(frame, none, terms=terms)
    assert short.shape[0] < picture_sheet(frame, make_verdict(((9, 9, 99, 99), 0.9)), terms=terms).shape[0]  # fmt: skip  # noqa: E501


def test_sheet_of_a_crowd_stays_short(make_verdict, terms):
    faces = [((x, 10, x + 9, 19), x / 2000) for x in range(0, 2000, 10)]
    frame = Frame(np.full((600, 2010, 3), 120, np.uint8), "a")
    assert picture_sheet(frame, make_verdict(*faces), terms=terms).shape[0] < 2200


def test_clip_sheets(clip_verdict, terms):
    frames = [Frame(np.full((120, 240, 3), 90, np.uint8), "a", n, n * 0.5) for n in (3, 9, 15)]
    assert clip_sheet(frames, clip_verdict, terms=terms).shape[1] == 1200
    nobody = Verdict("a", "clip", None, None, "m", reason="no_face", duration_s=3.0)
    assert clip_sheet(frames, nobody, terms=terms).shape[1] == 1200
    assert clip_sheet([], nobody, terms=terms).shape[1] == 1200
