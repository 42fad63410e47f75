"""Values check themselves when made, and survive JSON."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import ModelError, OptionError
from mesoscope.types import (
    Calibration,
    DetectOptions,
    Face,
    Frame,
    Guard,
    ModelCard,
    Thresholds,
)
from mesoscope.types.card import Aggregation

shares = st.floats(0, 1).map(lambda v: round(v, 4))
texts = st.text(max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
cards = st.builds(
    ModelCard,
    name=texts,
    architecture=texts,
    input_px=st.integers(8, 2048),
    crop_margin=st.floats(1, 9),
    calibration=st.builds(Calibration, finite, finite, texts, texts),
    thresholds=st.tuples(shares, shares).map(lambda t: Thresholds(min(t), max(t), "x")),
    training_data=texts,
    metrics=st.dictionaries(texts, finite | texts | st.none() | st.lists(finite, max_size=2)),
    parameters=st.integers(0, 10**9),
    self_check=st.lists(shares, max_size=4).map(tuple),
    guard=st.none() | st.builds(Guard, st.floats(0.1, 9), shares, texts, texts),
    aggregation=st.builds(Aggregation, trim=st.floats(0, 0.49), min_frames=st.integers(1, 99)),
)


# --- JSON


@given(cards)
def test_a_card_survives_json(card):
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize(
    "change",
    [
        {"card_version": 2}, {"card_version": None}, {"thresholds": {"real_below": 2}},
        {"thresholds": {"real_below": 0.9, "fake_above": 0.1}}, {"thresholds": None},
        {"calibration": {"slope": 1}}, {"surprise": 1}, {"self_check": None}, {"input_px": 0},
        {"input_px": "256"}, {"crop_margin": 0.5}, {"crop_margin": math.inf},
        {"aggregation": {"rule": "worst"}}, {"aggregation": {"trim": 0.5}},
        {"aggregation": {"min_frames": 0}}, {"aggregation": None},
    ],
)  # fmt: skip
def test_a_card_that_is_none_is_refused(change):
    good = dataclasses.asdict(ModelCard("m", "meso4"))
    with pytest.raises(ModelError):
        ModelCard.from_json(json.dumps({**good, **change}))


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "3", "{}"])
def test_text_that_is_no_card_is_refused(text):
    with pytest.raises(ModelError):
        ModelCard.from_json(text)


def test_a_card_without_the_newer_fields_has_their_defaults():
    old = dataclasses.asdict(ModelCard("m", "meso4"))
    for name in ("aggregation", "face_margin", "guard", "operating_points"):
        del old[name]
    assert ModelCard.from_json(json.dumps(old)) == ModelCard("m", "meso4")


def test_a_card_says_what_p_fake_means():
    assert json.loads(ModelCard("m", "meso4").to_json())["label_convention"] == (
        "p_fake: fake = 1, real = 0"
    )


# --- checks


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 4), "uint8"), ((4, 4, 4), "uint8"), ((0, 4, 3), "uint8"), ((4, 4, 3), "float32")],
)
def test_a_frame_holds_rgb_pixels(shape, dtype):
    with pytest.raises(OptionError, match=rf"photo: a picture must be .*{dtype}"):
        Frame(np.zeros(shape, dtype), "photo")
    assert Frame(np.zeros((1, 1, 3), np.uint8), "photo").index == 0


@pytest.mark.parametrize(
    "box",
    [(5, 0, 5, 9), (9, 0, 5, 9), (0, 9, 5, 9), (0, 0, math.nan, 9), (0, 0, math.inf, 9)],
)
def test_a_face_has_an_extent(box):
    with pytest.raises(OptionError, match="face box must be x1 < x2"):
        Face(box)


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (math.nan, 0.5)])
def test_thresholds_are_in_order(low, high):
    with pytest.raises(ModelError, match="0 <= real_below <= fake_above <= 1"):
        Thresholds(low, high)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"faces": "eyes"}, "faces must be one of auto, mtcnn, yunet, whole, got 'eyes'"),
        ({"threshold": 1.5}, "threshold must lie in 0..1, got 1.5"),
        ({"threshold": math.nan}, "threshold must lie in 0..1, got nan"),
        ({"max_pixels": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"jobs": -1}, "jobs"),
        ({"frames": 0}, "frames must be at least 1"),
        ({"every_s": 0.0}, "every_s must be above 0 and finite"),
        ({"every_s": math.nan}, "every_s must be above 0 and finite"),
        ({"fpr": 1.0}, "fpr must lie between 0 and 1"),
    ],
)
def test_options_out_of_range(option, message):
    with pytest.raises(OptionError) as caught:
        DetectOptions(**option)
    assert message in str(caught.value)
    assert DetectOptions(threshold=0).threshold == 0


def test_values_are_frozen():
    for value in (Face((0, 0, 1, 1)), Thresholds(), DetectOptions(), ModelCard("m", "meso4")):
        field = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, None)
