"""Escaping of untrusted text: file names, metadata values, texts of model cards, cells of CSV."""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from functools import cache
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

__all__ = [
    "RowWriter",
    "csv_row",
    "defused",
    "escape_for_font",
    "escape_name",
    "escape_text",
    "is_invisible",
]

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


_DECIMAL = re.compile(r"-[0-9]+\.[0-9]+(e[-+]?[0-9]+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_row(values: Iterable[object]) -> str:
    """Format a row without its line ending; ``None`` is an empty cell.

    Cells with line breaks are quoted. Text that spreadsheets take for a formula is prefixed with an
    apostrophe, as OWASP advises; numbers are unchanged.
    """
    return _raw_row([defused(value) for value in values])


def _raw_row(values: Iterable[object]) -> str:
    """Format a row without its line ending and without changes to its cells."""
    row = io.StringIO()
    # With this line ending "\\r" and "\\n" are both quoted, in every version of Python.
    csv.writer(row, lineterminator="\r\n").writerow(list(values))
    return row.getvalue().removesuffix("\r\n")


class RowWriter:
    """Writes rows that end in a line feed, with the interface of :func:`csv.writer`.

    Args:
        file: A text file opened with ``newline=""``.
        defuse: Disable formulas, for tables that people open; off for files that are read back.
    """

    def __init__(self, file: IO[str], *, defuse: bool) -> None:
        self._file, self._defuse = file, defuse

    def writerow(self, values: Iterable[object]) -> None:
        """Write one row."""
        self._file.write((csv_row(values) if self._defuse else _raw_row(values)) + "\n")

    def writerows(self, rows: Iterable[Iterable[object]]) -> None:
        """Write several rows."""
        for row in rows:
            self.writerow(row)


def defused(value: object) -> object:
    """Prefix a cell with an apostrophe if a spreadsheet would take it for a formula.

    A decimal number that was formatted already, such as ``"-0.0123"``, is none.
    """
    if isinstance(value, str) and value.startswith(_FORMULA) and not _DECIMAL.fullmatch(value):
        return f"'{value}"
    return value
