"""Rows of results and how the tables of the docs write their figures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]


def read(name: str) -> list[dict[str, str]]:
    path = ROOT / "results" / name
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def short(value: str, digits: int = 3) -> str:
    return f"{float(value):.{digits}f}".replace("0.", ".", 1) if value else "–"


def percent(share: str | float) -> str:
    return f"{100 * float(share):.2g} %"


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write rows of results; after a kill the file is the old one or the new one."""
    fresh = path.with_suffix(".writing")
    with fresh.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    fresh.replace(path)


def model_name(row: Mapping[str, object]) -> str:
    """Name of a row's model, without its digest."""
    return str(row["model"]).partition("@")[0]


def others(
    path: Path,
    rows: Sequence[Mapping[str, object]],
    named: Callable[[Mapping[str, object]], Hashable] = model_name,
) -> list[dict[str, str]]:
    """Rows that a file of results holds of other models than these rows, as they are."""
    if not path.is_file():
        return []
    measured = {named(row) for row in rows}
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if named(row) not in measured]


def rounded(row: Mapping[str, object]) -> dict[str, object]:
    """A row of results with four decimals."""
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
