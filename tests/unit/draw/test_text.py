"""Text that fits, in any script."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesoscope.draw import palette as module
from mesoscope.draw.palette import BOLD, REGULAR, put_text, shorten, text_width, wrap
from mesoscope.files.escape import escape_text


@pytest.fixture(params=["opencv", "pillow"], autouse=True)
def font(request, monkeypatch):
    """Every test with the fonts of OpenCV 5, and with Pillow's, which OpenCV 4 needs."""
    if request.param == "opencv" and not module.HAS_FONTS:
        pytest.skip("this OpenCV holds no fonts: they came with OpenCV 5")
    monkeypatch.setattr(module, "HAS_FONTS", request.param == "opencv")
    return request.param


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
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shortened_text_fits(text, width):
    shown = shorten(escape_text(text), 12, width)
    assert text_width(shown, 12) <= max(width, 0)


def test_shortening_keeps_both_ends():
    shown = shorten("photographs/2026/agency/IMG_20260101_0001.jpg", 14, 180)
    assert shown.startswith("photo")
    assert shown.endswith(".jpg")
    assert "…" in shown
    assert shorten("a.jpg", 14, 180) == "a.jpg"


def test_broken_names_are_written_out():
    assert escape_text("a\nb\x00\udcff") == "a\\nb\\x00\\udcff"
    assert escape_text("Łódź 人") == "Łódź 人"


def test_wrapped_lines_fit_and_lose_no_word():
    text = "Colours show where the model reacted, which need not be where a forgery is."
    lines = wrap(text, 16, 220)
    assert len(lines) > 1
    assert " ".join(lines) == text
    assert all(text_width(line, 16) <= 220 for line in lines)


@pytest.mark.parametrize("weight", [REGULAR, BOLD])
def test_text_at_an_edge_is_cut_and_its_colour_is_the_one_asked_for(weight):
    paper = np.full((24, 40, 3), 255, np.uint8)
    put_text(paper, "WWWW", 4, 20, size_px=24, colour=(200, 20, 30), weight=weight)
    assert (200, 20, 30) in map(tuple, paper.reshape(-1, 3).tolist())
    put_text(paper, "far away", 200, 400, size_px=24, colour=(0, 0, 0), weight=weight)
    assert paper.min() >= 20


def test_bold_text_is_darker_and_no_narrower():
    inks = []
    for weight in (REGULAR, BOLD):
        paper = np.full((60, 300, 3), 255, np.uint8)
        put_text(paper, "inconclusive 0.50", 10, 40, size_px=28, colour=(0, 0, 0), weight=weight)
        inks.append(int((255 - paper).sum()))
    assert inks[1] > 1.1 * inks[0]
    assert text_width("inconclusive", 28, BOLD) >= text_width("inconclusive", 28, REGULAR)


def test_opencv_4_draws_plain_letters_of_what_ascii_lacks(font):
    if font == "opencv":
        assert text_width("人", 20) != text_width("?", 20)
    else:
        assert text_width("été – 12×12 px…", 20) == text_width("ete - 12x12 px...", 20)
        assert text_width("人", 20) == text_width("?", 20)
