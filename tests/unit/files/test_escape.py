"""How text that comes from elsewhere is shown."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mesoscope
from mesoscope.files.escape import escape_for_font, escape_name, escape_text

SOURCE = Path(mesoscope.__file__).parent


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("photos/a b.jpg", "photos/a b.jpg"),
        ("Ñandú Привет 人 שלום.jpg", "Ñandú Привет 人 שלום.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf\\xe9.jpg"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("a\nb\x1b[31m", "a\\u000ab\\u001b[31m"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_names_hide_nothing(name, seen):
    assert escape_name(name) == seen


@given(st.binary(max_size=40).map(os.fsdecode))
def test_any_name_can_be_printed_and_read_back(name):
    seen = escape_name(name)
    assert not any(0xD800 <= ord(c) < 0xE000 or ord(c) < 32 for c in seen)
    seen.encode("utf-8")


def test_what_a_font_lacks_is_spelled_out():
    glyphs = {ord(c) for c in "abcé.jpg\\u0123456789" + "\u05d0"}
    assert escape_for_font("aé.jpg", glyphs) == "aé.jpg"
    assert escape_for_font("a人.jpg", glyphs) == "a\\u4eba.jpg"
    assert escape_for_font("\u05d0.jpg", glyphs) == "\\u05d0.jpg"  # runs from right to left


@given(st.text(max_size=40))
def test_a_line_that_is_visible_is_one_line(text):
    assert all(c.isprintable() or c.isspace() for c in escape_text(text))
    assert len(escape_text(text).splitlines()) <= 1
    assert escape_text(escape_text(text)) == escape_text(text)


def test_nobody_else_escapes_names():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path != SOURCE / "files/escape.py":
            assert "unicode_escape" not in text, f"{path}: use files.escape"
            assert '"Cf"' not in text, f"{path}: use files.escape"
