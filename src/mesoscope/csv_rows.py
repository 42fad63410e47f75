"""Rows of CSV for people: one record a row, whatever stands in it, and no formulas."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_row(values: Iterable[object]) -> str:
    """A row without its line's end; ``None`` is an empty cell.

    Cells with line breaks are quoted. Text that spreadsheets take for a formula gets an apostrophe
    before it, as OWASP advises; numbers stay as they are.
    """
    row = io.StringIO()
    # By this line's end "\\r" and "\\n" are quoted alike, in every version of Python.
    csv.writer(row, lineterminator="\r\n").writerow([defused(value) for value in values])
    return row.getvalue().removesuffix("\r\n")


def defused(value: object) -> object:
    """A cell that is no formula."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
