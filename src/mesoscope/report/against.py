"""Two models on the same items: the figures of both, and the difference with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.files.table import write_table
from mesoscope.report.record import number_or_none

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mesoscope.types import Json

__all__ = ["ALL", "FIGURES", "MEAN", "Against", "Difference", "against_rows", "write_differences"]

FIGURES = {  # name → title, in table order
    "auc": "AUC",
    "accuracy": "accuracy",
    "fake_told_fake": "fakes told fake",
    "fake_told_real": "fakes told real",
    "real_told_fake": "reals told fake",
    "real_told_real": "reals told real",
}
ALL, MEAN = "all", "mean over sources"
_IN_TABLE = ("auc", "accuracy", "fake_told_fake", "real_told_fake")
_COLUMNS = ("source", "n", "figure", "model", "against", "difference", "low", "high")


class Difference(NamedTuple):
    """One figure of two models; NaN where undefined.

    Attributes:
        model: The figure of the evaluated model.
        against: That of the other one, on the same items.
        difference: ``model - against``.
        interval: 95 % interval of the difference, by a bootstrap that draws the same groups for
            both models.
    """

    model: float
    against: float
    difference: float
    interval: tuple[float, float]

    @property
    def clear(self) -> bool:
        """Whether the interval excludes a difference of zero."""
        low, high = self.interval
        return low > 0 or high < 0

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form."""
        values = (self.model, self.against, self.difference)
        model, against, difference = (number_or_none(value) for value in values)
        low, high = (number_or_none(value) for value in self.interval)
        return {
            "model": model,
            "against": against,
            "difference": difference,
            "interval": None if low is None else [low, high],
        }


@dataclass(frozen=True, slots=True)
class Against:
    """Figures of two models on the items that both scored.

    Attributes:
        model: Identifier of the evaluated model.
        against: Identifier of the other one.
        n: Number of items that both scored, by source, and of :data:`ALL`.
        by_source: :data:`FIGURES` by source, of :data:`ALL` items, and their :data:`MEAN`. With one
            source that source alone.
    """

    model: str
    against: str
    n: Mapping[str, int]
    by_source: Mapping[str, Mapping[str, Difference]]

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form, ``against`` in ``metrics.json``."""
        found: dict[str, Json] = {
            source: {name: one.to_dict() for name, one in figures.items()}
            for source, figures in self.by_source.items()
        }
        return {"model": self.against, "n": dict(self.n), "figures": found}


def against_rows(found: Against) -> list[list[str]]:
    """Return the rows of the table: what changes from the other model to the evaluated one."""
    rows = [["source", "n", *(FIGURES[name] for name in _IN_TABLE)]]
    for source, figures in found.by_source.items():
        count = found.n.get(source)
        cells = [_shown(figures[name]) for name in _IN_TABLE]
        rows.append([source, "" if count is None else str(count), *cells])
    return rows


def _shown(one: Difference) -> str:
    if math.isnan(one.difference):
        return "–"
    low, high = one.interval
    span = "" if math.isnan(low) else f" [{low:+.3f}, {high:+.3f}]"
    return f"{one.against:.3f} → {one.model:.3f}: {one.difference:+.3f}{span}"


def write_differences(found: Against, path: Path) -> None:
    """Write ``against.csv``: a row for each source and figure.

    Raises:
        OutputError: The file is not writable.
    """
    write_table(path, _COLUMNS, _csv_rows(found))


def _csv_rows(found: Against) -> Iterator[list[object]]:
    for source, figures in found.by_source.items():
        for name, one in figures.items():
            numbers = (one.model, one.against, one.difference, *one.interval)
            rounded = [number_or_none(value) for value in numbers]
            yield [source, found.n.get(source), name, *rounded]
