"""The preview of DFDC: two methods, and one list for all.

Dolhansky et al., "The Deepfake Detection Challenge (DFDC) Preview Dataset" (2019)::

    original_videos/1038039/1038039_A_001.mp4
    method_A/1038039/1038039_1102394_A_1_001.mp4     method_B/…
    dataset.json  {"method_A/…mp4": {"label": "fake", "set": "train", "augmentations": [],
                                     "target_id": "1038039", "swapped_id": "1102394"}, …}

``set`` is ``train`` or ``test``. The group is the person who is seen, ``target_id``; the donor is
``swapped_id``.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mesoscope.data.layouts.folders import (
    Listing,
    children,
    file_named,
    kind,
    read_json,
    stem,
    walk_folders,
)
from mesoscope.data.layouts.item import Item, ItemCount
from mesoscope.errors import DatasetError
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.data.layouts.item import LayoutCensus

_FOLDERS = ("original_videos", "method_a", "method_b")
_SETS = {"train": "train", "test": "test", "validation": "validation", "val": "validation"}
_LABELS = {"real": 0, "fake": 1}


def is_preview(names: Listing) -> bool:
    """Whether a folder with these names is the preview's root."""
    return any(n.lower() == "dataset.json" for n in names.files) and any(
        n.lower() in _FOLDERS for n in names.folders
    )


def add_preview(census: LayoutCensus) -> None:
    """Read the preview into a census.

    Raises:
        DatasetError: Its list is missing or damaged.
    """
    path = file_named(census.root, "dataset.json")
    entries = read_json(path) if path else None
    if not isinstance(entries, dict) or not entries:
        raise DatasetError(f"{census.root}: dataset.json names no clips: get it again")
    here = _files(census)
    expected: Counter[tuple[int, str]] = Counter()
    for name in sorted(entries):
        label, split, target, swapped = _entry(f"{path}, {name}", entries[name])
        expected[label, split] += 1
        file = here.pop(name.lower(), None)
        if file is None:
            continue
        folder, _, rest = name.partition("/")
        person = target or rest.partition("/")[0] or stem(name)
        census.add(
            Item(
                paths=(file,),
                label=label,
                name=stem(name),
                method=folder if label else "",
                group=f"person_{person}",
                split=split,
                is_clip=True,
                original=_original(rest, person, swapped) if label else "",
                person=f"person_{person}",
                donor=f"person_{swapped}" if label and swapped else "",
            )
        )
    for file in here.values():
        census.unread(file, "not named in dataset.json, so without a label")
    for (label, split), number in sorted(expected.items()):
        found = sum(1 for i in census.items if (i.label, i.split) == (label, split))
        census.counts.append(ItemCount(f"{CLASSES[label]}, {split}", found, number))


def _files(census: LayoutCensus) -> dict[str, Path]:
    """Return clips by lower-case path from the root."""
    here = {}
    for folder in children(census.root, *_FOLDERS):
        for relative, listing in walk_folders(folder):
            for name in listing.files:
                file = folder / relative / name
                if kind(name) == "clip":
                    here[file.relative_to(census.root).as_posix().lower()] = file
                else:
                    census.unread(file)
    return here


def _entry(where: str, entry: object) -> tuple[int, str, str, str]:
    if not isinstance(entry, dict):
        raise DatasetError(f"{where}: is no entry with label and set")
    label, split = str(entry.get("label", "")).lower(), str(entry.get("set", "")).lower()
    if label not in _LABELS or split not in _SETS:
        raise DatasetError(f"{where}: label {label!r} and set {split!r} are not of the preview")
    target, swapped = (str(entry.get(key) or "") for key in ("target_id", "swapped_id"))
    return _LABELS[label], _SETS[split], target, swapped


def _original(rest: str, target: str, swapped: str) -> str:
    """Return the clip of the target with the same last parts; the census drops it if missing."""
    name = stem(rest.rpartition("/")[2])
    return f"original_videos/{target}/{name.replace(f'_{swapped}_', '_', 1)}"
