"""Data sets in the project's own layout, with or without a manifest.

::

    dataset/
    ├── train/       {real,fake}/*.jpg|png|webp|…
    ├── validation/  {real,fake}/…           also accepted: val, valid
    └── test/        {real,fake}/…           optional

With a ``manifest.csv`` or ``manifest.parquet`` at the root
(``path,label,source,method,group,split,sha256``) the folders are not walked. Where there are
neither such folders nor a manifest but tar files, their members are the pictures. Names of folders,
labels and splits are read in whatever case.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.data.manifest_parquet import read_parquet
from mesoscope.data.manifest_rows import CLIP, NO_SPLIT, is_clip, read_csv
from mesoscope.data.manifest_writing import COLUMNS, row_of, write_manifest
from mesoscope.data.sample import LABELS, SPLIT_NAMES, SPLITS, Sample
from mesoscope.data.shards.index import read_tars, refuse_broken, tars_of
from mesoscope.errors import DatasetError
from mesoscope.media.kinds import PICTURE_SUFFIXES
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

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

MANIFESTS = ("manifest.csv", "manifest.parquet")


def read_dataset(root: Path, *, clips: bool = False) -> list[Sample]:
    """List a data set's samples in a stable order.

    Args:
        root: Its folder: with a manifest, or with ``train/{real,fake}`` and the like.
        clips: For judging and preparing: clips are samples, too, and what has no split is taken
            with an empty one, as in ``ROOT/{real,fake}``.

    Returns:
        The samples of all its splits.

    Raises:
        DatasetError: A missing folder, a manifest with a wrong column or label, two manifests, a
            clip where none are taken, a broken shard, no picture at all.
        MissingExtra: A Parquet manifest, and pyarrow is not installed.
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
    """Several data sets as one, each read as of :func:`read_dataset`.

    A source's name is made unique where two roots share it, and groups of different roots are
    never one.

    Raises:
        DatasetError: As :func:`read_dataset`, or a root given twice.
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
        samples: Of all splits.
        split: Which.
        where: The data sets' names, for the message.
        fakes: Without them a split is refused, too.

    Raises:
        DatasetError: No real or no fake picture in the split.
    """
    count = Counter(s.label for s in samples if s.split == split)
    for name, label in LABELS.items():
        if not count[label] and (fakes or name == "real"):
            raise DatasetError(
                f"{where}: no {name} pictures in {split}: put some in {split}/{name}/"
            )


def _manifest_of(root: Path) -> Path | None:
    found = [path for name in MANIFESTS if (path := root / name).is_file()]
    if len(found) > 1:  # one may be older than the other, and nothing says which
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
    """The folders of these names, in whatever case: some sets write Train/Real."""
    try:
        return sorted(p for p in parent.iterdir() if p.name.lower() in names and p.is_dir())
    except OSError as error:
        raise DatasetError(f"{parent}: cannot be listed: {error.strerror}") from error


def _pictures(folder: Path, clips: bool) -> list[Path]:
    """All below with a picture's suffix; broken links too, so that the survey names them."""

    def stop(error: OSError) -> None:
        raise DatasetError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    found = []
    for parent, _, names in os.walk(folder, onerror=stop):
        moving = [name for name in names if is_clip(name)]
        if moving and not clips:
            raise DatasetError(f"{Path(parent, min(moving))} {CLIP}")
        still = [name for name in names if Path(name).suffix.lower() in PICTURE_SUFFIXES]
        found += [Path(parent, name) for name in (*still, *moving)]
    return sorted(found)
