"""Escaping of untrusted text: file names, metadata values, texts of model cards.

Control characters can drive a terminal, and bidirectional overrides can display ``gpj.exe`` as
``exe.jpg``. Control and invisible characters become escapes; letters of all scripts are kept.

Characters of HTML and XML are escaped where they are written (jinja2's ``autoescape``,
``xml.sax.saxutils``), formulas of spreadsheets by :mod:`mesoscope.files.csv_rows`.
"""

from __future__ import annotations

import os
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

__all__ = ["escape_for_font", "escape_name", "escape_text", "is_invisible"]

_ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format, surrogate, unassigned
_RIGHT_TO_LEFT = {"R", "AL", "AN"}


def is_invisible(character: str) -> bool:
    """Whether a character is a control, format or otherwise invisible character."""
    return unicodedata.category(character) in _ACTING


def escape_text(text: str) -> str:
    r"""Escape text for a terminal or a picture, with the escapes of Python's source.

    An escape sequence becomes ``\x1b[31m``, and a line break ``\n``, so that a name cannot imitate
    a line of output. JSON does not need this.
    """
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if is_invisible(c) else c for c in text)


def escape_name(name: str) -> str:
    r"""Escape a name for a report, so that the bytes of the name can be recovered.

    Bytes that are not UTF-8 become ``\\xNN``; control characters, bidirectional overrides and other
    invisible characters become ``\\uNNNN``.
    """
    return "".join(_escaped(c) if is_invisible(c) else c for c in name)


def escape_for_font(name: str, glyphs: Container[int]) -> str:
    r"""Escape a name as :func:`escape_name` does, for a font with few glyphs and no text shaping.

    Characters without a glyph, and letters of right-to-left scripts, become ``\\uNNNN``, as they
    would be displayed wrongly.

    Args:
        name: The name.
        glyphs: Code points that the font has.
    """
    return "".join(
        _escaped(c) if ord(c) not in glyphs or unicodedata.bidirectional(c) in _RIGHT_TO_LEFT else c
        for c in escape_name(name)
    )


@cache
def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8, PEP 383
        return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
