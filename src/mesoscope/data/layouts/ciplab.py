"""Real and Fake Face Detection: faces put together in Photoshop by experts.

By the Computational Intelligence and Photography Lab of Yonsei University (CIPLAB), published at
Kaggle (2019), 600 px::

    real_and_fake_face/training_real/real_00001.jpg      1,081
    real_and_fake_face/training_fake/mid_17_1110.jpg       960: easy 240, mid 480, hard 240

A fake's four digits tell which parts are another person's: left eye, right eye, nose, mouth. That
is the method here, such as ``left eye, right eye, nose``. Easy, mid and hard say how hard people
found it; they are no classes. Kaggle's archive holds the whole set twice, the second time in
``real_and_fake_face_detection/``: one is read. Whose parts were used was not published, and there
is no official split: a group is one picture.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesoscope.data.layouts.folders import (
    children,
    has_folder,
    kind,
    list_folder,
    stem,
)
from mesoscope.data.layouts.item import Item, LayoutCensus, Reading, refuse_quality

if TYPE_CHECKING:
    from pathlib import Path

_FOLDERS = {"training_real": 0, "training_fake": 1}
_EXPECTED = {"easy": 240, "mid": 480, "hard": 240}
_REALS = 1081
_REAL = re.compile(r"real_\d+", re.IGNORECASE)
_FAKE = re.compile(r"(easy|mid|hard)_(\d+)_([01]{4})", re.IGNORECASE)
_PLACES = ("left eye", "right eye", "nose", "mouth")


class Ciplab:
    """The reader of CIPLAB's real and fake faces."""

    name = "ciplab"
    title = "CIPLAB real and fake faces"
    terms = "Research use alone, as its authors ask at Kaggle."
    looks_for = "training_real/ and training_fake/"
    qualities: tuple[str, ...] = ()

    def is_root(self, folder: Path) -> bool:
        """Whether it holds either of the two folders."""
        return has_folder(folder, *_FOLDERS)

    def is_part(self, name: str) -> bool:
        """Whether the name is one of the two folders."""
        return name in _FOLDERS

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set, as in :class:`Layout`."""
        refuse_quality(self, quality)
        census = LayoutCensus(self, root)
        for folder in children(root, *_FOLDERS):
            label = _FOLDERS[folder.name.lower()]
            for name in list_folder(folder).files:
                _add(census, folder, name, label)
        census.count("real", _REALS, lambda i: not i.label)
        census.count("fake", sum(_EXPECTED.values()), lambda i: bool(i.label))
        for level, expected in _EXPECTED.items():
            census.count(
                f"fake, {level}",
                expected,
                lambda i, w=f"{level}_": bool(i.label) and i.group.lower().startswith(w),  # type: ignore[misc]
            )
        return census.reading()


def _add(census: LayoutCensus, folder: Path, name: str, label: int) -> None:
    path = folder / name
    fake = _FAKE.fullmatch(stem(name))
    if kind(name) != "picture":
        census.unread(path, "no pictures")
    elif (_REAL.fullmatch(stem(name)) and label) or (fake and not label):
        census.unread(path, "named as the other class is")
    else:
        whole = f"{folder.name}/{stem(name)}"
        method = _method(fake[3] if fake else "") if label else ""
        census.add(Item((path,), label, whole, method, stem(name), None))


def _method(digits: str) -> str:
    """Return the parts that digits such as ``1110`` name."""
    edited = [place for place, digit in zip(_PLACES, digits, strict=False) if digit == "1"]
    return ", ".join(edited) or "composite"
