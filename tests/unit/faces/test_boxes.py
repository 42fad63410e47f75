"""Overlap, non-maximum suppression, squares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mesoscope.faces import crop as module
from mesoscope.faces.crop import largest_first, overlaps, squares, strongest


def boxes_of(corners, sizes):
    return np.concatenate([corners, corners + sizes], axis=1).astype(np.float32)


@st.composite
def many(draw):
    n = draw(st.integers(0, 30))
    corners = draw(arrays(np.float64, (n, 2), elements=st.integers(0, 60)))
    sizes = draw(arrays(np.float64, (n, 2), elements=st.integers(1, 30)))
    scores = draw(arrays(np.float64, n, elements=st.integers(0, 5)))
    return boxes_of(corners, sizes), scores.astype(np.float32)


@pytest.mark.parametrize(
    ("other", "union", "smaller"),
    [((0, 0, 10, 10), 1, 1), ((5, 0, 15, 10), 1 / 3, 1 / 2), ((2, 2, 4, 4), 0.04, 1),
     ((10, 0, 20, 10), 0, 0)],
)  # fmt: skip
def test_overlap(other, union, smaller):
    one, other = np.float32([[0, 0, 10, 10]]), np.float32([other])
    assert overlaps(one, other)[0, 0] == pytest.approx(union)
    assert overlaps(one, other, of_smaller=True)[0, 0] == pytest.approx(smaller)


@given(many(), st.floats(0.1, 0.9), st.booleans())
def test_a_box_stays_where_no_stronger_one_overlaps_it(drawn, threshold, of_smaller):
    boxes, scores = drawn
    kept = strongest(boxes, scores, threshold, of_smaller=of_smaller)
    order = np.argsort(-scores, kind="stable")
    over = overlaps(boxes[order], boxes[order], of_smaller=of_smaller) > threshold
    expected = [order[i] for i in range(len(order)) if not over[i, :i].any()]
    assert kept.tolist() == expected


def test_in_parts_it_is_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    boxes = boxes_of(rng.uniform(0, 100, (300, 2)), rng.uniform(5, 40, (300, 2)))
    scores = rng.uniform(size=300).astype(np.float32)
    whole = strongest(boxes, scores, 0.3)
    monkeypatch.setattr(module, "_ROWS", 7)
    assert np.array_equal(strongest(boxes, scores, 0.3), whole)
    assert 0 < len(whole) < 300


@given(many())
def test_squares_keep_the_middle_and_the_longest_side(drawn):
    boxes, _ = drawn
    made = squares(boxes)
    size = made[:, 2:] - made[:, :2]
    assert np.allclose(size.T, (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0), atol=1e-4)
    assert np.allclose(made[:, :2] + made[:, 2:], boxes[:, :2] + boxes[:, 2:], atol=1e-3)


def test_faces_come_largest_first_and_empty_ones_fall_away():
    boxes = np.array([[0, 0, 2, 2], [0, 0, 9, 9], [5, 5, 5, 8]])
    faces = largest_first(boxes, np.array([0.9, 0.8, 0.7]), np.zeros((3, 5, 2)))
    assert [face.box for face in faces] == [(0, 0, 9, 9), (0, 0, 2, 2)]
    assert [face.confidence for face in faces] == [0.8, 0.9]
