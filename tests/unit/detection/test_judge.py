"""Labels from scores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.detection.judge import in_background, judge, judge_clip, person_of
from mesoscope.types import FaceScore, Guard, Thresholds
from mesoscope.types.card import Aggregation

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


@pytest.mark.parametrize("p_fake", [0.0, 0.13, 0.5, 1.0])
@pytest.mark.parametrize("guard", [None, Guard()])
def test_a_picture_in_which_no_face_was_seen_is_never_decided(p_fake, guard):
    sleeve = FaceScore((0.0, 0.0, 200.0, 192.0), 0.0, p_fake, unfamiliar=0.5)
    assert judge([sleeve], CARD, guard=guard) == ("inconclusive", p_fake, "face_not_seen")
    assert judge([sleeve], Thresholds(0.5, 0.5), guard=guard).label == "inconclusive"


# --- clips


def clip(*persons):
    """Faces of a clip: a list of scores, or of pairs with ``unfamiliar``, for each person."""
    return [
        FaceScore(
            (0.0, 0.0, 10.0, 10.0),
            1.0,
            pair[0] if isinstance(pair, tuple) else pair,
            frame_index=n,
            time_s=n / 2,
            unfamiliar=pair[1] if isinstance(pair, tuple) else None,
            person=number,
        )
        for number, pairs in enumerate(persons)
        for n, pair in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    ("persons", "label", "p_fake", "reason"),
    [
        ([[0.9] * 5], "fake", 0.9, None),
        ([[0.1] * 5], "real", 0.1, None),
        ([[0.5] * 5], "inconclusive", 0.5, "between_thresholds"),
        ([[0.1] * 5, [0.8] * 5], "fake", 0.8, None),  # the worst person decides
        ([[0.1] * 5, [0.5] * 5], "inconclusive", 0.5, "between_thresholds"),
        # One bad frame of five is trimmed away; a mean over both people would be undecided.
        ([[0.1, 0.1, 0.99, 0.1, 0.1]], "real", 0.1, None),
        ([[0.9, 0.9]], None, 0.9, "few_frames"),
        ([[0.2], [0.4, 0.6]], None, 0.5, "few_frames"),
        # Seen for a moment only, it decides nothing beside someone seen for long.
        ([[0.1] * 5, [0.99, 0.99]], "real", 0.1, None),
        ([], None, None, "no_face"),
    ],
)
def test_label_of_a_clip(persons, label, p_fake, reason):
    told, found = judge_clip(clip(*persons), CARD, Aggregation())
    assert (told.label, told.reason) == (label, reason)
    assert told.p_fake == (None if p_fake is None else pytest.approx(p_fake))
    assert [person.frames for person in found] == [len(scores) for scores in persons]


def test_a_clip_with_small_faces_only():
    assert judge_clip([], CARD, Aggregation(), skipped=4)[0].reason == "face_too_small"


@pytest.mark.parametrize(
    ("scores", "label", "p_fake", "reason"),
    [
        # The mean goes over the familiar frames, as long as they are half of them and three.
        ([(0.9, 0.5)] * 3 + [(0.0, 2.0)] * 3, "fake", 0.9, None),
        ([(0.9, 0.5)] * 3 + [(0.1, 2.0)] * 4, "inconclusive", 0.42, "unfamiliar"),
        ([(0.9, 0.5)] * 2 + [(0.9, 2.0)] * 2, "inconclusive", 0.9, "unfamiliar"),
        ([(0.1, 2.0)] * 5, "inconclusive", 0.1, "unfamiliar"),
        ([(0.9, 2.0)] * 2, None, 0.9, "few_frames"),
    ],
)
def test_unfamiliar_persons(scores, label, p_fake, reason):
    told, (person,) = judge_clip(clip(scores), CARD, Aggregation(), guard=Guard())
    assert (told.label, told.reason) == (person.label, person.reason) == (label, reason)
    assert told.p_fake == person.p_fake == pytest.approx(p_fake)


def test_one_unfamiliar_person_keeps_a_clip_from_being_real_but_not_from_being_fake():
    real, strange, fake = [(0.1, 0.5)] * 5, [(0.2, 2.0)] * 5, [(0.9, 0.5)] * 5
    told, _ = judge_clip(clip(real, strange), CARD, Aggregation(), guard=Guard())
    assert (told.label, told.reason) == ("inconclusive", "unfamiliar")
    told, _ = judge_clip(clip(strange, fake), CARD, Aggregation(), guard=Guard())
    assert told.label == "fake"
    assert judge_clip(clip(real, strange), CARD, Aggregation())[0].label == "real"


def test_a_person_knows_when_it_was_seen():
    person = person_of(clip([0.1] * 7), CARD, Aggregation())
    assert (person.number, person.frames, person.first_s, person.last_s) == (0, 7, 0.0, 3.0)


def test_the_cards_rule_counts():
    scores = clip([0.0] * 6 + [1.0] * 4)
    assert person_of(scores, CARD, Aggregation(trim=0.0)).p_fake == pytest.approx(0.4)
    assert person_of(scores, CARD, Aggregation(trim=0.4)).p_fake == 0.0 + 0.0
    assert person_of(scores, CARD, Aggregation(min_frames=11)).reason == "few_frames"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0, 0.49))
def test_a_persons_score_lies_within_its_frames(scores, trim):
    person = person_of(clip(scores), CARD, Aggregation(trim=trim, min_frames=1))
    assert min(scores) - 1e-12 <= person.p_fake <= max(scores) + 1e-12
    again = person_of(clip(scores[::-1]), CARD, Aggregation(trim=trim, min_frames=1))
    assert again.p_fake == pytest.approx(person.p_fake)  # the order says nothing


# --- whom a clip shows, and who stands behind


def seen(person, side, p_fake, frames, unfamiliar=None):
    """One person's faces of one size, in these frames."""
    return [
        FaceScore((0.0, 0.0, side, side), 1.0, p_fake, frame_index=n, time_s=n / 2,
                  unfamiliar=unfamiliar, person=person)
        for n in frames
    ]  # fmt: skip


