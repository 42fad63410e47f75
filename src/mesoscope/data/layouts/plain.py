"""Plain folders: ``real/`` and ``fake/``, with or without folders of splits, pictures or clips.

::

    ROOT/{real,fake}/…                              no split
    ROOT/{train,validation,test}/{real,fake}/…      the project's own layout; also val, valid
    ROOT/manifest.csv                               the project's own, also manifest.parquet;
                                                    of pictures or clips, with splits or without

Folder names are compared ignoring case, and ``reals`` and ``fakes`` are accepted. Files may lie in
subfolders of their class. Identities are unknown, so a group is a file, together with its namesake
of the other class (``real/07.png``, ``fake/07.png``); files of a folder below a class are one
group, since they are mostly frames of one clip.
"""

from __future__ import annotations

from pathlib import Path

from mesoscope.data.layouts.folders import (
    children,
    has_folder,
    kind,
    kind_at,
    list_folder,
    peek_folder,
    stem,
    walk_folders,
)
from mesoscope.data.layouts.item import Item, LayoutCensus, Reading, refuse_quality
from mesoscope.data.manifest import MANIFESTS, read_dataset
from mesoscope.data.sample import SPLIT_NAMES, SPLITS
from mesoscope.types.label import CLASSES, plural

_CLASSES = {"real": 0, "reals": 0, "fake": 1, "fakes": 1}
_METHOD = "fake"


class Plain:
    """The reader of plain folders."""

    name = "plain"
    title = "real and fake folders"
    terms = "Yours to know: nothing here says where the files come from."
    looks_for = "real/ and fake/, the same in train/, validation/ and test/, or manifest.csv"
    qualities: tuple[str, ...] = ()

    def is_root(self, folder: Path) -> bool:
        """Whether it holds a manifest, or a class folder, here or in a split."""
        names = peek_folder(folder)
        if not set(MANIFESTS).isdisjoint(names.files) or has_folder(folder, *_CLASSES):
            return True
        return any(
            n.lower() in SPLIT_NAMES and has_folder(folder / n, *_CLASSES) for n in names.folders
        )

    def is_part(self, name: str) -> bool:
        """Whether the name is a class or a split."""
        return name in _CLASSES or name in SPLIT_NAMES

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set, as in :class:`Layout`."""
        refuse_quality(self, quality)
        census = LayoutCensus(self, root)
        if any((root / name).is_file() for name in MANIFESTS):
            _add_manifest(census)
        else:
            _add_folders(census)
        for split in (*SPLITS, None):
            if not any(item.split == split for item in census.items):
                continue
            for label, name in enumerate(CLASSES):
                what = f"{name}, {split}" if split else name
                census.count(what, None, lambda i, s=split, y=label: i.split == s and i.label == y)  # type: ignore[misc]
        return census.reading()


def _add_manifest(census: LayoutCensus) -> None:
    for sample in read_dataset(census.root, clips=True):
        if sample.shard:
            census.unread(Path(sample.shard), "pictures in shards, which are prepared already")
            continue
        path = sample.path.relative_to(census.root).as_posix()
        census.add(
            Item(
                paths=(sample.path,),
                label=sample.label,
                name=stem(path),
                method=(sample.method or sample.source) if sample.label else "",
                group=sample.group,
                split=sample.split or None,
                is_clip=kind(path) == "clip",
                source=sample.source,
            )
        )


def _add_folders(census: LayoutCensus) -> None:
    root = census.root
    _add_classes(census, root, None)
    for name in list_folder(root).folders:
        if name.lower() in SPLIT_NAMES:
            _add_classes(census, root / name, SPLIT_NAMES[name.lower()])
        elif name.lower() not in _CLASSES:
            census.unread(root / name, "folders that are neither a class nor a split")
    for name in list_folder(root).files:
        if kind(name):
            census.unread(root / name, "outside real/ and fake/")
    shared = sum(1 for i in census.items if i.group.endswith("/"))
    if shared:
        census.note(
            f"{plural(shared, 'file')} lie in folders below their class, and each such folder is "
            "one group: list them in a manifest.csv where they are not of one clip or person"
        )


def _add_classes(census: LayoutCensus, folder: Path, split: str | None) -> None:
    ahead = f"{folder.relative_to(census.root).as_posix()}/" if split else ""
    for place in children(folder, *_CLASSES):
        label = _CLASSES[place.name.lower()]
        for relative, listing in walk_folders(place):
            for name in listing.files:
                what = kind_at(place / relative / name)
                if not what:
                    census.unread(place / relative / name)
                    continue
                inner = f"{relative}/{stem(name)}" if relative else stem(name)
                census.add(
                    Item(
                        paths=(place / relative / name,),
                        label=label,
                        name=f"{ahead}{place.name}/{inner}",
                        method=_METHOD if label else "",
                        group=f"{ahead}{relative}/" if relative else f"{ahead}{stem(name)}",
                        split=split,
                        is_clip=what == "clip",
                    )
                )
