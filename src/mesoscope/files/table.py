"""Write a table for people as a CSV file, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.files.atomic import output_path
from mesoscope.files.escape import RowWriter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["write_table"]


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a header and rows; cells that a spreadsheet would take for formulas are defused.

    Raises:
        OutputError: The file is not writable.
    """
    with (
        output_path(path) as part,
        part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        table = RowWriter(file, defuse=True)
        table.writerow(columns)
        table.writerows(rows)
