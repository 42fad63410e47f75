"""What a user is told of labelled items: each answer counted by class and source."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mesoscope.errors import OutputError
from mesoscope.files.csv_rows import RowWriter
from mesoscope.metrics.proportion import effective_count, proportion_interval
from mesoscope.types.label import ANSWERS, CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mesoscope.report.record import Prediction
    from mesoscope.types import Answer, Json

ALL = "all"
HEAD = ("items", "source", "n", *ANSWERS)
_COLUMNS = ("label", "source", "told", "count", "n", "share", "low", "high")


class Told(NamedTuple):
    """The answers to the items of one class.

    Attributes:
        label: ``real`` or ``fake``, the truth.
        source: Its name; :data:`ALL` for all together.
        n: Items, those without a score and unreadable ones among them.
        counts: How often each of :data:`~mesoscope.types.label.ANSWERS` was given; sum ``n``.
        intervals: 95 % intervals of their shares, by Clopper & Pearson; items of one group are
            taken to be answered together.
    """

    label: str
    source: str
    n: int
    counts: dict[Answer, int]
    intervals: dict[Answer, tuple[float, float]]

    def to_dict(self) -> dict[str, Json]:
        """The JSON shape: share and interval beside each count."""
        row: dict[str, Json] = {"label": self.label, "source": self.source, "n": self.n}
        for name, count in self.counts.items():
            low, high = self.intervals[name]
            row[name] = {
                "count": count,
                "share": round(count / self.n, 6),
                "interval": [round(low, 6), round(high, 6)],
            }
        return row


def told(predictions: Sequence[Prediction]) -> list[Told]:
    """Count the answers, of all items first and then of each source; classes without items go."""
    sources = sorted({p.source for p in predictions})
    found = []
    for source in (None, *sources) if len(sources) > 1 else (None,):
        for label, name in enumerate(CLASSES):
            items = [p for p in predictions if p.label == label and source in (None, p.source)]
            if items:
                found.append(_told(items, name, ALL if source is None else source))
    return found


def told_rows(rows: Sequence[Told]) -> list[tuple[str, ...]]:
    """A table for people, its head first: count, share and interval in a cell."""
    return [HEAD, *((f"{t.label} ones told", t.source, f"{t.n:,}", *_cells(t)) for t in rows)]


def write_told(rows: Sequence[Told], path: Path) -> None:
    """Write ``told.csv``: a row for each class, source and answer.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = RowWriter(file, defuse=True)
            writer.writerow(_COLUMNS)
            writer.writerows(_lines(rows))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _told(items: Sequence[Prediction], label: str, source: str) -> Told:
    n = len(items)
    worth = effective_count([f"{len(p.source)} {p.source} {p.group}" for p in items])
    counts = {name: sum(p.told == name for p in items) for name in ANSWERS}
    intervals = {
        name: proportion_interval(count, n, effective_n=worth) for name, count in counts.items()
    }
    return Told(label, source, n, counts, intervals)


def _cells(one: Told) -> Iterator[str]:
    for name, count in one.counts.items():
        low, high = one.intervals[name]
        yield f"{count:,}: {count / one.n:.3f} [{low:.3f}, {high:.3f}]"


def _lines(rows: Sequence[Told]) -> Iterator[tuple[object, ...]]:
    for one in rows:
        for name, count in one.counts.items():
            low, high = one.intervals[name]
            share = f"{count / one.n:.6f}"
            yield one.label, one.source, name, count, one.n, share, f"{low:.6f}", f"{high:.6f}"
