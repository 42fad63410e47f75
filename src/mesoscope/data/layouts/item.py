"""What a reader of a public set gives: labelled clips and pictures, and a census of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
