"""Output of layout readers: labelled clips and pictures, and a census of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mesoscope.data.layouts.folders import children, kind, list_folder, stem, walk_folders
from mesoscope.data.sample import SPLIT_NAMES
from mesoscope.errors import DatasetError
from mesoscope.types.label import CLASSES, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Item:
    """One clip, one picture, or one clip published as a folder of frames.

    Attributes:
        paths: File of the clip or picture; or the frames, in order.
        label: 1 = fake, 0 = real, also where the set inverts it.
        name: Unique name within the set with ``/`` as separator, without suffix, such as
            ``manipulated_sequences/Deepfakes/c23/071_054``.
        method: Method of forgery by the set's name (``Deepfakes``); empty for reals.
        group: Unit that must not be split, such as the pair of source videos. Never in two of the
            splits below.
        split: ``train``, ``validation`` or ``test`` if the set has an official one. ``None`` if it
            has none, and for items that the set puts into one split although their group lies in
            another: :func:`mesoscope.data.split.assign_splits` separates the two cases.
        mask: Mask of the forged region, a clip or a picture, if the set has one.
        is_clip: Whether ``paths`` holds one clip to sample frames from.
        person: Person shown, if the set names it: a person has whole groups, and may be in two
            official splits. New splits keep persons together.
        source: Source of the item, if a manifest names another than the folder.
        donor: Person whose face was inserted, if the set names it, as in ``person``.
        original: Name of the real item that a fake was made from, if the set names it and the item
            exists: its face is then found by the fake's mask. Empty otherwise.
    """

    paths: tuple[Path, ...]
    label: int
    name: str
    method: str
    group: str
    split: str | None
    mask: Path | None = None
    is_clip: bool = False
    original: str = ""
    person: str = ""
    donor: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class ItemCount:
    """Number of items found, and expected in the whole set.

    Attributes:
        what: Description, such as ``real`` or ``Deepfakes, c23``.
        found: Number found.
        expected: Number in the whole published set; ``None`` if unknown.
    """

    what: str
    found: int
    expected: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Result of reading a set.

    Attributes:
        layout: The reader's name, such as ``ffpp``.
        title: The set's name, such as ``FaceForensics++``.
        items: Items in a stable order.
        counts: Found and expected numbers.
        notes: Missing, unknown or odd things, a sentence each, without full stop.
        root: Folder that was read, which may lie below or above the named one.
    """

    layout: str
    title: str
    items: tuple[Item, ...]
    counts: tuple[ItemCount, ...]
    notes: tuple[str, ...] = ()
    root: Path = Path()


