"""Recognise the public set in a folder, and read it."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.data.layouts.celeb_df import CelebDf
from mesoscope.data.layouts.ciplab import Ciplab
from mesoscope.data.layouts.cnndetection import CnnDetection
from mesoscope.data.layouts.dfdc import Dfdc
from mesoscope.data.layouts.faces_140k import Faces140k
from mesoscope.data.layouts.fal import Fal
from mesoscope.data.layouts.ffpp import FaceForensics
from mesoscope.data.layouts.folders import candidate_roots, peek_folder
from mesoscope.data.layouts.item import first_names
from mesoscope.data.layouts.openforensics import OpenForensics
from mesoscope.data.layouts.plain import Plain
from mesoscope.data.layouts.uadfv import Uadfv
from mesoscope.errors import DatasetError

if TYPE_CHECKING:
    from mesoscope.data.layouts.item import Layout, Reading

_READERS: tuple[Layout, ...] = (
    FaceForensics(), CelebDf(), Dfdc(), Uadfv(), Faces140k(), Ciplab(), OpenForensics(),
    CnnDetection(), Fal(), Plain(),
)  # fmt: skip
LAYOUTS: dict[str, Layout] = {reader.name: reader for reader in _READERS}
"""Readers by name, the one that takes any real and fake folders last."""

_ABOVE = 5  # folders above that are checked for a set that contains the folder
_OTHER_NAMES = {
    "ff": "ffpp", "ff++": "ffpp", "faceforensics": "ffpp", "faceforensics++": "ffpp",
    "dfd": "ffpp", "faceshifter": "ffpp", "dfdcp": "dfdc", "dfdc_preview": "dfdc",
    "celebdf": "celeb_df", "celeb_df_v1": "celeb_df", "celeb_df_v2": "celeb_df",
    "140k": "faces_140k", "140k_faces": "faces_140k", "real_vs_fake": "faces_140k",
    "cnnspot": "cnndetection", "folders": "plain",
}  # fmt: skip


def layout_named(name: str) -> Layout:
    """Return the reader of that name, ignoring case, or of an alias.

    Raises:
        DatasetError: The name is unknown; the nearest one is suggested.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    key = _OTHER_NAMES.get(key, key)
    if key in LAYOUTS:
        return LAYOUTS[key]
    near = difflib.get_close_matches(key, LAYOUTS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise DatasetError(f"{name!r} is no set that is read here: {hint}one of {', '.join(LAYOUTS)}")


def recognise(root: Path) -> tuple[Layout, Path]:
    """Recognise the set in a folder.

    A root one or two levels below the folder, or one above, is found. If a specific set and plain
    real and fake folders fit one folder, the specific set wins.

    Args:
        root: Folder of a set.

    Returns:
        The reader, and the set's root.

    Raises:
        DatasetError: The folder is missing, or holds no known set or several.
    """
    _require_folder(root)
    *sets, plain = LAYOUTS.values()
    matches = [(r, place) for r in sets for place in candidate_roots(root, r.is_root, r.is_part)]
    folders = [(plain, p) for p in candidate_roots(root, plain.is_root, plain.is_part)]
    if not matches or (plain.is_root(root) and all(root in p.parents for _, p in matches)):
        matches = folders  # a user's own data set may contain others
    match = _nearest(root, matches)
    if match is not None:
        return match
    _point_above(root, sets)
    looked = "; ".join(f"{r.name}: {r.looks_for}" for r in LAYOUTS.values())
    raise DatasetError(
        f"{root}: holds no set that is known here, but {_contents(root)}: name the set if it is "
        f"one of these. Looked for {looked}"
    )


def read_set(root: Path, layout: str | None = None, quality: str | None = None) -> Reading:
    """List the items of a public set.

    Args:
        root: The set's folder, or one right below or above it.
        layout: Name of a reader, one of :data:`LAYOUTS`; recognised where ``None``.
        quality: A compression, such as ``c23``; the reader's choice, recorded in the notes, where
            ``None``.

    Returns:
        The items and a census of them.

    Raises:
        DatasetError: The set is not recognised or empty, or a list is damaged.
    """
    root = Path(root)
    if layout is None:
        reader, place = recognise(root)
    else:
        reader = layout_named(layout)
        _require_folder(root)
        match = _nearest(
            root, [(reader, p) for p in candidate_roots(root, reader.is_root, reader.is_part)]
        )
        place = match[1] if match else root
    reading = reader.read(place, quality=quality)
    if place == root:
        return reading
    return replace(reading, notes=(f"read from {place}, where the set's root is", *reading.notes))


def _nearest(root: Path, matches: list[tuple[Layout, Path]]) -> tuple[Layout, Path] | None:
    """Return the nearest match; of several in one folder the first reader's."""
    nearest = min((_distance(root, place) for _, place in matches), default=0)
    matches = [m for m in matches if _distance(root, m[1]) == nearest]
    if len({place for _, place in matches}) > 1:
        listed = ", ".join(f"{place} ({reader.name})" for reader, place in matches)
        raise DatasetError(f"{root}: holds several sets: name the folder of one: {listed}")
    return matches[0] if matches else None


def _point_above(root: Path, sets: list[Layout]) -> None:
    """Name the root in the error if a folder deep inside a set was given."""
    part = root.absolute()
    for above in list(part.parents)[:_ABOVE]:
        for reader in sets:
            if reader.is_part(part.name.lower()) and reader.is_root(above):
                raise DatasetError(
                    f"{root}: holds no set by itself, but lies inside what looks like "
                    f"{reader.title}: give {above}"
                )
        part = above


def _require_folder(root: Path) -> None:
    if root.is_dir():
        return
    if root.exists():
        raise DatasetError(f"{root}: is a file: unpack it, and give the folder")
    raise DatasetError(f"{root}: no such folder: give the folder that the set was unpacked into")


def _distance(root: Path, place: Path) -> int:
    """Return the number of levels between; folders above are farther than those below."""
    if place == root:
        return 0
    return len(place.relative_to(root).parts) if place.is_relative_to(root) else 9


def _contents(root: Path) -> str:
    names = peek_folder(root)
    listed = [f"{name}/" for name in sorted(names.folders)] + sorted(names.files)
    return first_names(listed) if listed else "is empty"
