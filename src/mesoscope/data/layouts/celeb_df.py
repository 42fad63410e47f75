"""Celeb-DF, versions 1 and 2: interviews of celebrities, and face swaps between them.

Li et al., "Celeb-DF: A Large-scale Challenging Dataset for DeepFake Forensics" (CVPR 2020), and the
authors' repository::

    Celeb-DF-v2/Celeb-real/id0_0000.mp4               v1: 158    v2:   590
    Celeb-DF-v2/YouTube-real/00170.mp4                    250          300
    Celeb-DF-v2/Celeb-synthesis/id0_id16_0000.mp4         795        5,639
    List_of_testing_videos.txt   "1 YouTube-real/00170.mp4"   v2: 518 lines, v1: 100

Also with ``videos/`` in between, and as ``frames/NAME/``. ``id0_id16_0000`` was made from
``id0_0000`` with the face of id16. **In the list 1 is real and 0 is fake**, the other way round
than here; it has no header, so that its first line is a clip; and ``YouTube-real`` is written in
whatever case. The folders tell the labels, and lines that disagree are counted.

Train is what is not in the list. The group is the recording (``id0_0000`` and all fakes of it),
since the list takes recordings apart: it names some fakes of a recording and not the others. Those
others have no split here. The list also takes nearly all persons into test, so no train set of it
is free of their faces; ``person`` and ``donor`` let splits made anew keep persons apart.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesoscope.data.layouts.folders import (
    children,
    file_named,
    has_folder,
    read_text,
    stem,
)
from mesoscope.data.layouts.item import Item, LayoutCensus, Reading, refuse_quality
from mesoscope.errors import DatasetError
from mesoscope.types.label import plural

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.data.layouts.item import ClipEntry

_LIST = "list_of_testing_videos.txt"
_CLASSES = {"celeb-real": 0, "youtube-real": 0, "celeb-synthesis": 1}
_TITLES = {"celeb-real": "Celeb-real", "youtube-real": "YouTube-real",
           "celeb-synthesis": "Celeb-synthesis"}  # fmt: skip
_EXPECTED = {1: (158, 250, 795), 2: (590, 300, 5639)}
_LISTED = {1: 100, 2: 518}
_FAKES_V1 = 795
_METHOD = "Celeb-synthesis"
_NAMES = {
    "celeb-real": re.compile(r"(id\d+)_(\d+)"),
    "youtube-real": re.compile(r"(\d+)"),
    "celeb-synthesis": re.compile(r"(id\d+)_(id\d+)_(\d+)"),
}


class CelebDf:
    """The reader of Celeb-DF."""

    name = "celeb_df"
    title = "Celeb-DF"
    terms = "Research use under the authors' terms, which are signed to get it; not to be shared."
    looks_for = "Celeb-real/, YouTube-real/ and Celeb-synthesis/"
    qualities: tuple[str, ...] = ()

    def is_root(self, folder: Path) -> bool:
        """Whether it holds any of the three folders."""
        return has_folder(folder, *_CLASSES)

    def is_part(self, name: str) -> bool:
        """Whether the name is one of the three folders."""
        return name in _CLASSES

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set, as in :class:`Layout`."""
        refuse_quality(self, quality)
        path = file_named(root, _LIST)
        listed = _read_list(path) if path else {}
        census = LayoutCensus(self, root)
        reals: dict[str, str] = {}
        for folder in sorted(children(root, *_CLASSES), key=lambda f: _CLASSES[f.name.lower()]):
            for clip in census.clips(folder):
                _add(census, folder, clip, listed, reals)
        version = _version(root, len(listed), sum(i.label for i in census.items))
        census.title = f"Celeb-DF v{version}"
        for name, expected in zip(_CLASSES, _EXPECTED[version], strict=True):
            census.count(_TITLES[name], expected, lambda i, n=name: _class_of(i) == n)  # type: ignore[misc]
        if path is None:
            census.note("List_of_testing_videos.txt is not here, so there is no official split: it "
                        "comes with the set and belongs beside Celeb-real/")  # fmt: skip
        else:
            _note_list(census, listed, _LISTED[version])
        return census.reading()


def _add(
    census: LayoutCensus,
    folder: Path,
    clip: ClipEntry,
    listed: dict[str, int],
    reals: dict[str, str],
) -> None:
    kind = folder.name.lower()
    match = _NAMES[kind].fullmatch(clip.stem)
    if match is None:
        census.unread(clip.paths[0], f"not named as clips of {_TITLES[kind]}")
        return
    label = _CLASSES[kind]
    recording = f"{match[1]}_{match[3]}" if label else clip.stem
    name = f"{folder.name}/{clip.stem}"
    if kind == "celeb-real":
        reals[recording] = name
    in_list = f"{kind}/{clip.stem.lower()}" in listed
    census.add(
        Item(
            paths=clip.paths,
            label=label,
            name=name,
            method=_METHOD if label else "",
            group=f"youtube_{recording}" if kind == "youtube-real" else recording,
            split=("test" if in_list else "train") if listed else None,
            is_clip=clip.is_clip,
            original=reals.get(recording, "") if label else "",
            person="" if kind == "youtube-real" else match[1],
            donor=match[2] if label else "",
        )
    )


def _class_of(item: Item) -> str:
    return item.name.partition("/")[0].lower()


def _read_list(path: Path) -> dict[str, int]:
    """Return the listed clips with the list's labels, 1 = real, by lower-case path."""
    listed = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        label, _, name = line.strip().partition(" ")
        parts = name.strip().replace("\\", "/").lower().split("/")
        if label not in ("0", "1") or len(parts) < 2 or parts[-2:][0] == "":
            raise DatasetError(
                f"{path}, line {number}: {line.strip()[:60]!r} is no line such as "
                '"1 YouTube-real/00170.mp4"'
            )
        folder = next((p for p in parts if p in _CLASSES), parts[0])
        listed[f"{folder}/{stem(parts[-1])}"] = int(label)
    if not listed:
        raise DatasetError(f"{path}: is empty: get it again from the set's source")
    return listed


def _version(root: Path, listed: int, fakes: int) -> int:
    """Return the version by the folder's name, else by contents of the second version only."""
    name = root.name.lower()
    if name.endswith(("v1", "v2")):
        return int(name[-1])
    return 1 if fakes <= _FAKES_V1 and 0 < listed <= _LISTED[1] else 2


def _note_list(census: LayoutCensus, listed: dict[str, int], expected: int) -> None:
    here = {f"{_class_of(i)}/{i.name.rpartition('/')[2].lower()}" for i in census.items}
    missing = len(listed.keys() - here)
    if len(listed) != expected:
        census.note(
            f"the test list names {plural(len(listed), 'clip')}, the official one {expected}"
        )
    if missing:
        census.note(f"{missing} of the {plural(len(listed), 'clip')} of the test list are not here")
    # 1 is real in the list: a label that equals the folder's means the other class.
    wrong = sum(
        1 for name, label in listed.items() if label == _CLASSES.get(name.partition("/")[0])
    )
    if wrong:
        census.note(f"the test list gives {plural(wrong, 'clip')} another label than its folder "
                    "does (1 is real there): the folder is believed")  # fmt: skip
