"""UADFV: 49 clips of the web and 49 face swaps made from them.

Published with Yang, Li, Lyu, "Exposing Deep Fakes Using Inconsistent Head Poses" (ICASSP 2019)
and used in Li, Chang, Lyu, "In Ictu Oculi" (WIFS 2018); the swaps were made with the app FakeApp::

    UADFV/real/0000.mp4            UADFV/fake/0000_fake.mp4
    UADFV/real/frames/0000/*.png   UADFV/fake/frames/0000_fake/*.png    also without frames/

There is no official split. A fake and the clip that it was made from share a number, and that is
the group. Copies that lack ``_fake`` in the name are read, too; ``_fake`` among the reals is a
mixed-up copy, and such files are left out and named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesoscope.data.layouts.folders import children, has_folder, peek_folder, stem
from mesoscope.data.layouts.item import Item, ItemCount, LayoutCensus, Reading, refuse_quality
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from pathlib import Path

_PAIRS = 49
_NAME = re.compile(r"(\d{4})(_fake)?", re.IGNORECASE)
_METHOD = "FakeApp"


class Uadfv:
    """The reader of UADFV."""

    name = "uadfv"
    title = "UADFV"
    terms = "Research use, as its authors ask; the clips are of the web, and their makers' own."
    looks_for = "real/0000.mp4 and fake/0000_fake.mp4, or folders of frames of these names"
    qualities: tuple[str, ...] = ()

    def is_root(self, folder: Path) -> bool:
        """Whether it is a folder of that name, or holds fakes with such names."""
        if folder.name.lower() == "uadfv" and has_folder(folder, "real", "fake"):
            return True
        return has_folder(folder, "fake") and any(map(_has_fakes, children(folder, "fake")))

    def is_part(self, name: str) -> bool:
        """Whether the name is a folder of a class."""
        return name in ("real", "fake")

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set, as in :class:`Layout`."""
        refuse_quality(self, quality)
        census = LayoutCensus(self, root)
        reals: dict[str, str] = {}
        for label, wanted in enumerate(CLASSES):
            for folder in children(root, wanted):
                for clip in census.clips(folder):
                    match = _NAME.fullmatch(clip.stem)
                    if match is None or (match[2] and not label):
                        census.unread(clip.paths[0], f"not named as a {wanted} clip of the set")
                        continue
                    name = f"{folder.name}/{clip.stem}"
                    if not label:
                        reals.setdefault(match[1], name)
                    census.add(
                        Item(
                            paths=clip.paths,
                            label=label,
                            name=name,
                            method=_METHOD if label else "",
                            group=match[1],
                            split=None,
                            is_clip=clip.is_clip,
                            original=reals.get(match[1], "") if label else "",
                        )
                    )
        census.count("real", _PAIRS, lambda item: not item.label)
        census.count("fake", _PAIRS, lambda item: bool(item.label))
        both = {i.group for i in census.items if i.label} & {
            i.group for i in census.items if not i.label
        }
        census.counts.append(ItemCount("pairs of both", len(both), _PAIRS))
        return census.reading()


def _has_fakes(folder: Path) -> bool:
    names = peek_folder(folder)
    if any(name.lower() == "frames" for name in names.folders):
        return any(_fake(n) for f in children(folder, "frames") for n in peek_folder(f).folders)
    if any(name.lower() == "videos" for name in names.folders):
        return any(_fake(stem(n)) for f in children(folder, "videos") for n in peek_folder(f).files)
    return any(map(_fake, names.folders)) or any(_fake(stem(name)) for name in names.files)


def _fake(name: str) -> bool:
    match = _NAME.fullmatch(name)
    return match is not None and match[2] is not None
