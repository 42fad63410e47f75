"""Read the rows of a manifest, CSV or Parquet, into checked samples."""

from __future__ import annotations

import csv
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mesoscope.data.sample import LABELS, SPLIT_NAMES, SPLITS, Sample
from mesoscope.errors import DatasetError, MissingExtra
from mesoscope.errors.failures import cause
from mesoscope.media.kinds import CLIP_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


COLUMNS = ("path", "label", "source", "method", "group", "split", "sha256")
CLIP = (
    "is a clip, and data sets hold pictures: make one of its faces with mesoscope prepare plain, "
    "or move it away"
)
NEEDED = ("path", "label")
NO_SPLIT = ""
PLACE = ("offset", "size")  # columns of a position in a shard
# Absolute, with a drive, with .., or empty; a pattern that RE2 accepts, too.
OUTSIDE = r"^\s*$|^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)"
CLIP_AT_END = r"(?i)(" + "|".join(re.escape(s) for s in sorted(CLIP_SUFFIXES)) + r")\s*$"
NOWHERE = ("", 0, 0)
_outside = re.compile(OUTSIDE).search


def read_csv(manifest: Path, *, clips: bool = False) -> list[Sample]:
    """Read the samples of a CSV manifest.

    Args:
        manifest: The file.
        clips: Allow clips, and rows without a split.

    Raises:
        DatasetError: The file is no CSV, lacks a column, or a row is not valid: the line is named.
    """
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            head = [name.strip().lower() for name in next(lines, ())]
            needed = needed_of(clips)
            refuse_missing(
                manifest, head, "its first line must name", ", with commas between", needed
            )
            return list(_samples(manifest, head, lines, clips))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DatasetError(f"{manifest}: cannot be read: {cause(error)}") from error


def needed_of(clips: bool) -> tuple[str, ...]:
    """Return the required columns, with or without clips."""
    return NEEDED if clips else (*NEEDED, "split")


def refuse_missing(
    manifest: Path, there: Sequence[str], what: str, how: str, needed: Sequence[str]
) -> None:
    """Refuse a manifest that lacks a column; ``what`` and ``how`` describe the right form.

    Raises:
        DatasetError: A column is missing.
    """
    missing = [c for c in needed if c not in there]
    if missing:
        raise DatasetError(f"{manifest}: no column {missing[0]!r}: {what} {', '.join(needed)}{how}")


def _samples(
    manifest: Path,
    head: Sequence[str],
    lines: Any,  # noqa: ANN401
    clips: bool,
) -> Iterator[Sample]:
    root, own = prefix_of(manifest), manifest.parent.resolve().name
    at = [head.index(name) if name in head else -1 for name in (*COLUMNS, *PLACE)]
    width = len(head)
    same: dict[str, str] = {}  # interned texts
    for line in lines:
        if not line:
            continue
        if len(line) < width:
            line += [""] * (width - len(line))
        path, label, source, method, group, split, sha256, offset, size = (
            line[n].strip() if n >= 0 else "" for n in at
        )
        truth, part = LABELS.get(label.lower()), SPLIT_NAMES.get(split.lower())
        if part is None and clips and not split:
            part = NO_SPLIT
        if truth is None or part is None or _outside(path) or (not clips and is_clip(path)):
            refuse(f"{manifest}, line {lines.line_num}", path, label, split)
            continue
        source = source or own
        source, method = same.setdefault(source, source), same.setdefault(method, method)
        group = same.setdefault(group, group) if group else path
        place = place_of(path, offset, size) if offset or size else NOWHERE
        if place is None:
            raise DatasetError(no_place(f"{manifest}, line {lines.line_num}", path, offset, size))
        shard = root + place[0] if place[0] else ""
        yield Sample(root + path, truth, source, group, part, sha256, method,
                     same.setdefault(shard, shard), *place[1:])  # fmt: skip


def place_of(path: str, offset: str | int, size: str | int) -> tuple[str, int, int] | None:
    """Return the shard within the root, offset and size; ``None`` if not valid."""
    tar, within, _ = path.partition(".tar/")
    try:
        begin, length = int(offset), int(size)
    except ValueError:
        return None
    return (f"{tar}.tar", begin, length) if within and begin >= 0 and length >= 0 else None


def no_place(where: str, path: str, offset: object, size: object) -> str:
    """Return the message for a row where :func:`place_of` gives ``None``."""
    return (
        f"{where}: path {path!r}, offset {offset!r}, size {size!r} are no place in a shard: the "
        "path must lead into a .tar, and the numbers must not be negative"
    )


def prefix_of(manifest: Path) -> str:
    """Return the prefix of each path of a manifest."""
    parent = str(manifest.parent)
    return "" if parent == "." else parent.rstrip("/") + "/"


def is_clip(path: str) -> bool:
    """Whether a path has a clip's suffix."""
    return path[path.rfind(".") :].lower() in CLIP_SUFFIXES


def refuse(where: str, path: str, label: str, split: str) -> None:
    """Raise the error of a row.

    Raises:
        DatasetError: Always.
    """
    label, split = label.strip(), split.strip()
    if label.lower() not in LABELS:  # not 1 and 0 either: some sets encode fake as 0
        raise DatasetError(f"{where}: label {label!r} is neither real nor fake")
    if split.lower() not in SPLIT_NAMES:
        raise DatasetError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}")
    if _outside(path):
        raise DatasetError(f"{where}: path {path!r} must be relative and inside the data set")
    raise DatasetError(f"{where}: {path} {CLIP}")


_ROWS = 1 << 16  # rows in Arrow's memory beside the samples
_NAMED: dict[str, dict[str, Any]] = {"label": dict(LABELS), "split": dict(SPLIT_NAMES)}
_RIGHT = (("label", "real"), ("split", "train"))  # valid values for all other columns


