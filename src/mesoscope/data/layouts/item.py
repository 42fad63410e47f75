"""What a reader of a public set gives: labelled clips and pictures, and a census of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mesoscope.data.layouts.folders import below, kind, listed, stem
from mesoscope.errors import DatasetError
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Item:
    """One clip, one picture, or one clip that is published as a folder of frames.

    Attributes:
        paths: The clip's or picture's file; or the frames, in their order.
        label: 1 = fake, 0 = real: turned round where the set says it the other way.
        name: Its name within the set with ``/`` between, without suffix, unique, such as
            ``manipulated_sequences/Deepfakes/c23/071_054``.
        method: How it was forged, as the set calls it (``Deepfakes``); empty for reals.
        group: What must not be split, such as the pair of source videos. Never in two of the
            splits below.
        split: ``train``, ``validation`` or ``test`` where the set has an official one. ``None``
            where it has none, and for what the set puts into one split although its group
            stands in another: :func:`mesoscope.data.split.assign_splits` tells the two apart.
        mask: Of the forged region, a clip or a picture, where the set has one.
        is_clip: ``paths`` holds one clip to sample frames from.
        person: Who is seen, where the set says: holds whole groups, and may stand in two official
            splits. Splits made anew keep persons together.
        source: The set it comes from, where a manifest names another than the folder.
        donor: Whose face was put in, where the set says: the name of another ``person``.
        original: Name of the real item that a fake was made from, where the set tells and the item
            is there: its face is then found where the fake's mask lies. Empty otherwise.
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
class Count:
    """How many of something were found, and how many the set should hold.

    Attributes:
        what: Such as ``real`` or ``Deepfakes, c23``.
        found: Here.
        expected: In the whole published set; ``None`` where it says no number.
    """

    what: str
    found: int
    expected: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found under a root.

    Attributes:
        layout: The reader's name, such as ``ffpp``.
        title: The set's, such as ``FaceForensics++``.
        items: In a stable order.
        counts: Found against expected.
        notes: What is missing, unknown or strange, a sentence each, without full stop.
        root: The folder that was read, which may lie below or above the one that was named.
    """

    layout: str
    title: str
    items: tuple[Item, ...]
    counts: tuple[Count, ...]
    notes: tuple[str, ...] = ()
    root: Path = Path()


class Layout(Protocol):
    """A reader of one public set."""

    name: str
    title: str
    terms: str  # of use, in a sentence
    looks_for: str  # what tells the set, for people
    qualities: tuple[str, ...]  # compressions it is published in; none where there is one alone

    def is_root(self, folder: Path) -> bool:
        """Whether the folder itself holds this set. Looks at a few names."""
        ...

    def is_part(self, name: str) -> bool:
        """Whether a folder of this name, in small letters, may lie at the set's root."""
        ...

    def recognise(self, root: Path) -> Path | None:
        """The folder that is this set's root: ``root``, or the one folder below or above it.

        Looks at names alone, and at few of them. ``None``: this is another set.
        """
        ...

    def read(self, root: Path, *, quality: str | None = None) -> Reading:
        """List the set.

        Args:
            root: As :meth:`recognise` gave it, or as the user says.
            quality: One compression of several (``c23``), where the set comes in several.

        Raises:
            DatasetError: A wrong root, no item at all, a list that cannot be read.
        """
        ...


_EXAMPLES = 3
_STRICTEST = ("test", "validation", "train")
_NEITHER = "neither pictures nor clips"
_BESIDE = frozenset(("masks", "landmarks", "models", "mask"))  # of frames, as others publish them


class ClipEntry(NamedTuple):
    """A clip in a folder: a file, or a folder of frames.

    Attributes:
        stem: Its name without suffix.
        paths: The file, or the frames in their order.
        is_clip: It is a file.
    """

    stem: str
    paths: tuple[Path, ...]
    is_clip: bool


