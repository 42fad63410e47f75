"""Rows of results and how the tables of the docs write their figures."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