def read_parquet(manifest: Path, *, clips: bool = False) -> list[Sample]:
    """Read the samples of a Parquet manifest.

    Args:
        manifest: The file.
        clips: Allow clips, and rows without a split.

    Raises:
        DatasetError: The file is no Parquet, lacks a column or has one of another type, or a row is
            not valid: the row is named, from 1.
        MissingExtra: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", extra="parquet")
    import pyarrow as pa
    from pyarrow import parquet

    samples: list[Sample] = []
    same: dict[str, str] = {}  # interned texts
    try:
        with parquet.ParquetFile(manifest) as file:
            names = {name.strip().lower(): name for name in file.schema_arrow.names}
            refuse_missing(manifest, list(names), "it must have", "", needed_of(clips))
            wanted = {c: names[c] for c in (*COLUMNS, *PLACE) if c in names}
            for column, name in wanted.items():
                _refuse_type(manifest, column, file.schema_arrow.field(name).type)
            for batch in file.iter_batches(_ROWS, columns=list(wanted.values())):
                columns = {column: batch.column(name) for column, name in wanted.items()}
                samples += _Rows(manifest, columns, len(samples), same, clips).samples()
    except (pa.ArrowException, OSError) as error:
        why = " ".join(str(error).split())
        raise DatasetError(
            f"{manifest}: cannot be read as Parquet: {why}: write it anew, or fetch it again"
        ) from error
    return samples


class _Rows:
    """A batch of rows as Arrow columns."""

    def __init__(
        self,
        manifest: Path,
        columns: dict[str, Any],
        before: int,
        same: dict[str, str],
        clips: bool,
    ) -> None:
        self._manifest, self._columns, self._same = manifest, columns, same
        self._clips = clips
        self._before = before  # number of rows
        self._count = len(columns["path"])

    def samples(self) -> Iterator[Sample]:
        """Check the rows, and build samples."""
        for name in needed_of(self._clips):
            column = self._columns[name]
            if column.null_count:
                where = self._where(column.is_null().to_pylist().index(True))
                raise DatasetError(f"{where}: no {name}: every row needs one")
        self._refuse_paths()
        own, root = self._manifest.parent.resolve().name, prefix_of(self._manifest)
        paths = [path.strip() for path in self._texts("path").to_pylist()]
        rows = zip(
            paths, self._named("label"), self._shared("source"), self._shared("group"),
            self._named("split"), self._texts("sha256").to_pylist(), self._shared("method"),
            self._places(paths, root), strict=True,
        )  # fmt: skip
        return (
            Sample(root + path, label, source or own, group or path, split, sha256, method, *place)
            for path, label, source, group, split, sha256, method, place in rows
        )

    def _where(self, row: int) -> str:
        return f"{self._manifest}, row {self._before + row + 1}"

    def _texts(self, name: str) -> Any:  # noqa: ANN401 - Arrow's arrays have no types
        import pyarrow as pa

        if name not in self._columns:
            return pa.array([""] * self._count, pa.large_string())
        return self._columns[name].cast(pa.large_string()).fill_null("")

    def _named(self, name: str) -> list[Any]:
        """Return labels or splits by their names."""
        known = dict(_NAMED[name])
        if name == "split" and self._clips:
            known[""] = NO_SPLIT
        return self._by_value(name, lambda text: known.get(text.lower()))

    def _shared(self, name: str) -> list[Any]:
        """Return interned texts."""
        return self._by_value(name, lambda text: self._same.setdefault(text, text))

    def _by_value(self, name: str, read: Callable[[str], Any]) -> list[Any]:
        """Convert a column, each distinct text once."""
        coded = self._texts(name).dictionary_encode()
        texts = [text.strip() for text in coded.dictionary.to_pylist()]
        values, codes = [read(text) for text in texts], coded.indices.to_pylist()
        if None in values:
            number = values.index(None)
            label, split = (texts[number] if name == n else word for n, word in _RIGHT)
            refuse(self._where(codes.index(number)), "a", label, split)
        return [values[code] for code in codes]

    def _refuse_paths(self) -> None:
        from pyarrow import compute

        paths = self._texts("path")
        for pattern in (OUTSIDE,) if self._clips else (OUTSIDE, CLIP_AT_END):
            wrong = compute.match_substring_regex(paths, pattern)
            row = compute.index(wrong, value=True).as_py()
            if row >= 0:
                refuse(self._where(row), paths[row].as_py().strip(), "real", "train")

    def _places(self, paths: list[str], root: str) -> Iterator[tuple[str, int, int]]:
        """Yield shards, offsets and sizes."""
        if not all(name in self._columns for name in PLACE):
            yield from [NOWHERE] * self._count
            return
        numbers = (self._columns[name].fill_null(-1).to_pylist() for name in PLACE)
        for row, (path, offset, size) in enumerate(zip(paths, *numbers, strict=True)):
            if offset == size == -1:
                yield NOWHERE
                continue
            place = place_of(path, offset, size)
            if place is None:
                raise DatasetError(no_place(self._where(row), path, offset, size))
            shard = root + place[0]
            yield self._same.setdefault(shard, shard), offset, size


def _refuse_type(manifest: Path, name: str, kind: Any) -> None:  # noqa: ANN401
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    text = types.is_string(kind) or types.is_large_string(kind)
    if types.is_null(kind) and name not in (*NEEDED, "split"):
        return  # the column is empty throughout
    if name in PLACE and not types.is_integer(kind):
        raise DatasetError(f"{manifest}: column {name!r} must be whole numbers, it is {kind}")
    if name not in PLACE and not text:
        why = ", as public sets disagree on what 1 is" if name == "label" else ""
        raise DatasetError(f"{manifest}: column {name!r} must be text, it is {kind}{why}")
