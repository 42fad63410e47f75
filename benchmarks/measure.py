"""What every bench shares: medians, rows, their conditions, the table, ``results/speed.csv``."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import datetime as dt
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
RESULTS = ROOT / "results/speed.csv"


@dataclass(frozen=True)
class Spread:
    """A median with the range it stands in."""

    median: float
    low: float
    high: float
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values), len(values))

    def __str__(self) -> str:
        if self.repeats == 1:
            return _short(self.median)
        return f"{_short(self.median)} ({_short(self.low)}–{_short(self.high)})"


@dataclass(frozen=True)
class Bound:
    """What was asked for: of the ``ratio`` or of ``ours`` itself, at least or at most so much."""

    what: str
    sign: str
    value: float

    def holds(self, row: Row) -> bool:
        measured = row.ratio if self.what == "ratio" else row.ours.median
        if measured is None:
            return False
        return measured >= self.value if self.sign == "≥" else measured <= self.value

    def text(self, unit: str) -> str:
        return f"{self.sign} {self.value:g} {'×' if self.what == 'ratio' else unit}"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        bench: The script.
        what: What was measured, in words.
        unit: Of ``ours`` and ``theirs``.
        ours: Our side.
        theirs: The other side; ``None`` where there is none.
        other: What the other side is.
        inverse: The ratio is theirs / ours (for seconds) instead of ours / theirs.
        asked: What was asked for; ``None`` for a row that only informs.
        n: Pictures, or processes started, a round.
        how: Arrangement on both sides: batch, threads, method.
        model: Of our side.
        data: Which pictures.
    """

    bench: str
    what: str
    unit: str
    ours: Spread
    theirs: Spread | None = None
    other: str = ""
    inverse: bool = False
    asked: Bound | None = None
    n: int = 0
    how: str = ""
    model: str = ""
    data: str = ""

    @property
    def ratio(self) -> float | None:
        if self.theirs is None or not self.ours.median or not self.theirs.median:
            return None
        ratio = self.ours.median / self.theirs.median
        return 1 / ratio if self.inverse else ratio

    @property
    def reached(self) -> str:
        if self.asked is None:
            return ""
        return "yes" if self.asked.holds(self) else "no"


COLUMNS = (
    "date", "commit", "bench", "what", "unit", "ours", "ours_low", "ours_high", "theirs",
    "theirs_low", "theirs_high", "other", "ratio", "asked", "reached", "repeats", "n", "how",
    "model", "data", "versions", "cpu", "cores", "load", "command",
)  # fmt: skip


@dataclass
class Conditions:
    """What stood around a measurement; written into each row."""

    versions: dict[str, str] = field(default_factory=dict)
    command: str = ""
    date: str = field(default_factory=lambda: _now().strftime("%Y-%m-%d %H:%M"))
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    def add(self, versions: dict[str, str], side: str = "") -> None:
        """Keep the versions that a worker told; a version that differs by side names it."""
        for name, version in versions.items():
            if self.versions.get(name, version) != version:
                name = f"{name} {side}"
            self.versions[name] = version


def write_rows(rows: Iterable[Row], conditions: Conditions, path: Path = RESULTS) -> None:
    """Append rows to the CSV; a new file gets its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists() or not path.stat().st_size
    around = {
        "date": conditions.date,
        "commit": commit(),
        "versions": " ".join(
            f"{name.replace(' ', '_')}={version}"
            for name, version in {
                "python": platform.python_version(),
                **conditions.versions,
            }.items()
        ),
        "cpu": cpu_name(),
        "cores": cores(),
        "load": f"{conditions.load:.1f}",
        "command": conditions.command,
    }
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows(around | as_record(row) for row in rows)


def as_record(row: Row) -> dict[str, object]:
    """The columns that a row fills itself."""
    record: dict[str, object] = {
        f.name: getattr(row, f.name)
        for f in dataclasses.fields(Row)
        if f.name in COLUMNS and f.name not in ("ours", "theirs", "asked")
    }
    for side in ("ours", "theirs"):
        spread = getattr(row, side)
        for name in ("median", "low", "high"):
            column = side if name == "median" else f"{side}_{name}"
            record[column] = "" if spread is None else f"{getattr(spread, name):.6g}"
    record["ratio"] = "" if row.ratio is None else f"{row.ratio:.3f}"
    record["asked"] = "" if row.asked is None else row.asked.text(row.unit)
    record["reached"] = row.reached
    record["repeats"] = row.ours.repeats
    return record


def table(rows: Sequence[Row]) -> str:
    """The rows for reading: what, ours, theirs, ratio, asked for, reached?"""
    head = ("what", "unit", "ours", "theirs", "ratio", "asked for", "reached?")
    lines = [head]
    for row in rows:
        theirs = "" if row.theirs is None else f"{row.theirs}  {row.other}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        asked = "" if row.asked is None else row.asked.text(row.unit)
        lines.append((row.what, row.unit, str(row.ours), theirs, ratio, asked, row.reached))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def rounds(
    sides: dict[str, Callable[[], float]], count: int, note: Callable[[str], None] | None = None
) -> dict[str, Spread]:
    """Measure all sides in turn, ``count`` times over: A B C A B C …

    A machine that grows slower or busier on the way does so for all sides alike.
    """
    values: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(count):
        for name, measure in sides.items():
            values[name].append(measure())
            if note is not None:
                note(f"round {number + 1} of {count}: {name} {_short(values[name][-1])}")
    return {name: Spread.of(found) for name, found in values.items()}


def best(found: dict[str, float]) -> str:
    """The name with the highest rate."""
    return max(found, key=lambda name: found[name])


def say(text: str) -> None:
    """Progress, beside the tables."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder that goes again, whatever happens."""
    path = Path(tempfile.mkdtemp(prefix="mesoscope-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def parser(name: str, text: str) -> argparse.ArgumentParser:
    """The options that all benches share."""
    made = argparse.ArgumentParser(
        prog=f"benchmarks/{name}.py", description=text,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    made.add_argument("--quick", action="store_true", help="small sizes, to see that all works")
    made.add_argument(
        "--peers", type=Path, metavar="PYTHON",
        help="interpreter with TensorFlow and Keras; .venv-peers is made where none is given",
    )  # fmt: skip
    made.add_argument("--rounds", type=int, default=7, help="of which the median is taken")
    made.add_argument("--results", type=Path, default=RESULTS, help="rows are appended here")
    made.add_argument("--dry", action="store_true", help="write no rows")
    return made


def run(
    bench: Callable, made: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> list[Row]:
    """Parse, measure, print the table, append the rows."""
    options = made.parse_args(arguments)
    if options.quick:
        options.rounds = min(options.rounds, 2)
    given = sys.argv[1:] if arguments is None else arguments
    conditions = Conditions(command=command_line(made.prog, given))
    rows = bench(options, conditions)
    print(table(rows), flush=True)
    if not options.dry:
        write_rows(rows, conditions, options.results)
    return rows


def command_line(program: str, arguments: Sequence[str]) -> str:
    """The command for the record, without what only this machine's folders are called."""
    return " ".join(
        [program, *("…/" + Path(a).name if Path(a).is_absolute() else a for a in arguments)]
    )


def commit() -> str:
    """The commit that was measured; ``+`` where files differ from it."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()


def cpu_name() -> str:
    """The processor as it names itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def console_script() -> Path:
    """The installed ``mesoscope`` command beside this interpreter."""
    script = Path(sys.executable).parent / "mesoscope"
    if not script.exists():
        raise SystemExit(
            f"{script}: not there: run `make bench`, or this script with .venv/bin/python"
        )
    return script


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
