"""How text that comes from elsewhere is shown."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mesoscope
from mesoscope.files.names import drawn, shown, visible

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
    assert shown(name) == seen


@given(st.binary(max_size=40).map(os.fsdecode))
def test_any_name_can_be_printed_and_read_back(name):
    seen = shown(name)
    assert not any(0xD800 <= ord(c) < 0xE000 or ord(c) < 32 for c in seen)
    seen.encode("utf-8")


def test_what_a_font_lacks_is_spelled_out():
    glyphs = {ord(c) for c in "abcé.jpg\\u0123456789" + "\u05d0"}
    assert drawn("aé.jpg", glyphs) == "aé.jpg"
    assert drawn("a人.jpg", glyphs) == "a\\u4eba.jpg"
    assert drawn("\u05d0.jpg", glyphs) == "\\u05d0.jpg"  # runs from right to left


@given(st.text(max_size=40))
def test_a_line_that_is_visible_is_one_line(text):
    assert all(c.isprintable() or c.isspace() for c in visible(text))
    assert len(visible(text).splitlines()) <= 1
    assert visible(visible(text)) == visible(text)


def test_nobody_else_escapes_names():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path != SOURCE / "files/names.py":
            assert "unicode_escape" not in text, f"{path}: use files.names"
            assert '"Cf"' not in text, f"{path}: use files.names"
