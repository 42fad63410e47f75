"""DFDC: the clips of the Deepfake Detection Challenge, in all the ways they were published.

Dolhansky et al., "The DeepFake Detection Challenge (DFDC) Dataset" (2020), and the challenge's
page at Kaggle::

    [train/]dfdc_train_part_0 … dfdc_train_part_49/{metadata.json,*.mp4}    19,154 and 100,000
    train_sample_videos/{metadata.json,*.mp4}  test_videos/*.mp4            small release: 77, 323
    [test/]{labels.csv,videos/*.mp4}   validation/{labels.csv,*.mp4}        1 = fake

The preview has a list of its own, see :mod:`mesoscope.data.layouts.dfdc_preview`.

``metadata.json`` tells of each clip ``label`` (REAL or FAKE), ``split`` (always ``train``) and, of
a fake, the ``original``: that is the group, with all other fakes of it. It may be absent or null.
Any number of parts is read; what a list names and the disk lacks is counted. The small release's
test clips have no labels and are not read.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from mesoscope.data.layouts.dfdc_preview import add_preview, is_preview
from mesoscope.data.layouts.folders import (
    children,
    file_named,
    kind,
    list_folder,
    peek_folder,
    read_json,
    read_text,
    stem,
)
from mesoscope.data.layouts.item import (
    Item,
    ItemCount,
    LayoutCensus,
    Reading,
    refuse_quality,
)
from mesoscope.errors import DatasetError
from mesoscope.types.label import CLASSES, plural

if TYPE_CHECKING:
    from pathlib import Path

_PARTS = 50
_PART = re.compile(r"dfdc_train_part_0*(\d+)")
_SAMPLE = "train_sample_videos"
_LISTS = frozenset(("metadata.json", "labels.csv", "sample_submission.csv"))
_WHOLE = (19_154, 100_000)  # real, fake
_WHOLE_SAMPLE = (77, 323)
_METHOD = "DFDC"  # which of its eight methods made a clip was not published


class Dfdc:
    """The reader of DFDC and of its preview."""

    name = "dfdc"
    title = "DFDC"
    terms = "Research use under the terms of the challenge, which are accepted to get it."
    looks_for = (
        "dfdc_train_part_0/metadata.json, train_sample_videos/, labels.csv beside videos/, or "
        "dataset.json beside method_A/"
    )
    qualities: tuple[str, ...] = ()

    def is_root(self, folder: Path) -> bool:
        """Whether it holds a part, a list of labels beside clips, or folders of that kind."""
        names = peek_folder(folder)
        if is_preview(names) or _is_labelled(folder):
            return True
        return any(_is_part(n) or n.lower() == _SAMPLE for n in names.folders) or any(
            n.lower() in ("train", "test", "validation")
            and (_is_labelled(folder / n) or any(map(_is_part, peek_folder(folder / n).folders)))
            for n in names.folders
        )

    def is_part(self, name: str) -> bool:
        """Whether the name is a folder of the set without a list of its own."""
        return name in ("videos", "test_videos", "original_videos", "method_a", "method_b")

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set, as in :class:`Layout`."""
        refuse_quality(self, quality)
        if is_preview(peek_folder(root)):
            census = LayoutCensus(self, root, title="DFDC preview")
            add_preview(census)
            return census.reading()
        census = LayoutCensus(self, root)
        _add_parts(census)
        for folder in children(root, _SAMPLE):
            _add_part(census, folder)
            _count(census, folder, _WHOLE_SAMPLE)
        for folder in (root, *children(root, "test", "validation", "val", "valid")):
            _add_labelled(census, folder)
        for folder in children(root, "test_videos"):
            clips = sum(1 for name in list_folder(folder).files if kind(name) == "clip")
            census.note(f"{folder.name}: {plural(clips, 'clip')} without labels, not read")
        _name_originals(census)
        return census.reading()


def _is_part(name: str) -> bool:
    return _PART.fullmatch(name.lower()) is not None


def _is_labelled(folder: Path) -> bool:
    """Whether it holds labels beside clips; a metadata.json alone is not specific."""
    names = peek_folder(folder)
    files = {name.lower() for name in names.files}
    clips = any(kind(name) == "clip" for name in names.files)
    if "labels.csv" in files:
        return clips or any(name.lower() == "videos" for name in names.folders)
    return "metadata.json" in files and (clips or _is_part(folder.name))


def _add_parts(census: LayoutCensus) -> None:
    """Add the folders of parts, or the root if it is a part."""
    root = census.root
    if file_named(root, "labels.csv") is not None:
        return  # test release, whose metadata.json holds augmentations instead of labels
    if file_named(root, "metadata.json") is not None:
        named = _add_part(census, root)
        _count(census, root, (named[0], named[1]))
        return
    parts: dict[int, Path] = {}
    for place in (root, *children(root, "train")):
        for name in list_folder(place).folders:
            if match := _PART.fullmatch(name.lower()):
                folder = place / name
                inner = [
                    n for n in list_folder(folder).folders if _is_part(n)
                ]  # zips hold a folder
                parts[int(match[1])] = folder / inner[0] if inner else folder
    for number in sorted(parts):
        _add_part(census, parts[number])
    if parts:
        census.counts.append(ItemCount("parts", len(parts), _PARTS))
        _count(census, root, _WHOLE)
        missing = sorted(set(range(_PARTS)) - set(parts))
        if missing:
            census.note(f"parts not here: {_ranges(missing)}")


