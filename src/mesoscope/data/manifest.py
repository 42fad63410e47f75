"""Read and write data sets in the project's own layout, with or without a manifest.

::

    dataset/
    ├── train/       {real,fake}/*.jpg|png|webp|…
    ├── validation/  {real,fake}/…           also accepted: val, valid
    └── test/        {real,fake}/…           optional

With a ``manifest.csv`` or ``manifest.parquet`` at the root
(``path,label,source,method,group,split,sha256``) the folders are not walked. Where there are
neither such folders nor a manifest but tar files, their members are the pictures. Names of folders,
labels and splits ignore case.
"""

from __future__ import annotations

import os
from collections import Counter
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesoscope.data.manifest_rows import CLIP, COLUMNS, NO_SPLIT, is_clip, read_csv, read_parquet
from mesoscope.data.sample import LABELS, SPLIT_NAMES, SPLITS, Sample
from mesoscope.data.shards.index import read_tars, refuse_broken, tars_of
from mesoscope.errors import DatasetError, MissingExtra, OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import output_path
from mesoscope.files.escape import RowWriter
from mesoscope.media.kinds import PICTURE_SUFFIXES
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence


__all__ = [
    "CLASSES",
    "COLUMNS",
    "LABELS",
    "SPLITS",
    "Sample",
    "read_dataset",
    "read_datasets",
    "require_both_classes",
    "row_of",
    "write_manifest",
]


_GROUP = 50_000  # rows of a Parquet row group, held in memory at once


def write_manifest(
    path: Path,
    rows: Iterable[Mapping[str, object]],
    *,
    further: Mapping[str, type] | None = None,
) -> int:
    """Write a manifest atomically.

    Args:
        path: Ends in ``.csv`` or ``.parquet``.
        rows: :data:`COLUMNS` by name; ``path``, ``label`` and ``split`` are required, others
            default to empty. ``label`` is ``real``, ``fake``, 0 or 1, ``path`` relative to the
            manifest's folder with ``/`` as separator.
        further: Additional columns, such as ``{"parent": str, "seed": int}``: text, ``int`` or
            ``float``. Other keys of rows are ignored.

    Returns:
        The number of rows.

    Raises:
        DatasetError: A row is not valid.
        OutputError: The suffix is unknown, or the file is not writable.
        MissingExtra: Parquet is asked for and pyarrow is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise OutputError(f"{path}: a manifest is written as .csv or .parquet: name it so")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", extra="parquet")
    types = {**dict.fromkeys(COLUMNS, str), **(further or {})}
    write = _write_csv if suffix == ".csv" else _write_parquet
    try:
        with output_path(path) as part:
            return write(part, _checked(rows, types, path), types)
    except UnicodeEncodeError as error:
        raise DatasetError(
            f"{path}: a name in it is not UTF-8 ({error.object[:80]!r}): rename that file"
        ) from error


def row_of(sample: Sample, root: Path) -> dict[str, object]:
    """Return a sample as a row of the manifest at this root.

    Raises:
        DatasetError: The sample does not lie below the root.
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
        writer = RowWriter(file, defuse=False)  # defusing would change values that are read back
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


MANIFESTS = ("manifest.csv", "manifest.parquet")


def read_dataset(root: Path, *, clips: bool = False) -> list[Sample]:
    """List a data set's samples in a stable order.

    Args:
        root: Folder of the set: with a manifest, or with ``train/{real,fake}`` and the like.
        clips: Include clips, for judging and preparing, and samples without a split, with an empty
            one, as in ``ROOT/{real,fake}``.

    Returns:
        The samples of all its splits.

    Raises:
        DatasetError: The folder is missing, a manifest has a wrong column or label, there are two
            manifests, a clip without ``clips``, a broken shard, or no picture at all.
        MissingExtra: The manifest is Parquet, and pyarrow is not installed.
    """
    if not root.is_dir():
        raise DatasetError(
            f"{root}: no such folder: give the folder that holds train/ and validation/"
        )
    manifest = _manifest_of(root)
    if manifest is not None:
        read = read_csv if manifest.suffix == ".csv" else read_parquet
        samples, expected = read(manifest, clips=clips), f"{manifest.name} has no rows"
    else:
        samples, expected = _walk(root, clips), "expected train/real, train/fake, … or a manifest"
        tars = [] if samples else tars_of(root)
        samples = read_tars(root, tars) if tars else samples
    refuse_broken(samples)
    if not samples:
        what = "pictures or clips" if clips else "pictures"
        if not clips and manifest is None and _folders(root, LABELS):
            expected += (
                ": real/ and fake/ without splits, or with clips, are made into a data set by "
                "mesoscope prepare plain"
            )
        raise DatasetError(f"{root}: no {what} found: {expected}")
    return samples


