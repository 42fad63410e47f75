"""The real pictures that forgeries are made from, and their framing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.manifest import LABELS, MANIFESTS, read_dataset
from mesoscope.data.shards.index import tars_of
from mesoscope.errors import DatasetError, OptionError, SourceUnsuitable
from mesoscope.faces.crop import crop, square
from mesoscope.files.digest import hash_fraction
from mesoscope.media.kinds import PICTURE_SUFFIXES
from mesoscope.media.part import FilePart
from mesoscope.media.walk import Unreadable, walk

if TYPE_CHECKING:
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.types import Box, Pixels


MIN_PX = 48  # smallest face box
# Box of a face relative to its five landmarks: factor of the width, and upward offset.
ACROSS, ABOVE = 2.2, 0.1


@dataclass(frozen=True, slots=True)
class Framing:
    """How pictures are cropped before they are forged.

    Attributes:
        size_px: Side of the square crops; ``None`` keeps the pictures uncropped.
        margin: Crop margin: side of a crop in longest box sides, 1 to 10.

    Raises:
        OptionError: The size is below 64 pixels, or the margin out of range.
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
        """Return the picture or face crop, and the landmarks in its pixels.

        Args:
            pixels: The picture.
            landmarks: Landmarks in the picture; ``None`` without a face.
            name: Name of the picture in messages.

        Raises:
            SourceUnsuitable: There are no landmarks, or the face is too small.
        """
        if landmarks is None:
            raise SourceUnsuitable(f"{name}: no face was found")
        box = box_of(landmarks)
        side = max(box[2] - box[0], box[3] - box[1])
        if side < MIN_PX:
            raise SourceUnsuitable(f"{name}: the face is smaller than {MIN_PX} pixels")
        if self.size_px is None:
            return pixels, landmarks
        left, top, crop_side = square(box, self.margin)
        cropped = crop(pixels, box, margin=self.margin, size_px=self.size_px)
        # Pixel centres have an offset of half a pixel, before and after the resize.
        moved = (landmarks + 0.5 - (left, top)) * (self.size_px / crop_side) - 0.5
        return cropped, np.asarray(moved, np.float32)

    def plain(self, pixels: Pixels, name: str) -> Pixels:
        """Return the picture, or its central square, without face detection.

        Raises:
            SourceUnsuitable: The picture is too small.
        """
        height, width = pixels.shape[:2]
        if min(height, width) < MIN_PX:
            raise SourceUnsuitable(f"{name}: smaller than {MIN_PX} pixels")
        return pixels if self.size_px is None else centre_square(pixels, self.size_px)


def centre_square(pixels: Pixels, size_px: int) -> Pixels:
    """Crop the largest central square, resized to ``(size_px, size_px, 3) uint8``."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    x, y = (width - side) / 2, (height - side) / 2
    return crop(pixels, (x, y, x + side, y + side), size_px=size_px)


def box_of(landmarks: Landmarks) -> Box:
    """Estimate the face box of landmarks, ``(x1, y1, x2, y2)``."""
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    if len(landmarks) > 5:  # a mesh extends from the brows to the chin
        top = float(low[1]) - 0.15 * float(high[1] - low[1])
        return float(low[0]), top, float(high[0]), float(high[1])
    x, y = ((low + high) / 2).tolist()
    half = float((high - low).max()) * ACROSS / 2
    y -= 2 * half * ABOVE / ACROSS
    return x - half, y - half * 1.15, x + half, y + half * 1.15


VALIDATION_SHARE = 0.2  # share of a plain folder's pictures in the validation split
_SPLIT_FOLDERS = ("train", "validation", "val", "valid", "test")


@dataclass(frozen=True, slots=True)
class Real:
    """A real picture on disk.

    Attributes:
        path: Path of the file.
        name: Path relative to the data set or folder, with ``/``; unique there.
        source: Name of the data set.
        group: Group that is not split; a forgery and its twin have the group of their parent.
        split: ``train``, ``validation`` or ``test``.
        part: Part of a shard; ``None`` for a separate file.
    """

    path: Path
    name: str
    source: str
    group: str
    split: str
    part: FilePart | None = None

    @property
    def picture(self) -> Path | FilePart:
        """Argument for :func:`mesoscope.media.image.open_image`."""
        return self.part or self.path


@dataclass(frozen=True, slots=True)
class RealFace:
    """A decoded and framed real picture.

    Attributes:
        pixels: ``(H, W, 3) uint8``.
        landmarks: Landmarks in these pixels; ``None`` if the maker needs none.
        real: The picture on disk.
    """

    pixels: Pixels
    landmarks: Landmarks | None
    real: Real


def read_reals(root: Path, *, validation: float = VALIDATION_SHARE) -> list[Real]:
    """List the real pictures of a data set or folder, in a stable order.

    The reals of a data set in the project's layout keep their splits and groups. In any other
    folder, all pictures are reals, or only those in its folder ``real`` if there is one. Each is a
    group, and its split depends only on its name.

    Args:
        root: A folder, or the manifest of a data set.
        validation: Share of a plain folder's pictures in the validation split.

    Raises:
        DatasetError: The folder is missing, its manifest is not valid, or it has no real picture.
        OptionError: The share is outside 0..1.
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
            name = sample.path.relative_to(root).as_posix()
            part = sample.picture if isinstance(sample.picture, FilePart) else None
            reals.append(Real(sample.path, name, sample.source, sample.group, sample.split, part))
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
            split = "validation" if hash_fraction(name) < validation else "train"
            reals.append(Real(path, name, root.resolve().name, name, split))
    return reals
