"""Rows of a manifest → samples, checked: of CSV one by one, of Parquet a column at a time."""

from __future__ import annotations

import csv
import re
from importlib.util import find_spec
from itertools import repeat
from typing import TYPE_CHECKING, Any

from mesoscope.data.manifest_writing import COLUMNS
from mesoscope.data.sample import LABELS, SPLIT_NAMES, SPLITS, Sample
from mesoscope.errors import DatasetError, MissingExtra
from mesoscope.media.kinds import CLIP_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

CLIP = "is a clip, and data sets hold pictures: save frames of it as pictures, or move it away"
_NEEDED = ("path", "label", "split")
_PLACE = ("offset", "size")  # in a shard
# Absolute, of a drive, climbing, or empty: as RE2 takes it, too.
_OUTSIDE = r"^\s*$|^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)"
_CLIP_AT_END = r"(?i)(" + "|".join(re.escape(s) for s in sorted(CLIP_SUFFIXES)) + r")\s*$"
_NAMED: dict[str, dict[str, Any]] = {"label": dict(LABELS), "split": dict(SPLIT_NAMES)}
_RIGHT = (("label", "real"), ("split", "train"))  # what no row is refused for
_NOWHERE = ("", 0, 0)
_outside = re.compile(_OUTSIDE).search


def read_csv(manifest: Path) -> list[Sample]:
    """The samples of a CSV manifest.

    Raises:
        DatasetError: It is no CSV, lacks a column, or a row is wrong: the line is named.
    """
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            head = [name.strip().lower() for name in next(lines, ())]
            _refuse_missing(manifest, head, "its first line must name", ", with commas between")
            return list(_samples(manifest, head, lines))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DatasetError(f"{manifest}: cannot be read: {error}") from error


def read_parquet(manifest: Path) -> list[Sample]:
    """The samples of a Parquet manifest.

    Raises:
        DatasetError: It is no Parquet file, lacks a column or has one of another type, or a row is
            wrong: the row is named, from 1.
        MissingExtra: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", extra="parquet")
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(manifest) as file:
            names = {name.strip().lower(): name for name in file.schema_arrow.names}
            _refuse_missing(manifest, list(names), "it must have", "")
            wanted = [names[c] for c in (*COLUMNS, *_PLACE) if c in names]
            table = file.read(columns=wanted)
    except (pa.ArrowException, OSError) as error:
        why = " ".join(str(error).split())
        raise DatasetError(f"{manifest}: cannot be read as Parquet: {why}") from error
    columns = dict(zip([n.strip().lower() for n in table.column_names], table.columns, strict=True))
    return _from_columns(manifest, columns, table.num_rows)


def _refuse_missing(manifest: Path, there: Sequence[str], what: str, how: str) -> None:
    missing = [c for c in _NEEDED if c not in there]
    if missing:
        raise DatasetError(
            f"{manifest}: no column {missing[0]!r}: {what} {', '.join(_NEEDED)}{how}"
        )


def _samples(manifest: Path, head: Sequence[str], lines: Any) -> Iterator[Sample]:  # noqa: ANN401
    root, own = _prefix(manifest), manifest.parent.resolve().name
    at = [head.index(name) if name in head else -1 for name in (*COLUMNS, *_PLACE)]
    width = len(head)
    same: dict[str, str] = {}  # one text for all rows that say the same
    for line in lines:
        if not line:
            continue
        if len(line) < width:
            line += [""] * (width - len(line))
        path, label, source, method, group, split, sha256, offset, size = (
            line[n].strip() if n >= 0 else "" for n in at
        )
        truth, part = LABELS.get(label.lower()), SPLIT_NAMES.get(split.lower())
        if truth is None or part is None or _outside(path) or _is_clip(path):
            _refuse(f"{manifest}, line {lines.line_num}", path, label, split)
            continue
        source = source or own
        source, method = same.setdefault(source, source), same.setdefault(method, method)
        group = same.setdefault(group, group) if group else path
        place = _place(path, offset, size) if offset or size else _NOWHERE
        if place is None:
            raise DatasetError(_no_place(f"{manifest}, line {lines.line_num}", path, offset, size))
        shard = root + place[0] if place[0] else ""
        yield Sample(root + path, truth, source, group, part, sha256, method,
                     same.setdefault(shard, shard), *place[1:])  # fmt: skip


def _place(path: str, offset: str | int, size: str | int) -> tuple[str, int, int] | None:
    """The shard within the root, and where in it; ``None`` where that cannot be."""
    tar, within, _ = path.partition(".tar/")
    try:
        begin, length = int(offset), int(size)
    except ValueError:
        return None
    return (f"{tar}.tar", begin, length) if within and begin >= 0 and length >= 0 else None


def _no_place(where: str, path: str, offset: object, size: object) -> str:
    return (
        f"{where}: path {path!r}, offset {offset!r}, size {size!r} are no place in a shard: the "
        "path must lead into a .tar, and the numbers must not be negative"
    )


def _prefix(manifest: Path) -> str:
    parent = str(manifest.parent)
    return "" if parent == "." else parent.rstrip("/") + "/"


def _is_clip(path: str) -> bool:
    return path[path.rfind(".") :].lower() in CLIP_SUFFIXES


def _refuse(where: str, path: str, label: str, split: str) -> None:
    """Say what is wrong with a row.

    Raises:
        DatasetError: Always.
    """
    label, split = label.strip(), split.strip()
    if label.lower() not in LABELS:  # not 1 and 0 either: some sets mean fake by 0
        raise DatasetError(f"{where}: label {label!r} is neither real nor fake")
    if split.lower() not in SPLIT_NAMES:
        raise DatasetError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}")
    if _outside(path):
        raise DatasetError(f"{where}: path {path!r} must be relative and inside the data set")
    raise DatasetError(f"{where}: {path} {CLIP}")


def _from_columns(manifest: Path, columns: dict[str, Any], count: int) -> list[Sample]:
    """Parquet's columns → samples."""
    for name, column in columns.items():
        _refuse_type(manifest, name, column.type)
        if name in _NEEDED and column.null_count:
            row = column.is_null().to_pylist().index(True) + 1
            raise DatasetError(f"{manifest}, row {row}: no {name}: every row needs one")
    _refuse_paths(manifest, columns["path"])
    own, root = manifest.parent.resolve().name, _prefix(manifest)
    given = dict.fromkeys((*COLUMNS, *_PLACE), [""] * count)
    given |= {n: _shared(manifest, n, c) for n, c in columns.items() if n not in _PLACE}
    paths, groups = given["path"], given["group"]
    rows = zip(
        (root + path for path in paths),
        given["label"],
        (source or own for source in given["source"]),
        (group or path for group, path in zip(groups, paths, strict=True)),
        given["split"], given["sha256"], given["method"],
        *_places(manifest, columns, paths, root), strict=True,
    )  # fmt: skip
    return [Sample(*row) for row in rows]


