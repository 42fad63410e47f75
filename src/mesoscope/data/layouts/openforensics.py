"""Face crops of OpenForensics, as they are published at Kaggle.

Le et al., "OpenForensics: Large-Scale Challenging Dataset For Multi-Face Forgery Detection And
Segmentation In-The-Wild" (ICCV 2021): swapped faces made by a GAN in photographs of several
people. The crops are the set "Deepfake and real images" at Kaggle, 256 px::

    Dataset/{Train,Validation,Test}/{Real,Fake}/{real,fake}_N.jpg

with about 70,000 of each class in train, 19,700 in validation, 5,400 in test. Which crops come of
one photograph was not published: a group is one picture, and a scene may stand in two splits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesoscope.data.layouts.folders import (
    children,
    kind,
    list_folder,
    peek_folder,
    stem,
)
from mesoscope.data.layouts.item import Item, LayoutCensus, Reading, refuse_quality
from mesoscope.data.sample import SPLIT_NAMES
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

_EXPECTED = {
    ("train", 0): 70_001, ("train", 1): 70_001,
    ("validation", 0): 19_787, ("validation", 1): 19_641,
    ("test", 0): 5_413, ("test", 1): 5_492,
}  # fmt: skip
_NAME = re.compile(r"(real|fake)_\d+", re.IGNORECASE)
_METHOD = "OpenForensics"


class OpenForensics:
    """The reader of OpenForensics crops."""

    name = "openforensics"
    title = "OpenForensics crops"
    terms = "Research use, as OpenForensics' terms ask; its photographs are of Google Open Images."
    looks_for = "Train/, Validation/ and Test/ with Real/real_0.jpg and Fake/fake_0.jpg"
    qualities: tuple[str, ...] = ()

    def is_root(self, folder: Path) -> bool:
        """Whether it holds folders of splits whose pictures have such names."""
        return any(
            name.lower() in SPLIT_NAMES and _is_split(folder / name)
            for name in peek_folder(folder).folders
        )

    def is_part(self, name: str) -> bool:
        """Whether the name is a folder of a split."""
        return name in SPLIT_NAMES

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set, as in :class:`Layout`."""
        refuse_quality(self, quality)
        census = LayoutCensus(self, root)
        for place, label, split in census.class_folders():
            _add(census, place, label, split)
        census.count_classes(_EXPECTED)
        census.note("crops of one photograph are not told apart by name: "
                    "the same scene may stand in two splits")  # fmt: skip
        return census.reading()


def _is_split(folder: Path) -> bool:
    return any(
        _NAME.fullmatch(stem(name)) is not None
        for place in children(folder, *CLASSES)
        for name in peek_folder(place).files
    )


def _add(census: LayoutCensus, place: Path, label: int, split: str) -> None:
    relative = place.relative_to(census.root).as_posix()
    for name in list_folder(place).files:
        match = _NAME.fullmatch(stem(name))
        if kind(name) != "picture":
            census.unread(place / name, "no pictures")
        elif match is not None and match[1].lower() != CLASSES[label]:
            census.unread(place / name, f"named {match[1].lower()} among the {CLASSES[label]}")
        else:
            whole = f"{relative}/{stem(name)}"
            census.add(Item((place / name,), label, whole, _METHOD if label else "", whole, split))
