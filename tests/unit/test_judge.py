"""Labels from scores."""

import pytest

from mesoscope.judge import judge
from mesoscope.types import FaceScore, Thresholds

CARD = Thresholds(real_below=0.3, fake_above=0.7)


def face(p_fake):
    return FaceScore((0.0, 0.0, 10.0, 10.0), 1.0, p_fake)


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