def _places(
    manifest: Path, columns: dict[str, Any], paths: Sequence[str], root: str
) -> tuple[Iterable[str], Iterable[int], Iterable[int]]:
    """Shards, offsets and sizes of all rows."""
    if not paths or "offset" not in columns or "size" not in columns:
        return repeat("", len(paths)), repeat(0, len(paths)), repeat(0, len(paths))
    places, same = [], {"": ""}
    offsets, sizes = (columns[name].fill_null(-1).to_pylist() for name in _PLACE)
    for row, (path, offset, size) in enumerate(zip(paths, offsets, sizes, strict=True), start=1):
        place = _NOWHERE if offset == size == -1 else _place(path, offset, size)
        if place is None:
            raise DatasetError(_no_place(f"{manifest}, row {row}", path, offset, size))
        places.append((same.setdefault(place[0], root + place[0]), *place[1:]))
    shards, offsets, sizes = zip(*places, strict=True)
    return shards, offsets, sizes


def _refuse_paths(manifest: Path, paths: Any) -> None:  # noqa: ANN401
    import pyarrow as pa
    from pyarrow import compute

    for pattern in (_OUTSIDE, _CLIP_AT_END):
        wrong = compute.match_substring_regex(paths.cast(pa.large_string()), pattern)
        row = compute.index(wrong, value=True).as_py()
        if row >= 0:
            _refuse(f"{manifest}, row {row + 1}", paths[row].as_py().strip(), "real", "train")


def _shared(manifest: Path, name: str, column: Any) -> list[Any]:  # noqa: ANN401
    """A column's values, each different one of which is read once and shared by its rows."""
    import pyarrow as pa

    column = column.cast(pa.large_string()).fill_null("")
    if name in ("path", "sha256"):  # hardly any two are alike
        return [text.strip() for text in column.to_pylist()]
    coded = pa.chunked_array([column.combine_chunks()]).dictionary_encode().combine_chunks()
    texts = [text.strip() for text in coded.dictionary.to_pylist()]
    values: list[Any] = texts
    if name in _NAMED:
        values = [_NAMED[name].get(text.lower()) for text in texts]
        if None in values:
            number = values.index(None)
            row = coded.indices.to_pylist().index(number)
            label, split = (texts[number] if name == n else w for n, w in _RIGHT)
            _refuse(f"{manifest}, row {row + 1}", "a", label, split)
    return [values[i] for i in coded.indices.to_pylist()]


def _refuse_type(manifest: Path, name: str, kind: Any) -> None:  # noqa: ANN401
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    text = types.is_string(kind) or types.is_large_string(kind)
    if types.is_null(kind) and name not in _NEEDED:
        return  # a column that is empty throughout
    if name in _PLACE and not types.is_integer(kind):
        raise DatasetError(f"{manifest}: column {name!r} must be whole numbers, it is {kind}")
    if name not in _PLACE and not text:
        why = ", as public sets disagree on what 1 is" if name == "label" else ""
        raise DatasetError(f"{manifest}: column {name!r} must be text, it is {kind}{why}")
