"""Boxes and plates: inside the picture, apart from each other, told without colour."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.draw import Terms, draw_faces, score_text, square_of
from mesoscope.draw import faces as drawing
from mesoscope.draw.palette import FAKE, INCONCLUSIVE, INK, REAL, SCORED, UNFAMILIAR, style_of
from mesoscope.types import FaceScore, SkippedFace, Verdict
from mesoscope.types.card import Guard, Thresholds


@pytest.fixture
def plates(monkeypatch):
    """What is written, and the rectangles that plates take, of the pictures drawn in a test."""
    found = []
    place = drawing._place

    def watch(shape, mark, size_px, taken):
        placed = place(shape, mark, size_px, taken)
        if placed is not None:
            found.append((placed[0], placed[1], tuple(shape)))
        return placed

    monkeypatch.setattr(drawing, "_place", watch)
    return found


def test_input_stays_and_shape_is_kept(make_verdict, terms):
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    before = picture.copy()
    drawn = draw_faces(picture, make_verdict(((100, 80, 200, 220), 0.9)), terms=terms)
    assert (picture == before).all()
    assert drawn.shape == picture.shape
    assert (drawn != picture).any()


def test_without_faces_the_picture_is_a_copy(make_verdict):
    picture = np.full((40, 50, 3), 7, np.uint8)
    drawn = draw_faces(picture, make_verdict())
    assert (drawn == picture).all()
    assert drawn is not picture


@pytest.mark.parametrize("ground", [0, 255, 128])
def test_box_and_plate_show_on_any_ground(make_verdict, terms, ground):
    picture = np.full((400, 400, 3), ground, np.uint8)
    for p_fake, style in ((0.9, FAKE), (0.5, INCONCLUSIVE), (0.1, REAL)):
        drawn = draw_faces(picture, make_verdict(((100, 100, 300, 300), p_fake)), terms=terms, heat=False)  # fmt: skip  # noqa: E501
        shown = [(drawn == colour).all(axis=2)[95:106, 100:300] for colour in (style.line, INK)]
        assert all(part.any() for part in shown)
        contrast = [abs(np.dot(c, [0.299, 0.587, 0.114]) - ground) for c in (style.line, INK)]
        assert max(contrast) > 80  # the line or its dark edge stands out


@given(
    boxes=st.lists(
        st.tuples(st.floats(-50, 190), st.floats(-50, 140), st.floats(2, 150), st.floats(2, 150)),
        min_size=1, max_size=12,
    ),
    height=st.integers(8, 300), width=st.integers(8, 300),
)  # fmt: skip
def test_plates_stay_inside_and_apart(boxes, height, width):
    faces = tuple(
        FaceScore((x, y, x + w, y + h), 1.0, round(0.05 + 0.07 * i, 2))
        for i, (x, y, w, h) in enumerate(boxes)
    )
    verdict = Verdict("a", "image", "fake", 0.9, "m", faces=faces, finder="mtcnn")
    terms = Terms(Thresholds(0.3, 0.7, ""))
    marks = [drawing._mark(i + 1, f, verdict, terms, 1.0) for i, f in enumerate(faces)]
    taken = []
    for mark in marks:
        placed = drawing._place((height, width), mark, 14, taken)
        if placed is not None:
            x1, y1, x2, y2 = placed[1]
            assert 0 <= x1 < x2 <= width
            assert 0 <= y1 < y2 <= height
            assert not any(drawing._meet(placed[1], other) for other in taken)
            taken.append(placed[1])
    drawn = draw_faces(np.zeros((height, width, 3), np.uint8), verdict, terms=terms)
    assert drawn.shape == (height, width, 3)


def test_several_faces_are_numbered_as_in_the_verdict(make_verdict, terms, plates):
    verdict = make_verdict(((50, 50, 150, 150), 0.2), ((300, 300, 420, 420), 0.95))
    draw_faces(np.zeros((600, 600, 3), np.uint8), verdict, terms=terms)
    assert [text for text, *_ in plates] == ["2  fake 0.95", "1  real 0.20"]


def test_one_face_has_no_number(make_verdict, terms, plates):
    draw_faces(np.zeros((300, 300, 3), np.uint8), make_verdict(((50, 50, 250, 250), 0.5)), terms=terms)  # fmt: skip  # noqa: E501
    assert [text for text, *_ in plates] == ["inconclusive 0.50"]


def test_in_a_crowd_the_most_suspicious_keep_their_plates(make_verdict, terms, plates):
    faces = [
        ((x, y, x + 18, y + 18), (x + y) / 1000)
        for x in range(0, 400, 20)
        for y in range(0, 200, 20)
    ]
    draw_faces(np.zeros((200, 400, 3), np.uint8), make_verdict(*faces), terms=terms)
    assert 1 < len(plates) <= 200
    assert plates[0][0].endswith("0.56")


def test_skipped_faces_are_shown_as_such(make_verdict, terms, plates):
    verdict = make_verdict(
        ((50, 50, 250, 250), 0.5), skipped=(SkippedFace((5.0, 5.0, 20.0, 20.0), 0.9),)
    )
    draw_faces(np.zeros((300, 300, 3), np.uint8), verdict, terms=terms)
    assert [text for text, *_ in plates] == ["inconclusive 0.50", "too small"]


def test_a_frame_of_a_clip_shows_its_own_faces_and_no_word(clip_verdict, terms, plates):
    draw_faces(np.zeros((240, 320, 3), np.uint8), clip_verdict, terms=terms, frame_index=9)
    assert [text for text, *_ in plates] == ["person 2  0.20"]
    plates.clear()
    draw_faces(np.zeros((240, 320, 3), np.uint8), clip_verdict, terms=terms, frame_index=3)
    assert [text for text, *_ in plates] == ["person 1  0.78", "person 2  0.20"]


def test_boxes_follow_the_scale(make_verdict, terms):
    verdict = make_verdict(((100, 100, 300, 300), 0.9), heat=False)
    drawn = draw_faces(np.zeros((200, 200, 3), np.uint8), verdict, terms=terms, scale=0.5)
    rows = np.flatnonzero((drawn == FAKE.line).all(axis=2).any(axis=1))
    assert rows[0] in range(48, 52)
    assert rows[-1] in range(148, 153)


def test_the_square_is_that_of_the_crop(make_verdict):
    terms = Terms(face_margin=1.5, crop_margin=1.2)
    found = make_verdict(((100, 100, 200, 140), 0.9))
    assert square_of(found.faces[0], found, terms) == (75, 45, 150)
    assert square_of(found.faces[0], found, terms, scale=2) == (150, 90, 300)
    whole = make_verdict(((0, 0, 100, 100), 0.9), finder="whole")
    taken = dataclasses.replace(whole.faces[0], confidence=1.0)
    assert square_of(taken, whole, terms) == (-10, -10, 120)


def test_a_clip_may_hold_faces_of_both_kinds():
    terms = Terms(face_margin=1.5, crop_margin=1.2)
    mixed = Verdict("a", "clip", "fake", 0.9, "m", finder="mtcnn, whole")
    found = FaceScore((0.0, 0.0, 100.0, 100.0), 0.98, 0.9)
    assert square_of(found, mixed, terms)[2] == 150
    assert square_of(dataclasses.replace(found, confidence=1.0), mixed, terms)[2] == 120


def test_styles_follow_thresholds_and_guard():
    terms = Terms(Thresholds(0.3, 0.7, ""), Guard(1.0, 0.01))
    box = (0.0, 0.0, 9.0, 9.0)
    verdict = Verdict("a", "image", "fake", 0.9, "m")
    for p_fake, style in ((0.7, FAKE), (0.69, INCONCLUSIVE), (0.3, INCONCLUSIVE), (0.29, REAL)):
        assert style_of(FaceScore(box, 1.0, p_fake), verdict, terms) is style
    assert style_of(FaceScore(box, 1.0, 0.99, unfamiliar=1.5), verdict, terms) is UNFAMILIAR


def test_without_terms_only_the_deciding_face_has_a_word():
    box = (0.0, 0.0, 9.0, 9.0)
    faces = FaceScore(box, 1.0, 0.9), FaceScore(box, 1.0, 0.1)
    verdict = Verdict("a", "image", "fake", 0.9, "m", faces=faces)
    assert style_of(faces[0], verdict, Terms()) is FAKE
    assert style_of(faces[1], verdict, Terms()) is SCORED


def test_no_two_labels_share_word_and_line():
    styles = (FAKE, REAL, INCONCLUSIVE, UNFAMILIAR)
    assert len({style.word for style in styles}) == len(styles)
    assert len({(style.dash, style.weight) for style in styles}) == len(styles)


@pytest.mark.parametrize(
    ("p_fake", "text"),
    [(0, "<0.01"), (0.004, "<0.01"), (0.005, "0.01"), (0.5, "0.50"), (0.994, "0.99"), (1, ">0.99")],
)
def test_a_score_is_never_a_certainty(p_fake, text):
    assert score_text(p_fake) == text
