"""Trees in the style of CNNDetection: a folder a generator, with ``0_real`` and ``1_fake``.

Wang et al., "CNN-Generated Images Are Surprisingly Easy to Spot... for Now" (CVPR 2020), and many
sets since::

    ROOT/progan/cat/{0_real,1_fake}/*.png               by generator and class
    ROOT/biggan/{0_real,1_fake}/*.png                   by generator
    ROOT/{train,val,test}/…/{0_real,1_fake}/*.png       splits above them

Folders such as ``progan_train`` and ``CNN_synth_testset`` name a split, too, also as the root. The
first folder below the root, or below a split, is the method. Some generators changed a real
picture, which then has the fake's name: a group is all of one name below a generator's class, and
that may also join what is named alike by chance, which costs nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesoscope.data.layouts.folders import has_folder, list_folder, peek_folder
from mesoscope.data.layouts.item import Item, LayoutCensus, Reading, refuse_quality
from mesoscope.data.sample import SPLIT_NAMES
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CLASSES = {"0_real": 0, "1_fake": 1}
_DEEP = 3  # split, generator and class may lie above 0_real
_PEEK = 40  # folders checked on each level
_SPLIT = re.compile(r"(?:.*_)?(train|val|valid|validation|test)(?:set)?")  # progan_train, valset


class CnnDetection:
    """The reader of trees in the style of CNNDetection."""

    name = "cnndetection"
    title = "CNNDetection-style tree"
    terms = "Of each generator's data set; CNNDetection itself is CC BY-NC-SA 4.0."
    looks_for = "0_real/ and 1_fake/, by generator and class"
    qualities: tuple[str, ...] = ()

    def is_root(self, folder: Path) -> bool:
        """Whether it holds the two folders, at most three levels below."""
        return _holds(folder, _DEEP)

    def is_part(self, name: str) -> bool:
        """Whether the name is one of the two folders."""
        return name in _CLASSES

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set, as in :class:`Layout`."""
        refuse_quality(self, quality)
        census = LayoutCensus(self, root)
        for way, folder in _class_folders(root, (), _DEEP):
            _add(census, way, folder)
        methods = dict.fromkeys(i.name.rpartition("/")[0] for i in census.items)
        generators = dict.fromkeys(_place(tuple(m.split("/")[:-1]), root)[1] for m in methods)
        for generator in generators:
            for label, name in enumerate(CLASSES):
                census.count(
                    f"{name}, {generator}",
                    None,
                    lambda i, g=generator, y=label: i.label == y and i.group.startswith(f"{g}/"),  # type: ignore[misc]
                )
        return census.reading()


def _holds(folder: Path, deep: int) -> bool:
    if has_folder(folder, *_CLASSES):
        return True
    folders = peek_folder(folder).folders[:_PEEK] if deep else ()
    return any(_holds(folder / name, deep - 1) for name in folders)


def _class_folders(
    folder: Path, way: tuple[str, ...], deep: int
) -> Iterator[tuple[tuple[str, ...], Path]]:
    """Yield all ``0_real`` and ``1_fake``, with the names of the folders above them."""
    for name in list_folder(folder).folders:
        if name.lower() in _CLASSES:
            yield way, folder / name
        elif deep > 0:
            yield from _class_folders(folder / name, (*way, name), deep - 1)


def _place(way: tuple[str, ...], root: Path) -> tuple[str | None, str, str]:
    """Return split, generator, and the path of the class below it."""
    match = _SPLIT.fullmatch(root.name.lower())
    if way and (inner := _SPLIT.fullmatch(way[0].lower())):
        match, way = inner, way[1:]
    split = SPLIT_NAMES[match[1]] if match else None
    generator = way[0] if way else root.name or "generator"
    return split, generator, "/".join(way[1:])


def _add(census: LayoutCensus, way: tuple[str, ...], folder: Path) -> None:
    split, generator, inner = _place(way, census.root)
    label = _CLASSES[folder.name.lower()]
    relative = folder.relative_to(census.root).as_posix()
    ahead = "/".join(filter(None, (generator, split, inner)))
    for name, path in census.pictures(folder):
        method = generator if label else ""
        census.add(Item((path,), label, f"{relative}/{name}", method, f"{ahead}/{name}", split))
