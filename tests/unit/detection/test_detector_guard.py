"""The guard's threshold can be set, and is refused where there is no guard."""

import dataclasses

import numpy as np
import pytest

from mesoscope import Detector
from mesoscope.detection.scorer import OnnxScorer
from mesoscope.errors import OptionError
from mesoscope.models.file import find_model


@pytest.fixture
def picture(astronaut_face):
    return np.ascontiguousarray(astronaut_face)


def test_a_lower_threshold_leaves_a_face_undecided(picture):
    plain = Detector("mesoscope", faces="whole")
    verdict = plain.check(picture)
    (face,) = verdict.faces
    assert verdict.reason != "unfamiliar"
    for above, refused in ((face.unfamiliar - 0.01, True), (face.unfamiliar + 0.01, False)):
        detector = Detector("mesoscope", faces="whole", unfamiliar_above=above)
        assert detector.guard == dataclasses.replace(plain.guard, unfamiliar_above=above)
        again = detector.check(picture)
        assert again.p_fake == verdict.p_fake
        assert (again.reason == "unfamiliar") == refused
        assert again.label == ("inconclusive" if refused else verdict.label)


def test_a_threshold_needs_a_guard():
    with pytest.raises(OptionError, match="threshold of the guard, which is switched off"):
        Detector("mesoscope", guard=False, unfamiliar_above=0.9)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="unfamiliar_above must be above 0 and finite"):
            Detector("mesoscope", unfamiliar_above=wrong)
    scorer = OnnxScorer(find_model("mesoscope"))
    scorer.card = dataclasses.replace(scorer.card, guard=None)
    with pytest.raises(OptionError, match=r"mesoscope@\w+ has none: leave it out"):
        Detector(scorer, unfamiliar_above=0.9)


def test_without_the_option_the_card_decides():
    plain = Detector("mesoscope")
    assert plain.guard == plain.card.guard
    assert Detector("mesoscope", guard=False).guard is None