class Layout(Protocol):
    """A reader of one public data set."""

    name: str
    title: str
    terms: str  # terms of use, in a sentence
    looks_for: str  # identifying marks of the set, for people
    qualities: tuple[str, ...]  # compressions it is published in; empty for a single one

    def is_root(self, folder: Path) -> bool:
        """Whether the folder is this set's root. Checks a few names."""
        ...

    def is_part(self, name: str) -> bool:
        """Whether a folder of this lower-case name may lie at the set's root."""
        ...

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the items of the set.

        Args:
            root: The set's root.
            quality: A compression (``c23``), if the set has several.

        Raises:
            DatasetError: The root is wrong, there is no item, or a list is not readable.
        """
        ...


_EXAMPLES = 3
_STRICTEST = ("test", "validation", "train")
_NEITHER = "neither pictures nor clips"
_BESIDE = frozenset(("masks", "landmarks", "models", "mask"))  # of frames, as some publish them


class ClipEntry(NamedTuple):
    """A clip in a folder: a file, or a folder of frames.

    Attributes:
        stem: Name without suffix.
        paths: The file, or the frames in order.
        is_clip: Whether it is a file.
    """

    stem: str
    paths: tuple[Path, ...]
    is_clip: bool


class LayoutCensus:
    """Collects the items of a reader, and builds a :class:`Reading`."""

    def __init__(self, layout: Layout, root: Path, *, title: str = "") -> None:
        self.layout = layout
        self.root = root
        self.title = title or layout.title
        self.items: list[Item] = []
        self.notes: list[str] = []
        self.counts: list[ItemCount] = []
        self._names: set[str] = set()
        self._unread: dict[str, list[str]] = defaultdict(list)

    def add(self, item: Item) -> None:
        """Add an item; if its name is taken, the file's suffix makes it unique."""
        try:
            item.name.encode()
        except UnicodeEncodeError:
            self.unread(item.paths[0], "their names are not UTF-8: rename them")
            return
        if item.name in self._names:
            item = replace(item, name=f"{item.name}{item.paths[0].suffix}")
            if item.name in self._names:
                self.unread(item.paths[0], "there twice")
                return
        self._names.add(item.name)
        self.items.append(item)

    def note(self, sentence: str) -> None:
        """Add a note on the set, a sentence without full stop."""
        self.notes.append(sentence)

    def count(self, what: str, expected: int | None, of: Callable[[Item], bool]) -> None:
        """Count the items for which ``of`` is true."""
        self.counts.append(ItemCount(what, sum(map(of, self.items)), expected))

    def class_folders(self) -> Iterator[tuple[Path, int, str]]:
        """Yield ``SPLIT/real`` and ``SPLIT/fake`` with their label and split."""
        for folder in children(self.root, *SPLIT_NAMES):
            for label, name in enumerate(CLASSES):
                for place in children(folder, name):
                    yield place, label, SPLIT_NAMES[folder.name.lower()]

    def count_classes(self, expected: Mapping[tuple[str, int], int]) -> None:
        """Count each class of each split beside its published number."""
        for (split, label), number in expected.items():

            def of(item: Item, wanted: tuple[str, int] = (split, label)) -> bool:
                return (item.split, item.label) == wanted

            self.count(f"{CLASSES[label]}, {split}", number, of)

    def unread(self, path: Path, why: str = _NEITHER) -> None:
        """Record an ignored file and the reason, such as ``neither pictures nor clips``."""
        try:
            name = path.relative_to(self.root).as_posix()
        except ValueError:
            name = path.as_posix()
        self._unread[why].append(name.encode("utf-8", "backslashreplace").decode())

    def clips(self, folder: Path, beside: Collection[str] = ()) -> list[ClipEntry]:
        """Return the clips of a folder, as files or folders of frames.

        They may lie in the folder itself, in ``videos/``, or as frames in ``frames/NAME/``,
        ``images/NAME/`` or ``NAME/``. A clip file takes precedence over its frames.

        Args:
            folder: Folder of the clips.
            beside: Lower-case names of known files that are no clips.
        """
        found: dict[str, ClipEntry] = {}
        for place in (folder, *_inner(folder, "videos")):
            self._add_files(place, beside, found)
        inner = {"videos", "frames", "images"} | _BESIDE
        frames = [f for f in _inner(folder, "") if f.name.lower() not in inner]
        for place in (*_inner(folder, "frames"), *_inner(folder, "images")):
            frames += _inner(place, "")
        again = 0
        for place in frames:
            if place.name in found:
                again += 1
            elif pictures := self.frames(place):
                found[place.name] = ClipEntry(place.name, pictures, is_clip=False)
            else:
                self.unread(place, "folders without a frame")
        if again:
            self.note(
                f"{folder.relative_to(self.root).as_posix()}: {plural(again, 'clip')} are there "
                "twice: taken as a clip before its frames, else from the first folder"
            )
        return [found[name] for name in sorted(found)]

    def _add_files(self, place: Path, beside: Collection[str], found: dict[str, ClipEntry]) -> None:
        for name in list_folder(place).files:
            if name.lower() in beside:
                continue
            if kind(name) != "clip":
                why = "pictures outside a clip's folder" if kind(name) else _NEITHER
                self.unread(place / name, why)
            elif stem(name) in found:
                self.unread(place / name, "there twice")
            else:
                found[stem(name)] = ClipEntry(stem(name), (place / name,), is_clip=True)

    def pictures(self, folder: Path) -> Iterator[tuple[str, Path]]:
        """Yield the pictures in a folder and below; other files are recorded as ignored.

        Yields:
            The relative path without suffix, with ``/`` as separator, and the file.
        """
        for relative, listing in walk_folders(folder):
            ahead = f"{relative}/" if relative else ""
            place = folder / relative
            for name in listing.files:
                if kind(name) == "picture":
                    yield ahead + stem(name), place / name
                else:
                    self.unread(place / name, "no pictures")

    def frames(self, folder: Path) -> tuple[Path, ...]:
        """Return a folder's pictures in numerical order, padded or not."""
        names = []
        for name in list_folder(folder).files:
            if kind(name) == "picture":
                names.append(name)
            else:
                self.unread(folder / name)
        return tuple(folder / name for name in sorted(names, key=lambda n: (len(n), n)))

    def reading(self) -> Reading:
        """Return the collected reading; groups in two official splits are resolved.

        Test keeps its items: those of another split lose their split, with a note. Names of missing
        originals are removed.

        Raises:
            DatasetError: There is no item.
        """
        self._settle()
        real = {item.name for item in self.items if not item.label}
        for n, item in enumerate(self.items):
            if item.original and item.original not in real:
                self.items[n] = replace(item, original="")
        for why, names in self._unread.items():
            self.note(f"{plural(len(names), 'file')} not read, {why}: {first_names(names)}")
        if not self.items:
            said = f" ({'; '.join(self.notes)})" if self.notes else ""
            raise DatasetError(
                f"{self.root}: nothing of {self.title} found: looked for "
                f"{self.layout.looks_for}{said}"
            )
        for label, name in enumerate(CLASSES):
            if not any(item.label == label for item in self.items):
                self.note(f"nothing {name} is here")
        return Reading(
            layout=self.layout.name,
            title=self.title,
            items=tuple(self.items),
            counts=tuple(self.counts),
            notes=tuple(self.notes),
            root=self.root,
        )

    def _settle(self) -> None:
        splits: dict[str, set[str]] = defaultdict(set)
        for item in self.items:
            if item.split:
                splits[item.group].add(item.split)
        torn = {
            group: next(s for s in _STRICTEST if s in found)
            for group, found in splits.items()
            if len(found) > 1
        }
        moved: dict[tuple[str, str], int] = defaultdict(int)
        for n, item in enumerate(self.items):
            keeps = torn.get(item.group)
            if keeps and item.split and item.split != keeps:
                moved[item.split, keeps] += 1
                self.items[n] = replace(item, split=None)
        for (split, keeps), number in sorted(moved.items()):
            self.note(
                f"{number} of {split} share a group with {keeps}: they are left out where the "
                "official splits are kept, so that no group stands in two"
            )


def _inner(folder: Path, name: str) -> list[Path]:
    """Return the direct subfolders of that name, or all."""
    return [folder / n for n in list_folder(folder).folders if not name or n.lower() == name]


def first_names(names: Iterable[str]) -> str:
    """Join the first few names and the number of the others."""
    first = list(names)
    more = len(first) - _EXAMPLES
    listed = ", ".join(first[:_EXAMPLES])
    return f"{listed} and {more:,} more" if more > 0 else listed


def refuse_quality(layout: Layout, quality: str | None) -> None:
    """Refuse a compression for a set with a single one.

    Raises:
        DatasetError: A compression was asked for.
    """
    if quality is not None:
        raise DatasetError(
            f"{layout.title}: there is one quality, and {quality!r} was asked for: leave it out"
        )
