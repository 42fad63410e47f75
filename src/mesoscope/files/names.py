"""How text that comes from elsewhere is shown: nothing in it is hidden, nothing in it acts.

Names of files, values of metadata and texts of cards are written by strangers. A control character
may steer a terminal, a change of the direction of writing may show ``exe.jpg`` where ``gpj.exe``
stands. What acts or hides is written out as an escape; letters of all scripts stay.

HTML's and XML's own characters are escaped by what writes them (jinja2's ``autoescape``,
``xml.sax.saxutils``), formulas of spreadsheets by :mod:`mesoscope.files.csv_rows`.
"""

from __future__ import annotations

import os
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["acts", "drawn", "shown", "visible"]

_ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format, surrogate, unassigned
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


def acts(character: str) -> bool:
    """Whether a character does something, or hides, in place of being seen."""
    return unicodedata.category(character) in _ACTING


def visible(text: str) -> str:
    r"""A line for a terminal or a picture, spelled as in Python's source.

    A name with an escape sequence shows as ``\x1b[31m`` in place of acting; a line break in it
    shows as ``\n``, so it cannot pass for a line of ours. JSON needs none of this.
    """
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if acts(c) else c for c in text)


def shown(name: str) -> str:
    r"""A name for a report, from which it can be told what the bytes of the name are.

    Bytes that are not UTF-8 become ``\\xNN``; control characters, overrides of the direction of
    writing and the like become ``\\uNNNN``. So ``gpj.exe`` behind an override shows what it is.
    """
    return "".join(_escaped(c) if acts(c) else c for c in name)


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
