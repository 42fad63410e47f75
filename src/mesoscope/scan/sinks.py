"""Sinks for verdicts, a whole line at a time; and export of a job's verdicts."""

from __future__ import annotations

import contextlib
import os
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from mesoscope.errors import JobError, MissingExtra, OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import output_path
from mesoscope.files.escape import csv_row
from mesoscope.types.schema import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from typing_extensions import Self

    from mesoscope.scan.results import JobResults
    from mesoscope.scan.tables import Result
    from mesoscope.types import Verdict


CSV_COLUMNS = (
    "source", "kind", "label", "p_fake", "reason", "faces", "model", "error_code", "error_message",
)  # fmt: skip


class Sink(Protocol):
    """Writes verdicts one by one; each is safe once :meth:`write` returns."""

    def write(self, verdict: Verdict) -> None:
        """Write one verdict."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class LineSink:
    """A file, or an open descriptor, that always holds whole lines.

    Every line is one system call, made immediately. On a full disk the partial last line is cut off
    again, and earlier lines stay.

    Args:
        target: A file to (over)write, its folder is created; or a descriptor such as 1.

    Raises:
        OutputError: The file cannot be opened.
    """

    def __init__(self, target: Path | int) -> None:
        self._name = "standard output" if isinstance(target, int) else str(target)
        self._written = 0
        self._owned = not isinstance(target, int)
        if isinstance(target, int):
            self._fd = target
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise OutputError(f"{target}: cannot be written: {cause(error)}") from error

    def write_line(self, text: str) -> None:
        """Append one line.

        Raises:
            OutputError: The disk is full or the file is gone.
            BrokenPipeError: The reader of a pipe has closed it; the caller stops quietly.
        """
        data = text.encode("utf-8", "surrogateescape") + b"\n"
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._fd, left) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._owned:
                with contextlib.suppress(OSError):  # a device cannot be truncated
                    os.ftruncate(self._fd, self._written)
            raise OutputError(
                f"{self._name}: {cause(error)}: the lines written before are whole; free some "
                "space and scan again"
            ) from error
        self._written += len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._owned:
            os.close(self._fd)
            self._owned = False


class JsonLines(LineSink):
    """One JSON object a line, in plain ASCII."""

    def write(self, verdict: Verdict) -> None:
        """Append one verdict."""
        self.write_line(verdict.to_json())


class Csv(LineSink):
    """One CSV row per source, with a header; names as bytes on disk, formulas defused."""

    def __init__(self, target: Path | int) -> None:
        super().__init__(target)
        self.write_line(",".join(CSV_COLUMNS))

    def write(self, verdict: Verdict) -> None:
        """Append one verdict."""
        error = verdict.error or {}
        self.write_line(
            csv_row(
                [
                    verdict.source,
                    verdict.kind,
                    verdict.label or "",
                    "" if verdict.p_fake is None else f"{verdict.p_fake:.6f}",
                    verdict.reason or "",
                    len(verdict.faces),
                    verdict.model,
                    error.get("code", ""),
                    error.get("message", ""),
                ]
            )
        )


def open_sink(path: Path) -> JsonLines | Csv:
    """Open the sink for a file's suffix.

    Raises:
        OutputError: The suffix is neither ``.jsonl`` nor ``.csv``, or the file is not writable.
    """
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return JsonLines(path)
    if suffix == ".csv":
        return Csv(path)
    raise OutputError(
        f"{path}: results are written as .jsonl or .csv: name the file so, or "
        "end a job folder's name with a slash"
    )


FORMATS = (".jsonl", ".ndjson", ".csv", ".parquet")
COLUMNS = (
    "source", "kind", "label", "p_fake", "reason", "faces", "persons", "skipped", "frames_read",
    "duration_s", "finder", "model", "error_code", "error_message", "size_bytes", "mtime_ns",
    "sha256", "duplicate_of",
)  # fmt: skip
_GROUP = 10_000  # rows of a Parquet row group, held in memory at once


def export(job: JobResults, path: Path) -> int:
    """Write the verdicts of all existing files, in the order of their paths.

    JSON lines hold whole verdicts, as a scan into such a file writes them. CSV and Parquet hold
    :data:`COLUMNS`, Parquet also the verdict's JSON. The file is written atomically. Memory does
    not grow with the number of rows.

    Args:
        job: Results of the job.
        path: Its suffix selects the format: one of :data:`FORMATS`.

    Returns:
        The number of verdicts.

    Raises:
        OutputError: The suffix is unknown, or the file is not writable.
        MissingExtra: Parquet is asked for and pyarrow is not installed.
    """
    write = _writer(path)
    with output_path(path) as part:
        return write(job.results(), part)


def json_lines(results: Iterable[Result]) -> Iterator[str]:
    """Yield the verdicts as lines of JSON, as :func:`export` writes them.

    Raises:
        JobError: The ledger is damaged.
    """
    for result in results:
        parse_verdict(result)
        yield " ".join(result.verdict.splitlines())


def _writer(path: Path) -> Callable[[Iterator[Result], Path], int]:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise OutputError(
            f"{path}: verdicts are written as .jsonl, .csv or .parquet: name the file so"
        )
    if suffix == ".parquet":
        if find_spec("pyarrow") is None:
            raise MissingExtra("pyarrow", extra="parquet")
        return _write_parquet
    return _write_csv if suffix == ".csv" else _write_json_lines


def _write_json_lines(results: Iterator[Result], path: Path) -> int:
    count = 0
    with path.open("w", encoding="ascii") as file:
        for line in json_lines(results):
            file.write(f"{line}\n")
            count += 1
    return count


def _write_csv(results: Iterator[Result], path: Path) -> int:
    count = 0
    # Names are written as bytes on disk, as in all CSV files.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for result in results:
            file.write(csv_row(record(result).values()) + "\n")
            count += 1
    return count


def _write_parquet(results: Iterator[Result], path: Path) -> int:
    from pyarrow import parquet

    count = 0
    with parquet.ParquetWriter(path, parquet_schema(), compression="zstd") as file:
        while group := list(islice(results, _GROUP)):
            file.write_table(parquet_table(group))
            count += len(group)
    return count


def parquet_schema() -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return the schema of verdicts in Parquet: :data:`COLUMNS`, and the verdict's JSON."""
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    types = dict.fromkeys(COLUMNS, text)
    types |= dict.fromkeys(
        ("faces", "persons", "skipped", "frames_read", "size_bytes", "mtime_ns"), number
    )
    types |= {"p_fake": pa.float64(), "duration_s": pa.float64(), "verdict": text}
    return pa.schema(list(types.items()))


