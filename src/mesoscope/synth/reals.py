"""The real pictures that forgeries are made from, and what of each is forged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.manifest import LABELS, MANIFESTS, read_dataset
from mesoscope.data.shards.index import tars_of
from mesoscope.errors import DatasetError, OptionError, SourceUnsuitable
from mesoscope.faces.crop import crop, square
from mesoscope.media.kinds import PICTURE_SUFFIXES
from mesoscope.media.part import FilePart
from mesoscope.media.walk import Unreadable, walk

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Box, Pixels


LEAST_PX = 48  # between the outermost landmarks of a face, times ACROSS
# A finder's box beside its five landmarks: how much wider, and how far above their middle.
ACROSS, ABOVE = 2.2, 0.1


@dataclass(frozen=True, slots=True)
class Framing:
    """How pictures are cut before they are forged.

    Attributes:
        size_px: Side of the square crops; ``None`` keeps pictures as they are.
        margin: Side of a crop over the longest side of the face, at least 1.

    Raises:
        OptionError: A crop smaller than 64 pixels, or a margin below 1.
    """

    size_px: int | None = None
    margin: float = 1.3

    def __post_init__(self) -> None:
        if self.size_px is not None and self.size_px < 64:
            raise OptionError(f"size must be at least 64 pixels or keep, got {self.size_px}")
        if not 1 <= self.margin <= 10:
            raise OptionError(f"margin must lie in 1..10, got {self.margin}")

    def face(
        self, pixels: Pixels, landmarks: Landmarks | None, name: str
    ) -> tuple[Pixels, Landmarks]:
        """The picture or crop, and the landmarks in its pixels.

        Args:
            pixels: The whole picture.
            landmarks: In its pixels.
            name: For errors.

        Raises:
            SourceUnsuitable: No landmarks, or the face is too small.
        """
        if landmarks is None:
            raise SourceUnsuitable(f"{name}: no face was found")
        box = box_of(landmarks)
        side = max(box[2] - box[0], box[3] - box[1])
        if side < LEAST_PX:
            raise SourceUnsuitable(f"{name}: the face is smaller than {LEAST_PX} pixels")
        if self.size_px is None:
            return pixels, landmarks
        left, top, taken = square(box, self.margin)
        cut = crop(pixels, box, margin=self.margin, size_px=self.size_px)
        # A pixel's middle lies half a pixel within it, before the resize and after.
        moved = (landmarks + 0.5 - (left, top)) * (self.size_px / taken) - 0.5
        return cut, np.asarray(moved, np.float32)

    def plain(self, pixels: Pixels, name: str) -> Pixels:
        """The picture, or the square about its middle, without looking for a face.

        Raises:
            SourceUnsuitable: The picture is too small.
        """
        height, width = pixels.shape[:2]
        if min(height, width) < LEAST_PX:
            raise SourceUnsuitable(f"{name}: smaller than {LEAST_PX} pixels")
        if self.size_px is None:
            return pixels
        side = min(height, width)
        x, y = (width - side) / 2, (height - side) / 2
        return crop(pixels, (x, y, x + side, y + side), size_px=self.size_px)


def box_of(landmarks: Landmarks) -> Box:
    """About the box that a finder draws around these landmarks, ``(x1, y1, x2, y2)``."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    if len(landmarks) > 5:  # a mesh reaches from brow to chin
        top = float(low[1]) - 0.15 * float(high[1] - low[1])
        return float(low[0]), top, float(high[0]), float(high[1])
    x, y = ((low + high) / 2).tolist()
    half = float((high - low).max()) * ACROSS / 2
    y -= 2 * half * ABOVE / ACROSS
    return x - half, y - half * 1.15, x + half, y + half * 1.15


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
