"""How a file's name is shown: nothing in it is hidden, nothing in it acts."""

from __future__ import annotations

import os
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

_ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format, surrogate, unassigned
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


def shown(name: str) -> str:
    r"""A name for people: letters of any script as they are, what acts or hides as an escape.

    Bytes that are not UTF-8 become ``\\xNN``; control characters, overrides of the direction of
    writing and the like become ``\\uNNNN``. So ``gpj.exe`` behind an override shows what it is.
    """
    return "".join(_escaped(c) if unicodedata.category(c) in _ACTING else c for c in name)


def drawn(name: str, glyphs: Container[int]) -> str:
    r"""A name for a page whose font has some glyphs only, written from left to right.

    What the font lacks, and letters of scripts that run from right to left or join, become
    ``\\uNNNN``: a name that is spelled out is less pretty than one that is shown wrongly.
    """
    return "".join(
        _escaped(c) if ord(c) not in glyphs or unicodedata.bidirectional(c) in _RIGHT_TO_LEFT else c
        for c in shown(name)
    )


@cache
def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8, PEP 383
        return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def size(n_bytes: int) -> str:
    """A file's size for people: ``812 B``, ``3.4 MB``; 1 kB = 1,000 B."""
    if n_bytes < 1000:
        return f"{n_bytes} B"
    value = float(n_bytes)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.3g} {unit}"
    return f"{value / 1000:,.0f} TB"
