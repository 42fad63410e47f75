"""Rows of CSV for people: one record a row, whatever stands in it, and no formulas."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_row(values: Iterable[object]) -> str:
    """A row without its line's end; ``None`` is an empty cell.

    Cells with line breaks are quoted. Text that spreadsheets take for a formula gets an apostrophe
    before it, as OWASP advises; numbers stay as they are.
    """
    return whole_row([defused(value) for value in values])


def whole_row(values: Iterable[object]) -> str:
    """A row without its line's end, every cell as it is; ``None`` is an empty one."""
    row = io.StringIO()
    # By this line's end "\\r" and "\\n" are quoted alike, in every version of Python.
    csv.writer(row, lineterminator="\r\n").writerow(list(values))
    return row.getvalue().removesuffix("\r\n")


class RowWriter:
    """Writes whole rows that end in a line feed, as :func:`csv.writer` does.

    Args:
        file: Opened with ``newline=""``.
        defuse: For tables that people open; files that are read back keep every cell as it is.
    """

    def __init__(self, file: IO[str], *, defuse: bool) -> None:
        self._file, self._defuse = file, defuse

    def writerow(self, values: Iterable[object]) -> None:
        """Write one row."""
        self._file.write((csv_row(values) if self._defuse else whole_row(values)) + "\n")

    def writerows(self, rows: Iterable[Iterable[object]]) -> None:
        """Write some rows."""
        for row in rows:
            self.writerow(row)


def defused(value: object) -> object:
    """A cell that is no formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