def read_datasets(roots: Sequence[Path], *, clips: bool = False) -> list[Sample]:
    """Read several data sets as one, each by :func:`read_dataset`.

    A source's name is made unique where two roots share it, and groups of different roots stay
    apart.

    Raises:
        DatasetError: As for :func:`read_dataset`, or a root is given twice.
    """
    if len(roots) == 1:
        return read_dataset(roots[0], clips=clips)
    samples: list[Sample] = []
    owner: dict[str, Path] = {}
    seen: set[Path] = set()
    for root in roots:
        if root.resolve() in seen:
            raise DatasetError(f"{root}: given twice: name each data set once")
        seen.add(root.resolve())
        found = read_dataset(root, clips=clips)
        taken = {s.source for s in found if s.source in owner}
        for sample in found:
            owner.setdefault(sample.source, root)
            source = f"{sample.source} ({root})" if sample.source in taken else sample.source
            samples.append(sample.among(source, f"{root}:{sample.group}"))
    return samples


def require_both_classes(
    samples: Iterable[Sample], split: str, where: str, *, fakes: bool = True
) -> None:
    """Refuse a split that lacks a class.

    Args:
        samples: Samples of all splits.
        split: Name of the split.
        where: Names of the data sets, for the message.
        fakes: Whether fakes are required.

    Raises:
        DatasetError: The split has no real or no fake picture.
    """
    count = Counter(s.label for s in samples if s.split == split)
    for name, label in LABELS.items():
        if not count[label] and (fakes or name == "real"):
            raise DatasetError(
                f"{where}: no {name} pictures in {split}: put some in {split}/{name}/"
            )


def _manifest_of(root: Path) -> Path | None:
    found = [path for name in MANIFESTS if (path := root / name).is_file()]
    if len(found) > 1:  # one may be outdated, and nothing says which
        raise DatasetError(f"{root}: holds {' and '.join(MANIFESTS)}: keep the one that is right")
    return found[0] if found else None


def _walk(root: Path, clips: bool) -> list[Sample]:
    places = [(folder, SPLIT_NAMES[folder.name.lower()]) for folder in _folders(root, SPLIT_NAMES)]
    if clips:
        places.append((root, NO_SPLIT))
    samples = []
    for parent, split in places:
        for name, label in LABELS.items():
            for folder in _folders(parent, (name,)):
                for path in _pictures(folder, clips):
                    group = path.relative_to(root).as_posix()
                    samples.append(Sample(path, label, root.resolve().name, group, split))
    return samples


def _folders(parent: Path, names: Container[str]) -> list[Path]:
    """Return the folders of these names, ignoring case: some sets write Train/Real."""
    try:
        return sorted(p for p in parent.iterdir() if p.name.lower() in names and p.is_dir())
    except OSError as error:
        raise DatasetError(f"{parent}: cannot be listed: {cause(error)}") from error


def _pictures(folder: Path, clips: bool) -> list[Path]:
    """Return all files below with a picture's suffix; broken links too, for the survey's errors."""

    def stop(error: OSError) -> None:
        raise DatasetError(f"{error.filename}: cannot be listed: {cause(error)}") from error

    found = []
    for parent, _, names in os.walk(folder, onerror=stop):
        moving = [name for name in names if is_clip(name)]
        if moving and not clips:
            raise DatasetError(f"{Path(parent, min(moving))} {CLIP}")
        still = [name for name in names if Path(name).suffix.lower() in PICTURE_SUFFIXES]
        found += [Path(parent, name) for name in (*still, *moving)]
    return sorted(found)