class LayoutCensus:
    """Gathers what a reader finds, and makes a :class:`Reading` of it."""

    def __init__(self, layout: Layout, root: Path, *, title: str = "") -> None:
        self.layout = layout
        self.root = root
        self.title = title or layout.title
        self.items: list[Item] = []
        self.notes: list[str] = []
        self.counts: list[Count] = []
        self._names: set[str] = set()
        self._unread: dict[str, list[str]] = defaultdict(list)

    def add(self, item: Item) -> None:
        """Take an item; its name is made unique by the suffix of its file where it is taken."""
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
        """Say something of the set, in a sentence without full stop."""
        self.notes.append(sentence)

    def count(self, what: str, expected: int | None, of: Callable[[Item], bool]) -> None:
        """Count the items that ``of`` tells."""
        self.counts.append(Count(what, sum(map(of, self.items)), expected))

    def unread(self, path: Path, why: str = _NEITHER) -> None:
        """Remember a file that is not taken, and why, such as ``neither pictures nor clips``."""
        try:
            name = path.relative_to(self.root).as_posix()
        except ValueError:
            name = path.as_posix()
        self._unread[why].append(name.encode("utf-8", "backslashreplace").decode())

    def clips(self, folder: Path, beside: Collection[str] = ()) -> list[ClipEntry]:
        """The clips of a folder, as files or as folders of frames.

        They may lie right there, in ``videos/``, or by frames in ``frames/NAME/``,
        ``images/NAME/`` or ``NAME/``. What is there as a clip and as frames is taken as a clip.

        Args:
            folder: Where they lie.
            beside: Names in small letters of files that belong there without being clips.
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
                f"{folder.relative_to(self.root).as_posix()}: {many(again, 'clip')} are there "
                "twice: taken as a clip before its frames, else from the first folder"
            )
        return [found[name] for name in sorted(found)]

    def _add_files(self, place: Path, beside: Collection[str], found: dict[str, ClipEntry]) -> None:
        for name in listed(place).files:
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
        """The pictures in a folder and all below, others being remembered as not read.

        Yields:
            The path from the folder without suffix, with ``/`` between, and the file.
        """
        for relative, listing in below(folder):
            ahead = f"{relative}/" if relative else ""
            place = folder / relative
            for name in listing.files:
                if kind(name) == "picture":
                    yield ahead + stem(name), place / name
                else:
                    self.unread(place / name, "no pictures")

    def frames(self, folder: Path) -> tuple[Path, ...]:
        """A folder's pictures in the order of their numbers, be they padded or not."""
        names = []
        for name in listed(folder).files:
            if kind(name) == "picture":
                names.append(name)
            else:
                self.unread(folder / name)
        return tuple(folder / name for name in sorted(names, key=lambda n: (len(n), n)))

    def reading(self) -> Reading:
        """What was gathered, with groups that stand in two official splits settled.

        Test keeps what it has: its items of another split lose that split, and a note says so.
        Originals that are not here are named by no item.

        Raises:
            DatasetError: Nothing was found.
        """
        self._settle()
        real = {item.name for item in self.items if not item.label}
        for n, item in enumerate(self.items):
            if item.original and item.original not in real:
                self.items[n] = replace(item, original="")
        for why, names in self._unread.items():
            self.note(f"{many(len(names), 'file')} not read, {why}: {some(names)}")
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
    """The folders below of that name, or all."""
    return [folder / n for n in listed(folder).folders if not name or n.lower() == name]


def many(number: int, thing: str) -> str:
    """``1 file``, ``2 files``, ``12,000 files``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    first = list(names)
    more = len(first) - _EXAMPLES
    told = ", ".join(first[:_EXAMPLES])
    return f"{told} and {more:,} more" if more > 0 else told


def refuse_quality(layout: Layout, quality: str | None) -> None:
    """Refuse a compression for a set that comes in one alone.

    Raises:
        DatasetError: One was asked for.
    """
    if quality is not None:
        raise DatasetError(
            f"{layout.title}: there is one quality, and {quality!r} was asked for: leave it out"
        )
