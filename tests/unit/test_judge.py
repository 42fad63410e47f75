"""Labels from scores."""

import pytest

from mesoscope.judge import judge
from mesoscope.types import FaceScore, Guard, Thresholds

CARD = Thresholds(real_below=0.3, fake_above=0.7)


def face(p_fake, unfamiliar=None):
    return FaceScore((0.0, 0.0, 10.0, 10.0), 1.0, p_fake, unfamiliar=unfamiliar)


@pytest.mark.parametrize(
    ("scores", "label", "p_fake", "reason"),
    [
        ([0.9], "fake", 0.9, None),
        ([0.7], "fake", 0.7, None),  # the threshold itself is fake
        ([0.1], "real", 0.1, None),
        ([0.3], "inconclusive", 0.3, "between_thresholds"),  # and the lower one is not real
        ([0.5], "inconclusive", 0.5, "between_thresholds"),
        ([0.1, 0.9, 0.2], "fake", 0.9, None),  # the worst face decides
        ([0.1, 0.5], "inconclusive", 0.5, "between_thresholds"),
        ([], None, None, "no_face"),
    ],
)
def test_label(scores, label, p_fake, reason):
    assert judge([face(s) for s in scores], CARD) == (label, p_fake, reason)


def test_one_threshold_leaves_nothing_between():
    half, one = Thresholds(0.5, 0.5), Thresholds(1.0, 1.0)
    assert judge([face(0.5)], half).label == "fake"
    assert judge([face(0.49)], half).label == "real"
    assert judge([face(1.0)], one).label == "fake"


def test_only_faces_that_are_too_small():
    assert judge([], CARD, skipped=2) == (None, None, "face_too_small")


def test_a_side_that_is_never_decided():
    never_fake = Thresholds(real_below=0.2, fake_above=1.0)
    assert judge([face(0.99)], never_fake).label == "inconclusive"


@pytest.mark.parametrize(
    ("faces", "label", "p_fake", "reason"),
    [
        ([(0.9, 1.0)], "fake", 0.9, None),  # the threshold itself is familiar
        ([(0.9, 1.1)], "inconclusive", 0.9, "unfamiliar"),
        ([(0.1, 1.1)], "inconclusive", 0.1, "unfamiliar"),  # a low score says nothing either
        ([(0.5, 1.1)], "inconclusive", 0.5, "unfamiliar"),
        # One familiar face is fake: so is the picture, whatever the strange one scores.
        ([(0.8, 0.5), (0.99, 3.0)], "fake", 0.8, None),
        ([(0.8, 0.5), (0.01, 3.0)], "fake", 0.8, None),
        # No familiar face is fake: the strange one might be, so the picture is not real.
        ([(0.1, 0.5), (0.99, 3.0)], "inconclusive", 0.99, "unfamiliar"),
        ([(0.2, 0.5), (0.1, 3.0)], "inconclusive", 0.1, "unfamiliar"),
        ([(0.5, 0.5), (0.1, 3.0), (0.2, 2.0)], "inconclusive", 0.2, "unfamiliar"),
        ([(0.1, 0.5), (0.2, 0.9)], "real", 0.2, None),
        ([(0.9, None)], "fake", 0.9, None),  # a scorer that does not know
    ],
)
def test_unfamiliar_faces(faces, label, p_fake, reason):
    scored = [face(*pair) for pair in faces]
    assert judge(scored, CARD, guard=Guard()) == (label, p_fake, reason)


def test_without_the_guard_every_face_is_taken_as_familiar():
    assert judge([face(0.9, 5.0)], CARD).label == "fake"
    assert judge([face(0.1, 5.0)], CARD).label == "real"


def test_the_guards_threshold_is_the_cards():
    assert judge([face(0.9, 1.5)], CARD, guard=Guard(unfamiliar_above=2.0)).label == "fake"
    answer = judge([face(0.9, 1.5)], Thresholds(0.5, 0.5), guard=Guard())
    assert (answer.label, answer.reason) == ("inconclusive", "unfamiliar")
