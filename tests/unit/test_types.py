"""Values check themselves when made, and survive JSON."""

import dataclasses
import json
import math
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import ModelError, OptionError
from mesoscope.types import (
    Calibration,
    DetectOptions,
    Face,
    FaceScore,
    Frame,
    Guard,
    ModelCard,
    Thresholds,
    Verdict,
)

# Numbers as they leave rounded, so that a round trip is exact.
places = st.floats(-1e6, 1e6).map(lambda v: round(v, 2))
shares = st.floats(0, 1).map(lambda v: round(v, 4))
times = st.none() | st.floats(0, 1e5)
# Names as os.fsdecode gives them: a byte that is not UTF-8 is a lone low surrogate.
bytes_kept = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"])
names = st.text(st.characters(exclude_categories=["Cs"]) | bytes_kept, max_size=30)
labels = st.sampled_from(["fake", "real", "inconclusive", None])
face_scores = st.builds(
    FaceScore,
    box=st.tuples(places, places, places, places),
    confidence=shares,
    p_fake=shares,
    frame_index=st.integers(0, 10**6),
    time_s=times,
    unfamiliar=st.none() | st.floats(0, 1e4).map(lambda v: round(v, 4)),
)
verdicts = st.builds(
    Verdict,
    source=names,
    kind=st.just("image"),
    label=labels,
    p_fake=st.none() | shares,
    model=names,
    reason=st.none() | names,
    faces=st.lists(face_scores, max_size=3).map(tuple),
    frames_read=st.integers(0, 10**6),
    elapsed_s=st.dictionaries(names, st.floats(0, 100).map(lambda v: round(v, 5)), max_size=3),
    error=st.none() | st.fixed_dictionaries({"code": names, "message": names}),
)
texts = st.text(max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
cards = st.builds(
    ModelCard,
    name=texts,
    architecture=texts,
    input_px=st.integers(1, 4096),
    crop_margin=st.floats(1, 9),
    calibration=st.builds(Calibration, finite, finite, texts, texts),
    thresholds=st.tuples(shares, shares).map(lambda t: Thresholds(min(t), max(t), "x")),
    training_data=texts,
    metrics=st.dictionaries(texts, finite | texts | st.none() | st.lists(finite, max_size=2)),
    parameters=st.integers(0, 10**9),
    self_check=st.lists(shares, max_size=4).map(tuple),
    guard=st.none() | st.builds(Guard, st.floats(0.1, 9), shares, texts, texts),
)


# --- JSON


@given(verdicts)
def test_a_verdict_survives_json(verdict):
    line = verdict.to_json()
    assert line.isascii()
    assert "\n" not in line
    again = Verdict.from_json(line)
    assert again == verdict
    assert again.to_json() == line
    assert dict(again.elapsed_s) == dict(verdict.elapsed_s)


def test_the_shape_of_a_verdict():
    heat = np.ones((2, 2), np.float32)
    face = FaceScore((1.006, 2, 3, 4.5), 0.98765, 0.1234567, heat=heat)
    verdict = Verdict("a.jpg", "image", "real", 0.1234567, "meso4@3fa2c1d0", faces=(face,),
                      elapsed_s={"read": 0.1234567})  # fmt: skip
    assert json.loads(verdict.to_json()) == {
        "schema": 1,
        "source": "a.jpg",
        "kind": "image",
        "label": "real",
        "p_fake": 0.123457,
        "reason": None,
        "faces": [
            {"box": [1.01, 2, 3, 4.5], "confidence": 0.9877, "p_fake": 0.123457,
             "frame_index": 0, "time_s": None}
        ],
        "frames_read": 1,
        "model": "meso4@3fa2c1d0",
        "elapsed_s": {"read": 0.12346},
        "error": None,
    }  # fmt: skip


def test_a_name_that_is_not_utf8_survives_json():
    name = os.fsdecode(b"/photos/caf\xe9.jpg")
    line = Verdict(name, "image", None, None, "m").to_json()
    line.encode("ascii")
    assert os.fsencode(Verdict.from_json(line).source) == b"/photos/caf\xe9.jpg"


GOOD = Verdict("a", "image", "fake", 0.9, "m@0").to_dict()


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", "3", '"x"', "{}",
        json.dumps({**GOOD, "p_fake": 1.5}),
        json.dumps({**GOOD, "p_fake": math.nan}),
        json.dumps({**GOOD, "p_fake": "high"}),
        json.dumps({**GOOD, "label": "forged"}),
        json.dumps({**GOOD, "surprise": 1}),
        json.dumps({**GOOD, "faces": [{"box": [1, 2]}]}),
        json.dumps({**GOOD, "faces": 3}),
        json.dumps({k: v for k, v in GOOD.items() if k != "model"}),
    ],
)  # fmt: skip
def test_what_is_no_verdict_is_refused(text):
    with pytest.raises(OptionError):
        Verdict.from_json(text)


def test_a_verdict_of_a_later_schema_asks_for_an_update():
    with pytest.raises(OptionError, match="schema 2, and this version reads 1: update"):
        Verdict.from_json(json.dumps({**GOOD, "schema": 2}))


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


@pytest.mark.parametrize("p_fake", [-0.01, 1.01, math.nan, math.inf])
def test_p_fake_is_a_probability(p_fake):
    with pytest.raises(OptionError, match=r"a.jpg: p_fake must lie in 0\.\.1"):
        Verdict("a.jpg", "image", "fake", p_fake, "m")
    with pytest.raises(OptionError, match=r"p_fake of a face must lie in 0\.\.1"):
        FaceScore((0, 0, 1, 1), 1.0, p_fake)


@pytest.mark.parametrize("unfamiliar", [-0.01, math.nan, math.inf])
def test_unfamiliar_is_a_distance(unfamiliar):
    with pytest.raises(OptionError, match="finite and not negative"):
        FaceScore((0, 0, 1, 1), 1.0, 0.5, unfamiliar=unfamiliar)


def test_a_face_of_a_model_without_a_guard_is_written_as_before():
    assert "unfamiliar" not in FaceScore((0, 0, 1, 1), 1.0, 0.5).to_dict()
    assert FaceScore((0, 0, 1, 1), 1.0, 0.5, unfamiliar=1.25).to_dict()["unfamiliar"] == 1.25


def test_labels_are_known_ones():
    with pytest.raises(OptionError, match="unknown label 'forged'"):
        Verdict("a.jpg", "image", "forged", 0.5, "m")


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.5), (-0.1, 0.5), (0.5, 1.1), (math.nan, 0.5)])
def test_thresholds_are_in_order(low, high):
    with pytest.raises(ModelError, match="0 <= real_below <= fake_above <= 1"):
        Thresholds(low, high)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"faces": "mtcnn"}, "faces must be auto or whole, got 'mtcnn'"),
        ({"threshold": 1.5}, "threshold must lie in 0..1, got 1.5"),
        ({"threshold": math.nan}, "threshold must lie in 0..1, got nan"),
        ({"max_pixels": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"jobs": -1}, "jobs"),
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
