"""A card's operating points: written, read back, found by their rate and by no other."""

import dataclasses
import json

import pytest

from mesoscope.errors import ModelError, OptionError
from mesoscope.models.file import _validate
from mesoscope.types import Guard, ModelCard, OperatingPoint, Thresholds

POINTS = (
    OperatingPoint(0.05, 0.8, 2000, 99, (0.04, 0.06), 1900, 0.7, (0.66, 0.74)),
    OperatingPoint(0.01, 0.95, 2000, 20, (0.006, 0.015), 1900, 0.4, (0.36, 0.44)),
)


def card(points=POINTS):
    return ModelCard("m", "none", thresholds=Thresholds(0.3, 0.7), operating_points=points)


def test_points_travel_in_the_card():
    assert ModelCard.from_json(card().to_json()) == card()


def test_a_card_from_before_has_none():
    data = json.loads(card().to_json())
    del data["operating_points"]
    assert ModelCard.from_json(json.dumps(data)).operating_points == ()


def test_a_card_from_before_has_no_guard():
    data = json.loads(ModelCard("m", "none", guard=Guard(1.5, 0.01, "r", "f")).to_json())
    assert ModelCard.from_json(json.dumps(data)).guard == Guard(1.5, 0.01, "r", "f")
    del data["guard"]
    assert ModelCard.from_json(json.dumps(data)).guard is None


@pytest.mark.parametrize("damage", [{"unfamiliar_above": 0}, {"false_refusals": 2}, {"extra": 1}])
def test_a_damaged_guard_damages_the_card(damage):
    data = json.loads(ModelCard("m", "none", guard=Guard()).to_json())
    data["guard"] |= damage
    with pytest.raises(ModelError, match=r"guard|cannot be read"):
        ModelCard.from_json(json.dumps(data))


def test_a_rate_moves_the_upper_threshold_alone():
    found = card().at_fpr(0.01)
    assert (found.real_below, found.fake_above) == (0.3, 0.95)
    assert "20 of 2000 reals" in found.rule


def test_a_lenient_rate_takes_the_lower_threshold_along():
    low = dataclasses.replace(POINTS[0], threshold=0.2)
    found = card((low,)).at_fpr(0.05)
    assert (found.real_below, found.fake_above) == (0.2, 0.2)


@pytest.mark.parametrize("fpr", [0.02, 0.011, 0.001])
def test_a_rate_in_between_is_refused_with_those_there_are(fpr):
    with pytest.raises(OptionError, match=rf"rate of {fpr}: choose one of 0.05, 0.01, or"):
        card().at_fpr(fpr)


def test_a_card_without_points_says_what_to_do():
    with pytest.raises(OptionError, match="none at all: measure one with"):
        card(()).at_fpr(0.01)


@pytest.mark.parametrize(
    "change", [{"threshold": 1.1}, {"fpr": 0.0}, {"tpr": -0.1}, {"fpr_interval": (0.1,)}]
)
def test_a_point_that_cannot_be_is_refused(change):
    with pytest.raises(ModelError, match="operating point"):
        dataclasses.replace(POINTS[0], **change)


@pytest.mark.parametrize("damage", [{"extra": 1}, {"threshold": "high"}])
def test_a_damaged_point_damages_the_card(damage):
    data = json.loads(card().to_json())
    data["operating_points"][0] |= damage
    with pytest.raises(ModelError, match="cannot be read"):
        ModelCard.from_json(json.dumps(data))


def test_a_point_with_a_value_of_another_kind_is_no_card():
    data = json.loads(card().to_json())
    data["operating_points"][0]["n_real"] = "many"
    broken = ModelCard.from_json(json.dumps(data))
    with pytest.raises(ModelError, match="n_real has a wrong type"):
        _validate(broken)
    _validate(card())