def _count(census: LayoutCensus, folder: Path, whole: tuple[int, int]) -> None:
    for label, name in enumerate(CLASSES):
        inside = [i for i in census.items if i.paths[0].is_relative_to(folder) and i.label == label]
        census.counts.append(ItemCount(name, len(inside), whole[label]))


def _add_part(census: LayoutCensus, folder: Path) -> Counter[int]:
    """Add the clips of a part's list, and count them by label."""
    path = file_named(folder, "metadata.json")
    clips = {clip.stem: clip for clip in census.clips(folder, _LISTS)}
    if path is None:
        census.note(f"{folder.name}: no metadata.json, so its {plural(len(clips), 'clip')} have no "
                    "labels and are not read")  # fmt: skip
        return Counter()
    entries = read_json(path)
    if not isinstance(entries, dict) or not entries:
        raise DatasetError(f"{path}: names no clips: get it again from the set's source")
    ahead = "" if folder == census.root else f"{folder.relative_to(census.root).as_posix()}/"
    missing = 0
    named: Counter[int] = Counter()
    for name in sorted(entries):
        fake, original = _entry(path, name, entries[name])
        named[fake] += 1
        clip = clips.pop(stem(name), None)
        if clip is None:
            missing += 1
            continue
        census.add(
            Item(
                paths=clip.paths,
                label=int(fake),
                name=ahead + clip.stem,
                method=_METHOD if fake else "",
                group=stem(original or name),
                split="train",
                is_clip=clip.is_clip,
                original=stem(original) if fake else "",
            )
        )
    if missing:
        census.note(f"{folder.name}: {missing:,} of the {plural(len(entries), 'clip')} that "
                    "metadata.json names are not here")  # fmt: skip
    for clip in clips.values():
        census.unread(clip.paths[0], "not named in metadata.json, so without a label")
    return named


def _entry(path: Path, name: str, entry: object) -> tuple[bool, str]:
    """Return whether a clip is fake, and its original's name."""
    label = str(entry.get("label", "")).upper() if isinstance(entry, dict) else ""
    if label not in ("REAL", "FAKE") or not isinstance(entry, dict):
        raise DatasetError(f"{path}, {name}: its label {label!r} is neither REAL nor FAKE")
    original = entry.get("original")
    return label == "FAKE", original if isinstance(original, str) else ""


def _add_labelled(census: LayoutCensus, folder: Path) -> None:
    """Add a folder with labels.csv: the test release, or the validation release."""
    path = file_named(folder, "labels.csv")
    if path is None:
        return
    labels = _labels(path)
    split = "validation" if folder.name.lower().startswith("val") else "test"
    clips = {clip.stem: clip for clip in census.clips(folder, _LISTS)}
    ahead = "" if folder == census.root else f"{folder.relative_to(census.root).as_posix()}/"
    for name in sorted(labels):
        clip = clips.pop(name, None)
        if clip is not None:
            fake = labels[name]
            method = _METHOD if fake else ""
            census.add(
                Item(clip.paths, fake, ahead + name, method, name, split, None, clip.is_clip)
            )
    for clip in clips.values():
        census.unread(clip.paths[0], "not named in labels.csv, so without a label")
    expected = Counter(labels.values())
    for label, what in enumerate(CLASSES):
        inside = [i for i in census.items if i.split == split and i.label == label]
        census.counts.append(ItemCount(f"{what}, {split}", len(inside), expected[label]))


def _labels(path: Path) -> dict[str, int]:
    """Return labels by clip; 1 = fake here, too."""
    rows = csv.DictReader(read_text(path).splitlines())
    rows.fieldnames = [name.strip().lower() for name in rows.fieldnames or ()]
    if not {"filename", "label"} <= set(rows.fieldnames):
        raise DatasetError(f"{path}: its first line must be filename,label")
    labels = {}
    for row in rows:
        label = (row["label"] or "").strip()
        if label not in ("0", "1"):
            raise DatasetError(f"{path}, line {rows.line_num}: label {label!r} is neither 0 nor 1")
        labels[stem((row["filename"] or "").strip())] = int(label)
    return labels


def _name_originals(census: LayoutCensus) -> None:
    """Replace originals' file names by item names."""
    reals = {item.name.rpartition("/")[2]: item.name for item in census.items if not item.label}
    for n, item in enumerate(census.items):
        if item.original:
            census.items[n] = replace(item, original=reals.get(item.original, ""))


def _ranges(numbers: list[int]) -> str:
    """Format numbers as ranges: ``1–49``, ``3, 7, 12–15``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)
