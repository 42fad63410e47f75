"""FAL: faces changed by Photoshop's Face-Aware Liquify, and the same faces before.

Wang et al., "Detecting Photoshopped Faces by Scripting Photoshop" (ICCV 2019); the validation set
that the authors' repository publishes, of photographs of Flickr and Open Images::

    original/*.png       1,000 faces as they were
    modified/*.png       1,000 faces after Liquify
    reference/*.png      the faces of modified/, before

Names are the same in all three, and a group is all of one name: a face and its changed twin never
part. There is no official split, as the training set was not published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.data.layouts.folders import children, peek_folder
from mesoscope.data.layouts.item import Item, LayoutCensus, Reading, refuse_quality

if TYPE_CHECKING:
    from pathlib import Path

_FOLDERS = {"original": 0, "reference": 0, "modified": 1}
_EXPECTED = 1000
_METHOD = "Face-Aware Liquify"


class Fal:
    """The reader of FAL's published set."""

    name = "fal"
    title = "FAL"
    terms = "Research use; the photographs are under the licences that Flickr and Open Images name."
    looks_for = "modified/ beside original/ or reference/"
    qualities: tuple[str, ...] = ()

    def is_root(self, folder: Path) -> bool:
        """Whether it holds ``modified`` and one of the others."""
        names = {name.lower() for name in peek_folder(folder).folders}
        return "modified" in names and bool(names & {"original", "reference"})

    def is_part(self, name: str) -> bool:
        """Whether the name is one of the three folders."""
        return name in _FOLDERS

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set, as in :class:`Layout`."""
        refuse_quality(self, quality)
        census = LayoutCensus(self, root)
        reals: dict[str, str] = {}
        for wanted, label in _FOLDERS.items():
            for folder in children(root, wanted):
                for name, path in census.pictures(folder):
                    whole = f"{folder.name}/{name}"
                    method = _METHOD if label else ""
                    if not label:
                        reals[name] = whole  # of two, the one in reference/ wins
                    twin = reals.get(name, "") if label else ""
                    census.add(Item((path,), label, whole, method, name, None, original=twin))
        for wanted in _FOLDERS:
            census.count(
                wanted,
                _EXPECTED,
                lambda i, w=f"{wanted}/": i.name.lower().startswith(w),  # type: ignore[misc]
            )
        return census.reading()
