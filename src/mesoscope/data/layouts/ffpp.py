"""FaceForensics++ with DeepFakeDetection and FaceShifter, in every compression.

Rössler et al., "FaceForensics++: Learning to Detect Manipulated Facial Images" (ICCV 2019), and the
data set's page in the authors' repository; DeepFakeDetection (DFD) by Google and Jigsaw (2019);
FaceShifter by Li et al. (2020), made for this set. The download script writes::

    original_sequences/youtube/{raw,c23,c40}/videos/000.mp4            1,000
    original_sequences/actors/{…}/videos/01__hugging_happy.mp4         363, DFD: <actor>__<scene>
    manipulated_sequences/METHOD/{…}/videos/<target>_<source>.mp4      1,000 a method
    manipulated_sequences/DeepFakeDetection/{…}/videos/01_02__hugging_happy__YVGY8LOK.mp4   3,068
    manipulated_sequences/METHOD/masks/videos/<name>.mp4               none for FaceShifter
    train.json  val.json  test.json                                    360, 70 and 70 pairs

The copy at Kaggle lies flat: ``FaceForensics++_C23/{original,Deepfakes,…}/*.mp4``, without lists.
Frames stand in ``images/NAME/`` (the authors' script) or ``frames/NAME/`` in place of
``videos/``. c0 is another name of raw, hq of c23, lq of c40. A split's list is pairs of numbers:
of ``["071", "054"]`` the reals 071 and 054 and the fakes 071_054 and 054_071 of every method belong
there, and are one group. DFD has no official split: its group is the actor who is seen; whose face
was put in is the ``donor``. One compression is read, so that none tells the class.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.data.layouts.ffpp_lists import OfficialPairs, read_pairs
from mesoscope.data.layouts.folders import (
    children,
    has_folder,
    kind,
    list_folder,
    stem,
)
from mesoscope.data.layouts.item import Item, ItemCount, LayoutCensus, Reading
from mesoscope.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.data.layouts.item import ClipEntry

QUALITIES = {"raw": "raw", "c0": "raw", "c23": "c23", "hq": "c23", "c40": "c40", "lq": "c40"}
_DEFAULT = ("c23", "raw", "c40")
_EXPECTED = {"youtube": 1000, "Deepfakes": 1000, "Face2Face": 1000, "FaceSwap": 1000,
             "NeuralTextures": 1000, "FaceShifter": 1000, "actors": 363,
             "DeepFakeDetection": 3068}  # fmt: skip
_METHODS = {name.lower(): name for name in _EXPECTED}
_REALS = ("youtube", "actors")
_FLAT_REAL = "original"
_REAL = re.compile(r"(\d{3})")
_FAKE = re.compile(r"(\d{3})_(\d{3})")
_ACTOR = re.compile(r"(\d{2})__(.+)")
_SWAPPED = re.compile(r"(\d{2})_(\d{2})__(.+)__\w+")


class _Part(NamedTuple):
    """Clips of one method, or of one kind of reals.

    Attributes:
        method: A key of ``_EXPECTED``, or the name of an unknown folder.
        folder: Its folder.
        qualities: Folders by compression.
    """

    method: str
    folder: Path
    qualities: dict[str, Path]

    @property
    def label(self) -> int:
        return int(self.method not in _REALS)


class FaceForensics:
    """The reader of FaceForensics++."""

    name = "ffpp"
    title = "FaceForensics++"
    terms = (
        "Research use under the FaceForensics terms, which are signed to get it; not to be shared."
    )
    looks_for = "original_sequences/ and manipulated_sequences/, or original/ and Deepfakes/"
    qualities: tuple[str, ...] = _DEFAULT

    def is_root(self, folder: Path) -> bool:
        """Whether it holds either of the two folders, or the reals beside a method."""
        return has_folder(folder, "original_sequences", "manipulated_sequences") or (
            has_folder(folder, _FLAT_REAL) and has_folder(folder, *_METHODS.keys() - set(_REALS))
        )

    def is_part(self, name: str) -> bool:
        """Whether the name is one of the two folders, or a folder of a flat copy."""
        return name in ("original_sequences", "manipulated_sequences", _FLAT_REAL) or (
            name in _METHODS and name not in _REALS
        )

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set, as in :class:`Layout`."""
        census = LayoutCensus(self, root)
        parts = _parts(root)
        chosen = _choose(census, parts, quality)
        found = [
            (part, census.clips(part.qualities[chosen]) if chosen in part.qualities else [])
            for part in parts
        ]
        swaps = [
            m.groups()
            for part, clips in found
            if part.label and part.method != "DeepFakeDetection"
            for m in map(_FAKE.fullmatch, (c.stem for c in clips))
            if m
        ]
        pairs = read_pairs(census, swaps)
        reals: dict[str, str] = {}
        for part, clips in found:
            masks = _masks(part)
            for clip in clips:
                item = _item(census, part, clip, pairs, chosen)
                if item is None:
                    continue
                if part.label:
                    mask, original = masks.get(clip.stem), reals.get(_target(clip.stem), "")
                    item = replace(item, mask=mask, original=original)
                else:
                    reals[clip.stem] = item.name
                census.add(item)
            _count(census, part, chosen)
        _note_missing(census, parts, chosen)
        return census.reading()


