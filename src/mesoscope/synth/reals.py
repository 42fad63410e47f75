"""The real pictures that forgeries are made from: of a data set, or of a plain folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.data.manifest import LABELS, MANIFESTS, read_dataset
from mesoscope.data.shards.index import tars_of
from mesoscope.errors import DatasetError, OptionError
from mesoscope.media.kinds import PICTURE_SUFFIXES
from mesoscope.media.part import FilePart
from mesoscope.media.walk import Unreadable, walk

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Pixels

VALIDATION_SHARE = 0.2  # of a plain folder's pictures
_SPLIT_FOLDERS = ("train", "validation", "val", "valid", "test")


@dataclass(frozen=True, slots=True)
class Real:
    """A real picture on disk.

    Attributes:
        path: Where it lies.
        name: Its path within the data set or folder, with ``/`` between; unique there.
        source: The set that it comes from.
        group: What must not be split: a forgery and its twin are of their parent's.
        split: ``train``, ``validation`` or ``test``.
        part: The part of a shard that it is; ``None`` for a file of its own.
    """

    path: Path
    name: str
    source: str
    group: str
    split: str
    part: FilePart | None = None

    @property
    def picture(self) -> Path | FilePart:
        """What :func:`mesoscope.media.image.open_image` takes."""
        return self.part or self.path


@dataclass(frozen=True, slots=True)
class RealFace:
    """A real picture that was read and framed.

    Attributes:
        pixels: ``(H, W, 3) uint8``.
        landmarks: In its pixels; ``None`` where the maker asked for none.
        real: Where it comes from.
    """

    pixels: Pixels
    landmarks: Landmarks | None
    real: Real


def read_reals(root: Path, *, validation: float = VALIDATION_SHARE) -> list[Real]:
    """List the real pictures under a root, in a stable order.

    A data set in the project's layout, or its manifest, gives its reals with their splits and
    groups. Of any other folder every picture is taken as real, but what lies beside a folder
    ``real`` if there is one; each is its own group, and its name alone decides on its split.

    Args:
        root: A folder, or the manifest of a data set.
        validation: Share of a plain folder's pictures that goes to the validation split.

    Raises:
        DatasetError: No such folder, a bad manifest, no real picture.
        OptionError: A share outside 0 to 1.
    """
    if not 0 <= validation <= 1:
        raise OptionError(f"the validation share must lie in 0..1, got {validation}")
    if root.name in MANIFESTS and root.is_file():
        root = root.parent
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder: give a folder of real faces")
    reals = _of_dataset(root) if _is_dataset(root) else _of_folder(root, validation)
    if not reals:
        raise DatasetError(f"{root}: no real pictures found: give a folder of real faces")
    return reals


def _is_dataset(root: Path) -> bool:
    if any((root / name).is_file() for name in MANIFESTS):
        return True
    splits = [p for p in root.iterdir() if p.name.lower() in _SPLIT_FOLDERS and p.is_dir()]
    if any(p.name.lower() in LABELS and p.is_dir() for split in splits for p in split.iterdir()):
        return True
    return bool(tars_of(root))


def _of_dataset(root: Path) -> list[Real]:
    reals = []
    for sample in read_dataset(root):
        if sample.label == LABELS["real"]:
            part = sample.picture
            name = sample.path.relative_to(root).as_posix()
            held = part if isinstance(part, FilePart) else None
            reals.append(Real(sample.path, name, sample.source, sample.group, sample.split, held))
    return reals


def _of_folder(root: Path, validation: float) -> list[Real]:
    named = [p for p in root.iterdir() if p.name.lower() == "real" and p.is_dir()]
    top = named[0] if named else root
    reals = []
    for found in walk([str(top)]):
        if isinstance(found, Unreadable):
            if found.folder:
                raise DatasetError(str(found.error))
            continue
        path = Path(found)
        if path.suffix.lower() in PICTURE_SUFFIXES:
            name = path.relative_to(root).as_posix()
            split = "validation" if _share(name) < validation else "train"
            reals.append(Real(path, name, root.resolve().name, name, split))
    return reals


def _share(name: str) -> float:
    """A number in 0 to 1 that depends on the name alone, so that adding pictures moves none."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