def told_of(*faces):
    return judge_clip([face for of in faces for face in of], CARD, Aggregation(), guard=Guard())


SPEAKER = seen(0, 400.0, 0.1, range(20))


@pytest.mark.parametrize(
    ("others", "label", "p_fake", "reason", "behind"),
    [
        # Newsrooms: who stands behind neither accuses the speaker nor leaves the clip undecided.
        ([seen(1, 63.0, 0.5, range(20))], "real", 0.1, None, [1]),
        ([seen(1, 63.0, 0.2, range(20), 3.0)], "real", 0.1, None, [1]),
        ([seen(1, 63.0, 0.1, range(20))], "real", 0.1, None, [1]),
        # But a clip in which a face looks forged is not called real.
        ([seen(1, 63.0, 0.9, range(20))], "inconclusive", 0.1, "background_face", [1]),
        # A second person who is shown decides as before, small picture or large.
        ([seen(1, 300.0, 0.9, range(20))], "fake", 0.9, None, []),
        ([seen(1, 120.0, 0.9, range(20))], "fake", 0.9, None, []),  # 3.3 times smaller, yet large
        # A wide shot after the close one: small as the camera is far away, and as long on show.
        ([seen(1, 63.0, 0.9, range(20, 40))], "fake", 0.9, None, []),
        # The audience, cut in for a moment.
        ([seen(1, 63.0, 0.5, range(20, 24))], "real", 0.1, None, [1]),
        # Shown in a wide shot for long and behind the speaker for a little.
        ([seen(1, 63.0, 0.9, range(16, 32))], "fake", 0.9, None, []),
        ([seen(1, 63.0, 0.9, range(8, 24))], "inconclusive", 0.1, "background_face", [1]),
        # Somebody in too few frames decides nothing, and is no background either.
        ([seen(1, 63.0, 0.9, range(2))], "real", 0.1, None, []),
        ([seen(1, 63.0, 0.5, range(20)), seen(2, 350.0, 0.8, range(9))], "fake", 0.8, None, [1]),
    ],
)
def test_who_stands_behind_whom_a_clip_shows_does_not_decide(others, label, p_fake, reason, behind):
    told, persons = told_of(SPEAKER, *others)
    assert (told.label, told.reason) == (label, reason)
    assert told.p_fake == pytest.approx(p_fake)
    assert [p.number for p in persons if p.background] == behind
    assert [p.face_px for p in persons] == [400.0, *(of[0].box[2] for of in others)]
    assert persons[1].p_fake == pytest.approx(others[0][0].p_fake)  # it is told all the same


def test_a_speaker_who_is_fake_or_strange_decides_whoever_stands_behind():
    behind = seen(1, 63.0, 0.1, range(20))
    assert told_of(seen(0, 400.0, 0.9, range(20)), behind)[0].label == "fake"
    strange = told_of(seen(0, 400.0, 0.1, range(20), 3.0), behind)[0]
    assert (strange.label, strange.reason) == ("inconclusive", "unfamiliar")
    between = told_of(seen(0, 400.0, 0.5, range(20)), seen(1, 63.0, 0.9, range(20)))[0]
    assert (between.label, between.p_fake, between.reason) == (
        "inconclusive", pytest.approx(0.5), "between_thresholds"
    )  # fmt: skip


def test_where_all_are_small_somebody_is_shown():
    crowd = [seen(n, 40.0 + n, 0.8 if n == 3 else 0.1, range(20)) for n in range(6)]
    told, persons = told_of(*crowd)
    assert told.label == "fake"
    assert not any(person.background for person in persons)


def test_one_large_face_for_a_moment_does_not_make_all_others_background():
    told, persons = told_of(seen(0, 90.0, 0.8, range(30)), seen(1, 280.0, 0.1, range(30, 33)))
    assert told.label == "fake"
    assert not any(person.background for person in persons)


@given(
    st.lists(
        st.tuples(st.floats(1, 2000), st.integers(0, 30), st.integers(1, 20)),
        min_size=1, max_size=6,
    )
)  # fmt: skip
def test_somebody_is_always_shown(people):
    faces = {n: seen(n, side, 0.5, range(at, at + count)) for n, (side, at, count) in
             enumerate(people)}  # fmt: skip
    assert in_background(faces) < set(faces)
