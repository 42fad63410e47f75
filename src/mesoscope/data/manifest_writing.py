"""Manifests written: CSV or Parquet, in one move."""

from __future__ import annotations

from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any

from mesoscope.data.sample import LABELS, SPLITS, Sample
from mesoscope.errors import DatasetError, MissingExtra, OutputError
from mesoscope.files.csv_rows import RowWriter
from mesoscope.files.whole import beside
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

COLUMNS = ("path", "label", "source", "method", "group", "split", "sha256")
_GROUP = 50_000  # rows of a Parquet row group, which stand in memory at once


def write_manifest(
    path: Path,
    rows: Iterable[Mapping[str, object]],
    *,
    further: Mapping[str, type] | None = None,
) -> int:
    """Write a manifest; the file appears when it is whole, in place of one that was there.

    Args:
        path: Ends in ``.csv`` or ``.parquet``.
        rows: :data:`COLUMNS` by name; ``path``, ``label`` and ``split`` are needed, what else is
            missing is left empty. ``label`` is ``real``, ``fake``, 0 or 1, ``path`` relative to the
            manifest's folder with ``/`` between.
        further: Columns beside those, such as ``{"parent": str, "seed": int}``: text, ``int`` or
            ``float``. Keys of rows that are in neither are left out.

    Returns:
        How many rows.

    Raises:
        DatasetError: A row that no reader would take.
        OutputError: Another suffix, or it cannot be written.
        MissingExtra: Parquet was asked for and pyarrow is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise OutputError(f"{path}: a manifest is written as .csv or .parquet: name it so")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", extra="parquet")
    types = {**dict.fromkeys(COLUMNS, str), **(further or {})}
    write = _write_csv if suffix == ".csv" else _write_parquet
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside(path) as part:
            return write(part, _checked(rows, types, path), types)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise DatasetError(
            f"{path}: a name in it is not UTF-8 ({error.object[:80]!r}): rename that file"
        ) from error


def row_of(sample: Sample, root: Path) -> dict[str, object]:
    """A sample as a row of the manifest at this root.

    Raises:
        DatasetError: It does not lie below the root.
    """
    try:
        relative = sample.path.relative_to(root).as_posix()
    except ValueError as error:
        raise DatasetError(f"{sample.file}: does not lie below {root}") from error
    row: dict[str, object] = {name: getattr(sample, name) for name in COLUMNS if name != "path"}
    return {"path": relative, **row, "label": CLASSES[sample.label]}


def _checked(
    rows: Iterable[Mapping[str, object]], types: Mapping[str, type], path: Path
) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, start=1):
        found = {name: _value(row.get(name), kind) for name, kind in types.items()}
        label = row.get("label")
        found["label"] = CLASSES[label] if label in (0, 1) else label
        if found["label"] not in LABELS or found["split"] not in SPLITS or not found["path"]:
            raise DatasetError(
                f"{path}: row {number} cannot be written: path {found['path']!r}, label "
                f"{label!r}, split {found['split']!r}"
            )
        yield found


def _value(value: object, kind: type) -> object:
    if kind is str:
        return "" if value is None else str(value)
    return None if value is None or value == "" else kind(value)


def _write_csv(part: Path, rows: Iterator[dict[str, Any]], types: Mapping[str, type]) -> int:
    count = 0
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = RowWriter(file, defuse=False)  # it is read back
        writer.writerow(types)
        for row in rows:
            writer.writerow([row.get(name) for name in types])
            count += 1
    return count


def _write_parquet(part: Path, rows: Iterator[dict[str, Any]], types: Mapping[str, type]) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    of: dict[type, Callable[[], Any]] = {str: pa.string, int: pa.int64, float: pa.float64}
    schema = pa.schema([(name, of[kind]()) for name, kind in types.items()])
    count = 0
    with parquet.ParquetWriter(part, schema, compression="zstd") as file:
        while group := list(islice(rows, _GROUP)):
            file.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count
