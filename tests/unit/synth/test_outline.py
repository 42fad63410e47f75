"""The mean head, seen as five landmarks say; hulls; the best turn, scale and shift."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import OptionError
from mesoscope.synth.outline import HULLS, five_points, hull, mesh, similarity_transform

FIVE = np.array([[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]])


def inside(outline, point):
    """Whether a point lies within an outline, or not two pixels out of it."""
    return cv2.pointPolygonTest(outline, point.tolist(), measureDist=True) > -2


@pytest.mark.parametrize("name", ["face", "forehead", "features", "inner"])
def test_an_outline_holds_eyes_nose_and_mouth(name):
    outline = hull(mesh(FIVE), name)
    assert all(inside(outline, point) for point in FIVE)


def test_the_lower_face_holds_the_mouth_and_no_eye():
    outline = hull(mesh(FIVE), "lower")
    assert all(inside(outline, point) for point in FIVE[2:])
    assert not any(inside(outline, point) for point in FIVE[:2])


def test_a_mesh_has_the_proportions_of_a_face():
    points = mesh(np.array([[-50.0, 0], [50, 0], [0, 59], [-40, 113], [40, 113]]) + 300) - 300
    assert points.shape == (81, 2)
    assert points[8] == pytest.approx([0, 175], abs=8)  # the chin below the middle
    assert points[0, 0] == pytest.approx(-points[16, 0], abs=1)
    assert 190 < np.ptp(points[:17, 0]) < 230
    assert (points[17:27, 1] < 0).all()  # brows above the eyes
    assert points[74, 1] < points[17:27, 1].min() - 20  # the forehead higher still


@given(
    st.floats(-0.7, 0.7), st.floats(0.3, 8), st.floats(-500, 500), st.floats(-500, 500)
)  # fmt: skip
def test_a_mesh_turns_grows_and_moves_with_its_landmarks(angle, scale, x, y):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = mesh(FIVE @ turn.T + (x, y))
    assert moved == pytest.approx(mesh(FIVE) @ turn.T + (x, y), abs=0.02 * scale * 10)


def test_the_outline_follows_a_head_that_is_turned_away():
    towards_the_right = FIVE.copy()
    towards_the_right[2, 0] += 12  # the nose
    straight, turned = (np.ptp(mesh(p)[:17, 0]) for p in (FIVE, towards_the_right))
    jaw = mesh(towards_the_right)[:17, 0]
    nose = towards_the_right[2, 0]
    assert jaw.max() - nose < 0.75 * (nose - jaw.min())  # the far cheek is foreshortened
    assert 0.7 * straight < turned < 1.3 * straight


def test_a_dense_mesh_is_taken_as_it_is():
    dense = mesh(FIVE)
    assert np.array_equal(mesh(dense), dense)
    from_68 = mesh(dense[:68])
    assert np.array_equal(from_68[:68], dense[:68])
    assert from_68[68:] == pytest.approx(dense[68:], abs=2)
    assert five_points(dense) == pytest.approx(FIVE, abs=1)
    assert np.array_equal(five_points(FIVE), FIVE.astype(np.float32))


def test_other_points_span_one_hull():
    corners = np.array([[10, 10], [90, 10], [90, 90], [10, 90], [50, 50], [40, 60]])
    for name in HULLS:
        assert sorted(hull(mesh(corners), name).tolist()) == sorted(corners[:4].tolist())
    with pytest.raises(OptionError, match="the order of 6 points is unknown"):
        five_points(corners)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (np.zeros((5, 3)), "must be"),
        (np.zeros((2, 2)), "at least three"),
        (np.full((5, 2), np.nan), "finite"),
        (np.full((5, 2), 7.0), "one spot"),
    ],
)
def test_points_that_are_no_face_are_refused(points, said):
    with pytest.raises(OptionError, match=said):
        mesh(points)


@given(
    st.floats(-3, 3), st.floats(0.1, 10), st.floats(-500, 500), st.floats(-500, 500)
)  # fmt: skip
def test_alignment_finds_turn_scale_and_shift(angle, scale, x, y):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity_transform(FIVE, FIVE @ turn.T + (x, y))
    assert found[:, :2] == pytest.approx(turn, abs=1e-6 * scale + 1e-9)
    assert found[:, 2] == pytest.approx([x, y], abs=1e-4 * (1 + scale))
