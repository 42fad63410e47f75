"""Data sets in the project's own layout, with or without a manifest.

::

    dataset/
    ├── train/       {real,fake}/*.jpg|png|webp|…
    ├── validation/  {real,fake}/…           also accepted: val, valid
    └── test/        {real,fake}/…           optional

With a ``manifest.csv`` at the root (``path,label,source,group,split,sha256``) the folders are not
walked.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.errors import DatasetError
from mesoscope.media.kinds import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SPLITS = ("train", "validation", "test")
LABELS = {"real": 0, "fake": 1}
_SPLIT_NAMES = {"train": "train", "validation": "validation", "val": "validation",
                "valid": "validation", "test": "test"}  # fmt: skip
_COLUMNS = ("path", "label", "split")


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture.

    Attributes:
        path: Where it lies.
        label: 1 = fake, 0 = real.
        source: The set it comes from.
        group: What must not be split: a source video, a person, a parent picture. Unique to the
            picture where nothing is known.
        split: ``train``, ``validation`` or ``test``.
        sha256: Of the file, empty where unknown.
    """

    path: Path
    label: int
    source: str
    group: str
    split: str
    sha256: str = ""


def read_dataset(root: Path) -> list[Sample]:
    """List a data set's samples in a stable order.

    Args:
        root: Its folder: with a ``manifest.csv``, or with ``train/{real,fake}`` and the like.

    Returns:
        The samples of all its splits.

    Raises:
        DatasetError: A missing folder, a manifest with a wrong column or label, no picture at all.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder: give the folder that holds train/ and validation/")
    manifest = root / "manifest.csv"
    samples = _read_manifest(manifest) if manifest.is_file() else _walk(root)
    if not samples:
        raise DatasetError(
            f"{root}: no pictures found: expected {root.name}/train/real, {root.name}/train/fake, …"
        )
    return samples


def read_datasets(roots: Sequence[Path]) -> list[Sample]:
    """Several data sets as one; a source's name is made unique where two roots share it."""
    samples: list[Sample] = []
    owner: dict[str, Path] = {}
    for root in roots:
        found = read_dataset(root)
        taken = {s.source for s in found if owner.get(s.source, root) != root}
        for sample in found:
            owner.setdefault(sample.source, root)
            if sample.source in taken:
                name = f"{sample.source} ({root})"
                samples.append(
                    Sample(sample.path, sample.label, name, f"{root}:{sample.group}",
                           sample.split, sample.sha256)
                )  # fmt: skip
            else:
                samples.append(sample)
    return samples


def require_both_classes(samples: Iterable[Sample], split: str, where: str) -> None:
    """Refuse a split that lacks a class.

    Raises:
        DatasetError: No real or no fake picture in the split.
    """
    count = Counter(s.label for s in samples if s.split == split)
    for name, label in LABELS.items():
        if not count[label]:
            raise DatasetError(f"{where}: no {name} pictures in {split}: put some in {split}/{name}/")


def _read_manifest(manifest: Path) -> list[Sample]:
    root = manifest.parent
    samples = []
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = [c for c in _COLUMNS if c not in (rows.fieldnames or ())]
            if missing:
                raise DatasetError(f"{manifest}: no column {missing[0]!r}: it needs {', '.join(_COLUMNS)}")
            for number, row in enumerate(rows, start=2):
                samples.append(_sample(root, row, f"{manifest}, line {number}"))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DatasetError(f"{manifest}: cannot be read: {error}") from error
    return samples


def _sample(root: Path, row: dict[str, str | None], where: str) -> Sample:
    path, label, split = ((row[c] or "").strip() for c in _COLUMNS)
    if label not in LABELS:
        raise DatasetError(f"{where}: label {label!r} is neither real nor fake")
    if split not in _SPLIT_NAMES:
        raise DatasetError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}")
    relative = Path(path)
    if not path or relative.is_absolute() or ".." in relative.parts:
        raise DatasetError(f"{where}: path {path!r} must be relative and inside the data set")
    return Sample(
        path=root / relative,
        label=LABELS[label],
        source=(row.get("source") or "").strip() or root.name,
        group=(row.get("group") or "").strip() or path,
        split=_SPLIT_NAMES[split],
        sha256=(row.get("sha256") or "").strip(),
    )


def _walk(root: Path) -> list[Sample]:
    samples = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and p.name in _SPLIT_NAMES):
        for name, label in LABELS.items():
            for path in sorted((folder / name).rglob("*")):
                if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
                    group = path.relative_to(root).as_posix()
                    samples.append(
                        Sample(path, label, root.resolve().name, group, _SPLIT_NAMES[folder.name])
                    )
    return samples
