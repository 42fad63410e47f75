"""Answers check themselves when made, and survive JSON."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import OptionError
from mesoscope.types.verdict import FaceScore, Person, SkippedFace, Verdict

# Numbers as they leave rounded, so that a round trip is exact.
places = st.floats(-1e6, 1e6).map(lambda v: round(v, 2))
shares = st.floats(0, 1).map(lambda v: round(v, 4))
seconds = st.floats(0, 1e5).map(lambda v: round(v, 6))
times = st.none() | seconds
# Names as os.fsdecode gives them: a byte that is not UTF-8 is a lone low surrogate.
bytes_kept = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"])
names = st.text(st.characters(exclude_categories=["Cs"]) | bytes_kept, max_size=30)
labels = st.sampled_from(["fake", "real", "inconclusive", None])
boxes = st.tuples(places, places, places, places)
points = st.tuples(places, places)
face_scores = st.builds(
    FaceScore,
    box=boxes,
    confidence=shares,
    p_fake=shares,
    frame_index=st.integers(0, 10**6),
    time_s=times,
    unfamiliar=st.none() | st.floats(0, 1e4).map(lambda v: round(v, 4)),
    landmarks=st.just(()) | st.tuples(points, points, points, points, points),
    person=st.integers(0, 99),
)
skipped_faces = st.builds(
    SkippedFace, boxes, shares, frame_index=st.integers(0, 10**6), time_s=times
)
persons = st.builds(
    Person,
    number=st.integers(0, 99),
    label=labels,
    p_fake=st.none() | shares,
    frames=st.integers(0, 10**6),
    first_s=seconds,
    last_s=seconds,
    reason=st.none() | names,
)
verdicts = st.builds(
    Verdict,
    source=names,
    kind=st.sampled_from(["image", "clip"]),
    label=labels,
    p_fake=st.none() | shares,
    model=names,
    reason=st.none() | names,
    faces=st.lists(face_scores, max_size=3).map(tuple),
    frames_read=st.integers(0, 10**6),
    elapsed_s=st.dictionaries(names, st.floats(0, 100).map(lambda v: round(v, 5)), max_size=3),
    error=st.none() | st.fixed_dictionaries({"code": names, "message": names}),
    finder=st.none() | names,
    skipped=st.lists(skipped_faces, max_size=2).map(tuple),
    persons=st.lists(persons, max_size=2).map(tuple),
    duration_s=times,
    notes=st.lists(names, max_size=2).map(tuple),
)


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
    marks = ((1.0, 1.0), (2.0, 1.0), (1.5, 2.004), (1.0, 3.0), (2.0, 3.0))
    face = FaceScore(
        (1.006, 2, 3, 4.5), 0.98765, 0.1234567, 7, 0.28, heat=heat, landmarks=marks, person=1
    )
    small = SkippedFace((0, 0, 9, 9.004), 0.91234)
    person = Person(1, "real", 0.1234567, 12, 0.04, 3.9200004)
    verdict = Verdict("a.mp4", "clip", "real", 0.1234567, "meso4@3fa2c1d0", faces=(face,),
                      elapsed_s={"read": 0.1234567}, skipped=(small,), persons=(person,),
                      finder="mtcnn", duration_s=4.0000004, notes=("cut off",))  # fmt: skip
    assert json.loads(verdict.to_json()) == {
        "schema": 2,
        "source": "a.mp4",
        "kind": "clip",
        "label": "real",
        "p_fake": 0.123457,
        "reason": None,
        "faces": [
            {"box": [1.01, 2, 3, 4.5], "confidence": 0.9877, "p_fake": 0.123457,
             "frame_index": 7, "time_s": 0.28, "person": 1,
             "landmarks": [[1, 1], [2, 1], [1.5, 2], [1, 3], [2, 3]]}
        ],
        "skipped": [
            {"box": [0, 0, 9, 9], "confidence": 0.9123, "frame_index": 0, "time_s": None,
             "reason": "face_too_small"}
        ],
        "persons": [
            {"number": 1, "label": "real", "p_fake": 0.123457, "reason": None, "frames": 12,
             "first_s": 0.04, "last_s": 3.92, "face_px": None, "background": False}
        ],
        "duration_s": 4.0,
        "frames_read": 1,
        "finder": "mtcnn",
        "notes": ["cut off"],
        "model": "meso4@3fa2c1d0",
        "elapsed_s": {"read": 0.12346},
        "error": None,
    }  # fmt: skip


def test_a_line_of_schema_1_can_still_be_read():
    line = (
        '{"schema":1,"source":"a.jpg","kind":"image","label":"fake","p_fake":0.9,"reason":null,'
        '"faces":[{"box":[0.0,0.0,9.0,9.0],"confidence":1.0,"p_fake":0.9,"frame_index":0,'
        '"time_s":null,"unfamiliar":0.5}],"frames_read":1,"model":"m@0","elapsed_s":{"read":0.1},'
        '"error":null}'
    )
    verdict = Verdict.from_json(line)
    assert (verdict.label, verdict.faces[0].unfamiliar, verdict.faces[0].person) == ("fake", 0.5, 0)
    assert (verdict.persons, verdict.skipped, verdict.notes) == ((), (), ())
    assert (verdict.finder, verdict.duration_s) == (None, None)
    assert json.loads(verdict.to_json())["schema"] == 2


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
        json.dumps({**GOOD, "persons": [{"number": 0}]}),
        json.dumps({**GOOD, "skipped": [{}]}),
        json.dumps({**GOOD, "kind": "film"}),
        json.dumps({k: v for k, v in GOOD.items() if k != "model"}),
    ],
)  # fmt: skip
def test_what_is_no_verdict_is_refused(text):
    with pytest.raises(OptionError):
        Verdict.from_json(text)


def test_a_verdict_of_a_later_schema_asks_for_an_update():
    with pytest.raises(OptionError, match="schema 3, and this version reads up to 2: update"):
        Verdict.from_json(json.dumps({**GOOD, "schema": 3}))


# --- checks


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


def test_a_verdict_of_before_persons_had_a_size_can_be_read():
    person = Person(0, "real", 0.1, 12, 0.0, 3.0)
    text = Verdict("a.mp4", "clip", "real", 0.1, "m", persons=(person,)).to_json()
    older = json.loads(text)
    for name in ("face_px", "background"):
        del older["persons"][0][name]
    assert Verdict.from_json(json.dumps(older)).persons == (person,)
