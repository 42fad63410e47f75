"""Faces joined over frames: by place, size, pose and scene."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.detection import persons
from mesoscope.detection.persons import SAME_SCENE, Observation, scene_of, track_persons
from mesoscope.types import Face

ROOM = scene_of(np.full((90, 160, 3), (200, 30, 30), np.uint8))
STREET = scene_of(np.full((90, 160, 3), (30, 30, 200), np.uint8))


def seen(frame, x, y=100, side=100, *, scene=ROOM, width=1000, step_s=0.3, landmarks=()):
    face = Face((x, y, x + side, y + side), landmarks=landmarks)
    return Observation(frame, frame * step_s, face, width, scene)


def points(x, y, side, turn=0.0):
    """Five landmarks; ``turn`` moves the nose to a side."""
    at = [(0.3, 0.4), (0.7, 0.4), (0.5 + turn, 0.6), (0.35, 0.8), (0.65, 0.8)]
    return tuple((x + side * px, y + side * py) for px, py in at)


def test_nobody():
    assert track_persons([]) == []


def test_two_people_side_by_side_stay_two():
    faces = [seen(n, x + n * 5) for n in range(10) for x in (100, 400)]
    assert track_persons(faces) == [0, 1] * 10


def test_two_people_who_come_close_are_kept_apart_by_place():
    faces = [seen(n, x) for n in range(8) for x in (100 + 20 * n, 460 - 20 * n)]
    assert track_persons(faces) == [0, 1] * 8


def test_a_gap_is_bridged():
    frames = [0, 1, 2, 6, 7]
    assert track_persons([seen(n, 100 + 4 * n) for n in frames]) == [0] * 5


def test_one_who_leaves_and_one_who_stays():
    faces = [seen(0, 100), seen(0, 500), seen(1, 505), seen(2, 510), seen(3, 102), seen(3, 512)]
    assert track_persons(faces) == [0, 1, 1, 1, 0, 1]


def test_a_cut_begins_new_persons_and_a_cut_back_goes_on():
    faces = [seen(0, 100), seen(1, 100), seen(2, 100, scene=STREET), seen(3, 100)]
    assert track_persons(faces) == [0, 0, 1, 0]


def test_a_face_far_away_or_of_another_size_is_somebody_else():
    assert track_persons([seen(0, 100), seen(1, 400)]) == [0, 1]
    assert track_persons([seen(0, 100), seen(1, 100, side=250)]) == [0, 1]
    assert track_persons([seen(0, 100), seen(1, 400, step_s=10.0)]) == [
        0,
        0,
    ]  # there was time to walk


def test_landmarks_decide_where_places_do_not():
    left, right = points(100, 100, 100, -0.2), points(100, 100, 100, 0.2)
    first = [seen(0, 100, landmarks=left), seen(0, 120, landmarks=points(120, 100, 100, 0.2))]
    second = [seen(1, 110, landmarks=points(110, 100, 100, 0.2)), seen(1, 112, landmarks=left)]
    assert track_persons(first + second)[2] == 1
    assert right != left


def test_a_clip_whose_size_changes_keeps_its_persons():
    faces = [seen(0, 100, 100, 100, width=1000), seen(1, 50, 50, 50, width=500)]
    assert track_persons(faces) == [0, 0]


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.floats(0, 900), st.floats(10, 300), st.booleans()),
        max_size=25,
    )
)
def test_persons_are_numbered_and_never_twice_in_a_frame(rows):
    rows.sort(key=lambda row: row[0])
    faces = [seen(n, x, side=s, scene=ROOM if room else STREET) for n, x, s, room in rows]
    numbers = track_persons(faces)
    assert len(numbers) == len(faces)
    first_seen = list(dict.fromkeys(numbers))
    assert first_seen == list(range(len(first_seen)))
    pairs = [(face.frame, number) for face, number in zip(faces, numbers, strict=True)]
    assert len(set(pairs)) == len(pairs)


def test_scenes():
    noise = np.random.default_rng(0).integers(0, 256, (700, 1300, 3), np.uint8)
    for pixels in (noise, noise[:1, :1], noise[:3, :900]):
        scene = scene_of(pixels)
        assert scene.shape == (64,)
        assert abs(float(scene.sum()) - 1) < 1e-5
    brighter = np.clip(noise * 0.9 + 10, 0, 255).astype(np.uint8)
    assert np.minimum(scene_of(noise), scene_of(brighter)).sum() > SAME_SCENE
    assert np.minimum(ROOM, STREET).sum() == 0


def test_of_many_persons_only_those_of_the_scene_are_compared(monkeypatch):
    colours = itertools.product((0, 80, 150, 220), repeat=3)
    rooms = [scene_of(np.full((8, 8, 3), colour, np.uint8)) for colour in colours]
    asked = []
    misfit = persons._cost
    monkeypatch.setattr(persons, "_cost", lambda *two: asked.append(1) or misfit(*two))
    faces = [seen(n, 100 + n // 64, scene=rooms[n % 64]) for n in range(256)]
    assert track_persons(faces) == [*range(64)] * 4
    assert len(asked) == 3 * 64
