"""Strips of the clips that were judged most wrongly."""

import numpy as np
import pytest

from mesoscope.report.mistakes import worst_clips
from mesoscope.report.page import items_word, write_page
from mesoscope.report.record import Prediction
from mesoscope.types import FaceScore, Person, Verdict


@pytest.fixture
def clip(make_clip, make_face):
    """``clip(name, label, p_fake, told)`` → a prediction with its verdict and a file behind."""

    def make(name, label, p_fake, told, reason=None):
        size = 128
        path = str(make_clip([make_face(n, size) for n in range(10)], name))
        faces = tuple(
            FaceScore((20.0, 20.0, 100.0, 110.0), 0.9, p_fake, frame_index=n, time_s=0.04 * n)
            for n in range(10)
        )
        person = Person(0, told, p_fake, 10, 0.0, 0.36)
        seen = Verdict(path, "clip", told, p_fake, "m", faces=faces, persons=(person,),
                       duration_s=0.4)  # fmt: skip
        return Prediction(path, label, "<one>", name, "", p_fake, told, reason=reason, kind="clip",
                          frames=10, faces=10, persons=1, duration_s=0.4, seen=seen)  # fmt: skip

    return make


def test_wrong_labels_come_first_then_the_furthest_from_the_middle(evaluated, clip):
    items = [
        clip("a.mp4", 0, 0.6, "inconclusive", "between_thresholds"),
        clip("b.mp4", 0, 0.8, "fake"),
        clip("c.mp4", 0, 0.9, "inconclusive", "unfamiliar"),
        clip("d.mp4", 1, 0.1, "real"),
    ]
    reals, fakes = worst_clips(evaluated(items))
    assert [m.name for m in reals] == ["b.mp4", "c.mp4", "a.mp4"]
    assert [m.name for m in fakes] == ["d.mp4"]
    assert (
        reals[1].caption == "told inconclusive (unfamiliar): 1 person, 10 faces in 10 frames, 0.4 s"
    )
    for mistake in (*reals, *fakes):
        assert mistake.strip.shape[1:] == (1080, 3)
        assert mistake.strip.shape[0] > 240 + 100  # frames above the scores over time
        assert mistake.strip.std() > 20


@pytest.mark.parametrize(
    ("label", "p_fake", "verdict", "wrong"),
    [
        (0, 0.5, "inconclusive", (False, 0.0)),  # called fake from .5 on, as accuracy has it
        (1, 0.5, "inconclusive", None),
        (0, 0.4, "fake", (True, -0.1)),  # by a low threshold
        (1, 0.2, None, (False, 0.3)),
        (1, 0.9, "fake", None),
        (0, None, None, None),
    ],
)
def test_how_wrong_an_answer_is(label, p_fake, verdict, wrong):
    found = Prediction("a", label, "s", "g", "", p_fake, verdict).error_rank
    assert found == (None if wrong is None else (wrong[0], pytest.approx(wrong[1])))


def test_the_page_shows_them_and_a_file_that_has_gone_is_said(evaluated, clip, tmp_path):
    items = [clip("a.mp4", 0, 0.9, "fake"), clip("b.mp4", 1, 0.1, "real")]
    (tmp_path / "b.mp4").unlink()
    out = tmp_path / "out"
    out.mkdir()
    (out / "clip_fake_told_real_3.jpg").touch()  # of an evaluation before
    found = evaluated(items)
    assert items_word(found) == "clips"
    text = write_page(found, out).read_text(encoding="utf-8")
    assert text.count('<figure class="strip">') == 2
    assert text.count("cannot be read any more") == 1
    assert "Genuine clips judged most wrongly" in text
    assert "&lt;one&gt;: a.mp4" in text
    assert "The most confident mistakes" not in text  # those are pictures
    assert [p.name for p in out.glob("clip_*.jpg")] == ["clip_real_told_fake_1.jpg"]


def test_a_strip_that_cannot_be_drawn_costs_no_page(evaluated, clip, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    found = evaluated([clip("a.mp4", 0, 0.9, "fake"), clip("b.mp4", 1, 0.1, "real")])
    monkeypatch.setattr("mesoscope.report.mistakes.contact_strip", fail)
    text = write_page(found, tmp_path).read_text(encoding="utf-8")
    assert text.count("cannot be read any more") == 2


def test_no_wrong_clip_is_said(evaluated, clip, tmp_path):
    items = [clip("a.mp4", 0, 0.1, "real"), clip("b.mp4", 1, 0.9, "fake")]
    text = write_page(evaluated(items), tmp_path).read_text(encoding="utf-8")
    assert "None: no clip was told the wrong label" in text


def test_a_mean_of_scores_that_is_fine_needs_no_clip(evaluation):
    assert worst_clips(evaluation) == ([], [])
    assert np.all([p.kind == "image" for p in evaluation.predictions])
