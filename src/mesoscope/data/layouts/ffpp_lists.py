"""The official splits of FaceForensics++: pairs of clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.data.layouts.folders import children, file_named, read_json
from mesoscope.data.layouts.item import first_names
from mesoscope.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mesoscope.data.layouts.item import LayoutCensus

_LISTS = {"train.json": "train", "val.json": "validation", "test.json": "test"}
_LENGTHS = {"train": 360, "validation": 70, "test": 70}


@dataclass(frozen=True, slots=True)
class OfficialPairs:
    """Groups and splits of clips by the official lists.

    Attributes:
        groups: By a clip's number, such as ``054_071`` for 071.
        splits: By a clip's number; empty without lists.
    """

    groups: dict[str, str]
    splits: dict[str, str]

    def of(self, target: str, source: str = "") -> tuple[str, str | None]:
        """Return group and split of a real clip, or of the fake of two."""
        split = self.splits.get(target)
        if source and self.splits.get(source) != split:
            split = None
        return self.groups.get(target, target), split


def read_pairs(census: LayoutCensus, swaps: Iterable[tuple[str, ...]]) -> OfficialPairs:
    """Read the lists, and join groups that fakes connect.

    Args:
        census: Census of the set; records missing lists.
        swaps: Target and source of each fake. A fake of two clips that no list pairs also joins
            their groups, as one face is in both.

    Raises:
        DatasetError: A list is damaged, or a clip is in two lists.
    """
    splits: dict[str, str] = {}
    together: list[tuple[str, ...]] = []
    missing = []
    for name, split in _LISTS.items():
        path = _find(census.root, name)
        if path is None:
            missing.append(name)
            continue
        pairs = _pairs(path)
        if len(pairs) != _LENGTHS[split]:
            census.note(f"{name} holds {len(pairs)} pairs, the official one {_LENGTHS[split]}")
        for pair in pairs:
            for clip in pair:
                if splits.setdefault(clip, split) != split:
                    raise DatasetError(
                        f"{path}: {clip} stands in {splits[clip]} as well: take the lists of the "
                        "FaceForensics repository, dataset/splits/"
                    )
        together += pairs
    if missing:
        census.note(
            f"{first_names(missing)} not here, and what they list has no official split: they lie "
            "in the FaceForensics repository, dataset/splits/, and belong beside "
            "original_sequences/"
        )
    return OfficialPairs(_joined([*together, *swaps]), splits)


def _find(root: Path, name: str) -> Path | None:
    """Find a list at the root, in splits/, or in dataset/splits/ as in the repository."""
    folders = [root, *children(root, "splits")]
    for folder in children(root, "dataset"):
        folders += children(folder, "splits")
    return next((p for f in folders if (p := file_named(f, name))), None)


def _pairs(path: Path) -> list[tuple[str, ...]]:
    listed = read_json(path)
    if not isinstance(listed, list):
        raise DatasetError(f"{path}: holds no list of pairs: take the official one")
    pairs = []
    for number, pair in enumerate(listed, 1):
        if not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_clip, pair))):
            raise DatasetError(
                f'{path}, pair {number}: {str(pair)[:60]!r} is no pair such as ["071", "054"]'
            )
        pairs.append(tuple(str(clip).zfill(3) for clip in pair))
    return pairs


def _is_clip(value: object) -> bool:
    return isinstance(value, str | int) and str(value).isdigit() and len(str(value)) <= 3


def _joined(together: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Return the group of each clip: a connected component, named by its clips."""
    parent: dict[str, str] = {}

    def top(clip: str) -> str:
        parent.setdefault(clip, clip)
        while parent[clip] != clip:
            parent[clip] = parent[parent[clip]]
            clip = parent[clip]
        return clip

    for clips in together:
        for clip in clips[1:]:
            parent[top(clip)] = top(clips[0])
    members: dict[str, list[str]] = {}
    for clip in list(parent):
        members.setdefault(top(clip), []).append(clip)
    return {clip: _name(sorted(clips)) for clips in members.values() for clip in clips}


def _name(clips: list[str]) -> str:
    """Return ``054_071`` for a pair; the first two and the number of the others for more."""
    more = len(clips) - 2
    return "_".join(clips[:2]) + (f"_and_{more}" if more > 0 else "")
