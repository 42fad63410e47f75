"""CSV rows that spreadsheets open safely: cells are quoted, and formulas are disabled."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Prefix a cell with an apostrophe if a spreadsheet would take it for a formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