def _parts(root: Path) -> list[_Part]:
    """List parts, reals before fakes, so that their names are known."""
    parts = []
    for folder in children(root, "original_sequences"):
        if _qualities(folder):  # the first release had no folder youtube/ in between
            parts.append(_Part("youtube", folder, _qualities(folder)))
        parts += [_part(place) for place in children(folder, *_REALS)]
    for folder in children(root, "manipulated_sequences"):
        parts += [_part(folder / name) for name in list_folder(folder).folders]
    return parts or _flat_parts(root)


def _flat_parts(root: Path) -> list[_Part]:
    """Parts of copies with the compression in the name: FaceForensics++_C23/Deepfakes/*.mp4."""
    words = re.split("[^a-z0-9]+", root.name.lower())
    quality = next((QUALITIES[word] for word in words if word in QUALITIES), _DEFAULT[0])
    names = {_FLAT_REAL: "youtube"} | {name: _METHODS[name] for name in _METHODS}
    folders = [*children(root, _FLAT_REAL), *children(root, *_METHODS.keys() - set(_REALS))]
    return [_Part(names[f.name.lower()], f, {quality: f}) for f in folders]


def _part(folder: Path) -> _Part:
    method = _METHODS.get(folder.name.lower(), folder.name)
    return _Part(method, folder, _qualities(folder))


def _qualities(folder: Path) -> dict[str, Path]:
    return {QUALITIES[p.name.lower()]: p for p in reversed(children(folder, *QUALITIES))}


def _choose(census: LayoutCensus, parts: list[_Part], quality: str | None) -> str:
    """Choose one compression: the one asked for, else c23, else the only one."""
    here = {q for part in parts for q in part.qualities}
    if not here:
        raise DatasetError(
            f"{census.root}: no compression of FaceForensics++ found: looked for "
            "original_sequences/youtube/c23/ and manipulated_sequences/Deepfakes/c23/ and the like"
        )
    qualities_text = ", ".join(q for q in _DEFAULT if q in here)
    if quality is not None:
        chosen = QUALITIES.get(quality.lower())
        if chosen is None:
            raise DatasetError(f"{quality!r} is no compression of FaceForensics++: raw, c23 or c40")
        if chosen not in here:
            raise DatasetError(f"{census.root}: {chosen} is not here: name one of {qualities_text}")
        return chosen
    chosen = next(q for q in _DEFAULT if q in here)
    if len(here) > 1:
        census.note(
            f"{chosen} is read, of {qualities_text}: one compression, so that none tells the class"
        )
    elif chosen != _DEFAULT[0]:
        census.note(f"{chosen} is read, as {_DEFAULT[0]} is not here")
    return chosen


def _item(
    census: LayoutCensus, part: _Part, clip: ClipEntry, pairs: OfficialPairs, chosen: str
) -> Item | None:
    is_dfd = part.method in ("actors", "DeepFakeDetection")
    pattern = (_ACTOR, _SWAPPED)[part.label] if is_dfd else (_REAL, _FAKE)[part.label]
    match = pattern.fullmatch(clip.stem)
    if match is None:
        census.unread(clip.paths[0], f"not named as clips of {part.method}")
        return None
    relative = part.qualities[chosen].relative_to(census.root).as_posix()
    actor = f"actor_{match[1]}" if is_dfd else ""
    group, split = (actor, None) if is_dfd else pairs.of(*match.groups())
    return Item(
        paths=clip.paths,
        label=part.label,
        name=f"{relative}/{clip.stem}",
        method=part.method if part.label else "",
        group=group,
        split=split,
        is_clip=clip.is_clip,
        person=actor,
        donor=f"actor_{match[2]}" if is_dfd and part.label else "",
    )


def _target(name: str) -> str:
    """Return its real clip's name: 071 of 071_054, 01__walk of 01_02__walk__YVGY8LOK."""
    match = _SWAPPED.fullmatch(name)
    return f"{match[1]}__{match[3]}" if match else name.partition("_")[0]


def _masks(part: _Part) -> dict[str, Path]:
    """Return clips of masks by the name of their fake."""
    folders = children(part.folder, "masks") if part.label else []
    return {
        stem(name): place / name
        for folder in folders
        for place in (folder, *children(folder, "videos"))
        for name in list_folder(place).files
        if kind(name)
    }


def _count(census: LayoutCensus, part: _Part, chosen: str) -> None:
    found = sum(1 for i in census.items if i.paths[0].is_relative_to(part.folder))
    census.counts.append(
        ItemCount(f"{_shown_method(part.method)}, {chosen}", found, _EXPECTED.get(part.method))
    )


def _shown_method(method: str) -> str:
    return f"real ({method})" if method in _REALS else method


def _note_missing(census: LayoutCensus, parts: list[_Part], chosen: str) -> None:
    here = {part.method for part in parts}
    missing = [name for name in _EXPECTED if name not in here]
    for name in missing:
        census.counts.append(ItemCount(f"{_shown_method(name)}, {chosen}", 0, _EXPECTED[name]))
    order = [f"{_shown_method(name)}, {chosen}" for name in _EXPECTED]
    census.counts.sort(key=lambda c: order.index(c.what) if c.what in order else len(order))
    if missing:
        census.note(f"not here: {', '.join(map(_shown_method, missing))}")
    for part in parts:
        if chosen not in part.qualities:
            qualities_text = ", ".join(part.qualities) or "no compression"
            census.note(
                f"{_shown_method(part.method)} is not here in {chosen}, but in {qualities_text}"
            )
        elif part.method not in _EXPECTED:
            census.note(f"{part.method} is no method of the set: read as fakes, by their names")
