"""Rows of a CSV manifest → samples, checked; and what a Parquet one must keep to, too."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

from mesoscope.data.manifest_writing import COLUMNS
from mesoscope.data.sample import LABELS, SPLIT_NAMES, SPLITS, Sample
from mesoscope.errors import DatasetError
from mesoscope.media.kinds import CLIP_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CLIP = (
    "is a clip, and data sets hold pictures: make one of its faces with mesoscope prepare plain, "
    "or move it away"
)
NEEDED = ("path", "label")
NO_SPLIT = ""
PLACE = ("offset", "size")  # in a shard
# Absolute, of a drive, climbing, or empty: as RE2 takes it, too.
OUTSIDE = r"^\s*$|^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)"
CLIP_AT_END = r"(?i)(" + "|".join(re.escape(s) for s in sorted(CLIP_SUFFIXES)) + r")\s*$"
NOWHERE = ("", 0, 0)
_outside = re.compile(OUTSIDE).search


def read_csv(manifest: Path, *, clips: bool = False) -> list[Sample]:
    """The samples of a CSV manifest.

    Args:
        manifest: The file.
        clips: Rows may be clips, and need no split.

    Raises:
        DatasetError: It is no CSV, lacks a column, or a row is wrong: the line is named.
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
        raise DatasetError(f"{manifest}: cannot be read: {error}") from error


def needed_of(clips: bool) -> tuple[str, ...]:
    """The columns that every manifest needs, by whether clips without a split are taken."""
    return NEEDED if clips else (*NEEDED, "split")


def refuse_missing(
    manifest: Path, there: Sequence[str], what: str, how: str, needed: Sequence[str]
) -> None:
    """Refuse a manifest that lacks a column; ``what`` and ``how`` say what it should have.

    Raises:
        DatasetError: It does.
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
    """The shard within the root, and where in it; ``None`` where that cannot be."""
    tar, within, _ = path.partition(".tar/")
    try:
        begin, length = int(offset), int(size)
    except ValueError:
        return None
    return (f"{tar}.tar", begin, length) if within and begin >= 0 and length >= 0 else None


def no_place(where: str, path: str, offset: object, size: object) -> str:
    """What is said where :func:`place_of` finds none."""
    return (
        f"{where}: path {path!r}, offset {offset!r}, size {size!r} are no place in a shard: the "
        "path must lead into a .tar, and the numbers must not be negative"
    )


def prefix_of(manifest: Path) -> str:
    """What stands before each path of a manifest."""
    parent = str(manifest.parent)
    return "" if parent == "." else parent.rstrip("/") + "/"


def is_clip(path: str) -> bool:
    """Whether a path is named like a clip."""
    return path[path.rfind(".") :].lower() in CLIP_SUFFIXES


def refuse(where: str, path: str, label: str, split: str) -> None:
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
