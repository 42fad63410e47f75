"""A Parquet manifest → samples, checked: some ten thousand rows at a time, a column at a time."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mesoscope.data.manifest_rows import (
    CLIP_AT_END,
    NEEDED,
    NO_SPLIT,
    NOWHERE,
    OUTSIDE,
    PLACE,
    needed_of,
    no_place,
    place_of,
    prefix_of,
    refuse,
    refuse_missing,
)
from mesoscope.data.manifest_writing import COLUMNS
from mesoscope.data.sample import LABELS, SPLIT_NAMES, Sample
from mesoscope.errors import DatasetError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_ROWS = 1 << 16  # that stand in Arrow's memory beside the samples
_NAMED: dict[str, dict[str, Any]] = {"label": dict(LABELS), "split": dict(SPLIT_NAMES)}
_RIGHT = (("label", "real"), ("split", "train"))  # what no row is refused for


def read_parquet(manifest: Path, *, clips: bool = False) -> list[Sample]:
    """The samples of a Parquet manifest.

    Args:
        manifest: The file.
        clips: Rows may be clips, and need no split.

    Raises:
        DatasetError: It is no Parquet file, lacks a column or has one of another type, or a row is
            wrong: the row is named, from 1.
        MissingExtra: pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", extra="parquet")
    import pyarrow as pa
    from pyarrow import parquet

    samples: list[Sample] = []
    same: dict[str, str] = {}  # one text for all rows that say the same
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
    """Some rows: their columns as Arrow holds them."""

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
        self._before = before  # so many rows
        self._count = len(columns["path"])

    def samples(self) -> Iterator[Sample]:
        """Check the rows, and make samples of them."""
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
        """Labels and splits, by their names."""
        known = dict(_NAMED[name])
        if name == "split" and self._clips:
            known[""] = NO_SPLIT
        return self._by_value(name, lambda text: known.get(text.lower()))

    def _shared(self, name: str) -> list[Any]:
        """Texts, one for all rows that say the same."""
        return self._by_value(name, lambda text: self._same.setdefault(text, text))

    def _by_value(self, name: str, read: Callable[[str], Any]) -> list[Any]:
        """A column of which each different text is read once."""
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
        """Shards, offsets and sizes."""
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
        return  # a column that is empty throughout
    if name in PLACE and not types.is_integer(kind):
        raise DatasetError(f"{manifest}: column {name!r} must be whole numbers, it is {kind}")
    if name not in PLACE and not text:
        why = ", as public sets disagree on what 1 is" if name == "label" else ""
        raise DatasetError(f"{manifest}: column {name!r} must be text, it is {kind}{why}")
