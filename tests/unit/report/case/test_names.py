import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.report.case.names import drawn, shown, size


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


@pytest.mark.parametrize(
    ("n", "seen"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (20_149, "20.1 kB"), (999_600, "1 MB"),
     (3_400_000, "3.4 MB"), (5 * 10**9, "5 GB"), (7 * 10**12, "7 TB")],
)  # fmt: skip
def test_sizes(n, seen):
    assert size(n) == seen