def parquet_table(results: Iterable[Result]) -> Any:  # noqa: ANN401
    """Return results as a table of :func:`parquet_schema`, held in memory."""
    import pyarrow as pa

    schema = parquet_schema()
    rows = [(*record(result).values(), result.verdict) for result in results]
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [_column(list(v), kind) for v, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def record(result: Result) -> dict[str, Any]:
    """Return a result as a row of :data:`COLUMNS`; ``None`` for missing values."""
    verdict = parse_verdict(result)
    error = verdict.get("error") or {}
    return {
        "source": verdict["source"],
        "kind": verdict.get("kind"),
        "label": verdict.get("label"),
        "p_fake": verdict.get("p_fake"),
        "reason": verdict.get("reason"),
        "faces": len(verdict.get("faces", ())),
        "persons": len(verdict.get("persons", ())),
        "skipped": len(verdict.get("skipped", ())),
        "frames_read": verdict.get("frames_read"),
        "duration_s": verdict.get("duration_s"),
        "finder": verdict.get("finder"),
        "model": verdict.get("model"),
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "size_bytes": result.size_bytes,
        "mtime_ns": result.mtime_ns,
        "sha256": None if result.sha256 is None else result.sha256.hex(),
        "duplicate_of": None if result.duplicate_of is None else os.fsdecode(result.duplicate_of),
    }


def parse_verdict(result: Result) -> dict[str, Any]:
    """Parse the verdict of a result.

    Raises:
        JobError: The verdict is not valid, as the ledger is damaged.
    """
    try:
        verdict = decode(result.verdict)
        lists = [verdict.get(name, ()) for name in ("faces", "persons", "skipped")]
        whole = isinstance(verdict["source"], str) and all(
            isinstance(v, list | tuple) for v in lists
        )
        whole = whole and isinstance(verdict.get("error"), dict | None)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        whole = False
    if not whole:
        name = os.fsdecode(result.path)
        raise JobError(
            f"{name}: its verdict in the ledger is damaged: change the file's time with touch and "
            "scan with `resume`, which judges it anew"
        )
    found: dict[str, Any] = verdict
    return found


def _column(values: list[Any], kind: Any) -> Any:  # noqa: ANN401
    import pyarrow as pa

    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        # Parquet's strings are UTF-8: invalid bytes of a name become \udcXX, as in JSON.
        escaped = [
            v.encode("utf-8", "backslashreplace").decode() if isinstance(v, str) else v
            for v in values
        ]
        return pa.array(escaped, kind)
