"""140k real and fake faces: photographs of FFHQ against faces made by StyleGAN.

Published at Kaggle as "140k Real and Fake Faces" (2020); the photographs are of Karras et al., "A
Style-Based Generator Architecture for Generative Adversarial Networks" (CVPR 2019), brought to
256 px, the fakes of Bojan Tunguz's "1 Million Fake Faces"::

    real_vs_fake/real-vs-fake/{train,valid,test}/{real,fake}/*.jpg     100,000  20,000  20,000

Half of each split is fake. A real is named by its number in FFHQ (``00001.jpg``), a fake by ten
letters and digits (``0A0IAK9X2W.jpg``): **the file names alone tell the class**, so nothing must
learn from them. The lists ``train.csv``, ``valid.csv`` and ``test.csv`` beside it say **1 = real**,
the other way round than here; they are not needed and not read. A group is one picture.
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

_EXPECTED = {"train": 50_000, "validation": 10_000, "test": 10_000}  # of each class
_NAMES = (re.compile(r"\d{5}"), re.compile(r"(?=.*[A-Z])[0-9A-Z]{10}"))
_METHOD = "StyleGAN"


class Faces140k:
    """The reader of 140k real and fake faces."""

    name = "faces_140k"
    title = "140k real and fake faces"
    terms = "FFHQ's photographs are CC BY-NC-SA 4.0: no commercial use, and its authors are named."
    looks_for = "train/, valid/ and test/ with real/00001.jpg and fake/0A0IAK9X2W.jpg"
    qualities: tuple[str, ...] = ()

    def is_root(self, folder: Path) -> bool:
        """Whether it is a folder of that name, or holds fakes with such names."""
        splits = [folder / n for n in peek_folder(folder).folders if n.lower() in SPLIT_NAMES]
        return bool(splits) and (
            folder.name.lower() == "real-vs-fake" or any(map(_is_split, splits))
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
        census.count_classes({(s, y): n for s, n in _EXPECTED.items() for y in range(2)})
        return census.reading()


def _is_split(folder: Path) -> bool:
    return any(
        _NAMES[1].fullmatch(stem(name)) is not None
        for place in children(folder, "fake")
        for name in peek_folder(place).files
    )


def _add(census: LayoutCensus, place: Path, label: int, split: str) -> None:
    relative = place.relative_to(census.root).as_posix()
    other = CLASSES[1 - label]
    for name in list_folder(place).files:
        if kind(name) != "picture":
            census.unread(place / name, "no pictures")
        elif _NAMES[1 - label].fullmatch(stem(name)):
            census.unread(place / name, f"named as {other} faces of the set are")
        else:
            whole = f"{relative}/{stem(name)}"
            method = _METHOD if label else ""
            census.add(Item((place / name,), label, whole, method, f"{CLASSES[label]}/{stem(name)}",
                            split))  # fmt: skip
