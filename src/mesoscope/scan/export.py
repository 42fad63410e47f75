"""A job's verdicts as a file: JSON lines, CSV or Parquet."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any

from mesoscope.errors import JobError, MissingExtra, OutputError
from mesoscope.files.csv_rows import csv_row
from mesoscope.files.whole import beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mesoscope.scan.ledger_reader import LedgerReader
    from mesoscope.scan.rows import Result

FORMATS = (".jsonl", ".ndjson", ".csv", ".parquet")
COLUMNS = (
    "source", "kind", "label", "p_fake", "reason", "faces", "persons", "skipped", "frames_read",
    "duration_s", "finder", "model", "error_code", "error_message", "size_bytes", "mtime_ns",
    "sha256", "duplicate_of",
)  # fmt: skip
_GROUP = 10_000  # rows of a Parquet row group, which stand in memory at once


def export(ledger: LedgerReader, path: Path) -> int:
    """Write the verdicts of all files that are still there, in the order of their paths.

    JSON lines hold each verdict whole, as a scan into such a file writes it. CSV and Parquet hold
    :data:`COLUMNS`, Parquet also the verdict's JSON. The file appears when it is whole. Memory does
    not grow with the number of rows.

    Args:
        ledger: Of the job.
        path: Its suffix says which: one of :data:`FORMATS`.

    Returns:
        How many verdicts.

    Raises:
        OutputError: Another suffix, or it cannot be written.
        MissingExtra: Parquet was asked for and pyarrow is not installed.
    """
    write = _writer(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path) as part:
            return write(ledger.results(), part)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def json_lines(results: Iterable[Result]) -> Iterator[str]:
    """The verdicts as lines of JSON, as :func:`export` writes them.

    Raises:
        JobError: The ledger is damaged.
    """
    for result in results:
        parsed(result)
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
    # Names are written in the bytes they have on disk, as everywhere in CSV.
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for result in results:
            file.write(csv_row(record(result).values()) + "\n")
            count += 1
    return count


def _write_parquet(results: Iterator[Result], path: Path) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    text, whole = pa.string(), pa.int64()
    types = dict.fromkeys(COLUMNS, text)
    types |= dict.fromkeys(
        ("faces", "persons", "skipped", "frames_read", "size_bytes", "mtime_ns"), whole
    )
    types |= {"p_fake": pa.float64(), "duration_s": pa.float64(), "verdict": text}
    schema = pa.schema(list(types.items()))
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as file:
        while group := [
            {**_in_unicode(record(result)), "verdict": result.verdict}
            for result in islice(results, _GROUP)
        ]:
            file.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def record(result: Result) -> dict[str, Any]:
    """A result as one row of :data:`COLUMNS`; ``None`` where there is nothing to say."""
    verdict = parsed(result)
    error = verdict.get("error") or {}
    same = ("source", "kind", "label", "p_fake", "reason", "frames_read", "finder", "model")
    found = {
        **{name: verdict.get(name) for name in (*same, "duration_s")},
        **{name: len(verdict.get(name, ())) for name in ("faces", "persons", "skipped")},
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "size_bytes": result.size_bytes,
        "mtime_ns": result.mtime_ns,
        "sha256": None if result.sha256 is None else result.sha256.hex(),
        "duplicate_of": None if result.duplicate_of is None else os.fsdecode(result.duplicate_of),
    }
    return {name: found[name] for name in COLUMNS}


def parsed(result: Result) -> dict[str, Any]:
    """The verdict of a result.

    Raises:
        JobError: It is none, as the ledger is damaged.
    """
    try:
        verdict = json.loads(result.verdict)
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
            "scan with --resume, which judges it anew"
        )
    found: dict[str, Any] = verdict
    return found


def _in_unicode(row: dict[str, Any]) -> dict[str, Any]:
    # Parquet's strings are UTF-8: bytes of a name that are not become \udcXX, as in JSON.
    return {
        name: value.encode("utf-8", "backslashreplace").decode()
        if isinstance(value, str)
        else value
        for name, value in row.items()
    }
