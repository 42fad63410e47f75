"""Text that fits, in any script."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.draw.text import BOLD, REGULAR, put_text, shorten, text_width, wrap
from mesoscope.files.names import visible

NAMES = ["a.jpg", "photos/Łódź – été.jpg", "照片_人脸.jpg", "صورة.png", "W" * 200, "_.-~ iii"]


@pytest.mark.parametrize("text", NAMES)
@pytest.mark.parametrize("size", [7, 12, 40])
@pytest.mark.parametrize("weight", [REGULAR, BOLD])
def test_nothing_is_drawn_beyond_the_measured_width(text, size, weight):
    wide = text_width(text, size, weight)
    paper = np.full((3 * size, wide + 60, 3), 255, np.uint8)
    put_text(paper, text, 20, 2 * size, size_px=size, colour=(0, 0, 0), weight=weight)
    inked = np.flatnonzero((paper < 128).any(axis=(0, 2)))
    assert inked.size
    assert inked[0] >= 20 - 2
    assert inked[-1] <= 20 + wide + 1


@given(st.text(max_size=60), st.integers(0, 400))
def test_shortened_text_fits(text, width):
    shown = shorten(visible(text), 12, width)
    assert text_width(shown, 12) <= max(width, 0)


def test_shortening_keeps_both_ends():
    shown = shorten("photographs/2026/agency/IMG_20260101_0001.jpg", 14, 180)
    assert shown.startswith("photo")
    assert shown.endswith(".jpg")
    assert "…" in shown
    assert shorten("a.jpg", 14, 180) == "a.jpg"


def test_broken_names_are_written_out():
    assert visible("a\nb\x00\udcff") == "a\\nb\\x00\\udcff"
    assert visible("Łódź 人") == "Łódź 人"


def test_wrapped_lines_fit_and_lose_no_word():
    text = "Colours show where the model reacted, which need not be where a forgery is."
    lines = wrap(text, 16, 220)
    assert len(lines) > 1
    assert " ".join(lines) == text
    assert all(text_width(line, 16) <= 220 for line in lines)
