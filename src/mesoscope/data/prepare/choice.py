"""Choose the faces of an item to keep: one person, by the forgery's mask or by size.

In a clip, faces are linked to persons over its frames (:mod:`mesoscope.detection.persons`), and one
person is kept. With a mask of the forged region, it is the person whose boxes hold most of it.
Without a mask, but with the forged clip and its original, it is the person whose boxes differ most
between the two. Otherwise it is the person with the largest area, summed over frames, so that both
duration and size count. Frames without that person give nothing. In a picture, one face is kept by
the same rules.

A real item uses the mask of a forgery made from it, or that forgery itself, so that real and forged
crops show the same person. Where all faces of a fake lie outside its mask, none is kept: they are
real. With ``all_faces`` every face is kept, except those of a fake that lie outside its mask.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mesoscope.detection.persons import Observation, track_persons
from mesoscope.errors.failures import out_of_memory
from mesoscope.imaging.filters import scaled
from mesoscope.media.image import open_image
from mesoscope.media.kinds import CLIP_SUFFIXES
from mesoscope.media.video import frames_at, open_clip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesoscope.types import Box, Face, Frame, Pixels

    Region = NDArray[np.bool_]  # (H, W), the forged region

_FORGED = 32  # of 255 in any colour: video compression leaves grey around a black mask
_SMALL_PX = 320  # longest side of frames kept for comparison
_DIFFERENT = 12  # of 255, averaged over some pixels: more than two encodings of a clip differ by
_AVERAGED_PX = 5
_COMPARED = 2  # most frames compared, until one differs: decoding the other clip is slow
_LOOKS = 3  # times at which a clip's mask is read if there are several persons
_TOUCHED = 0.1  # smallest share of a mask in a forged face, where all faces are kept


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A cropped face of a frame; the frame itself is released.

    Attributes:
        place: Index of the frame among the sampled ones, from 0.
        share: Relative time of the frame in the clip, 0 to 1.
        index: Number of the frame in its clip or folder.
        time_s: Time of the frame; ``None`` except for clips.
        face: The face found.
        width_px: Width of the frame.
        height_px: Height of the frame.
        scene: Descriptor of the frame, see :func:`mesoscope.detection.persons.scene_of`.
        finder: Name of the face finder.
        crop: ``(S, S, 3) uint8``.
        small: The downscaled frame, see :func:`shrunk`, for comparison with another clip.
    """

    place: int
    share: float
    index: int
    time_s: float | None
    face: Face
    width_px: int
    height_px: int
    scene: NDArray[np.float32]
    finder: str
    crop: Pixels
    small: Pixels | None = None

    @property
    def area(self) -> float:
        """Area of the face, as a share of its frame's."""
        x1, y1, x2, y2 = self.face.box
        return (x2 - x1) * (y2 - y1) / (self.width_px * self.height_px)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen faces.

    Attributes:
        kept: Faces in the order of the frames.
        untouched: Whether there were faces, all outside of the forgery's mask.
        notes: Notes for the user.
    """

    kept: tuple[Candidate, ...]
    untouched: bool = False
    notes: tuple[str, ...] = ()


def choose(
    candidates: Sequence[Candidate],
    *,
    fake: bool,
    mask: Path | None,
    other: Path | None = None,
    all_faces: bool = False,
) -> Choice:
    """Choose among the faces of one clip, one folder of frames or one picture.

    Args:
        candidates: Faces in the order of their frames.
        fake: Whether the item is a fake; a real keeps a face in any case.
        mask: Mask of the forged region, a clip or a picture.
        other: Original of a forged clip, or a forgery made from a real one: their difference
            replaces a missing mask.
        all_faces: Keep every face.
    """
    persons: dict[int, list[Candidate]] = defaultdict(list)
    for person, candidate in zip(track_persons(_observations(candidates)), candidates, strict=True):
        persons[person].append(candidate)
    if not persons or (all_faces and (mask is None or not fake)):
        return Choice(tuple(candidates))
    notes: tuple[str, ...] = ()
    if mask is not None and (fake or len(persons) > 1):
        held, notes = _held(persons, mask)
        if held:
            return _by_mask(persons, held, fake=fake, all_faces=all_faces)
    if all_faces:
        return Choice(tuple(candidates), notes=notes)
    if other is not None and mask is None and len(persons) > 1:
        held = _differing(persons, other)
        if held:
            return _by_mask(persons, held, fake=fake, all_faces=False)
    largest = max(persons, key=lambda person: sum(c.area for c in persons[person]))
    return Choice(tuple(persons[largest]), notes=notes)


def _by_mask(
    persons: dict[int, list[Candidate]], held: dict[int, float], *, fake: bool, all_faces: bool
) -> Choice:
    best = max(held, key=lambda person: held[person])
    if held[best] == 0:
        if fake:
            return Choice((), untouched=True)
        best = max(persons, key=lambda person: sum(c.area for c in persons[person]))
    if not all_faces:
        return Choice(tuple(persons[best]))
    touched = [c for person in persons if held[person] >= _TOUCHED for c in persons[person]]
    return Choice(tuple(sorted(touched, key=lambda c: c.place)), untouched=not touched)


def _observations(candidates: Sequence[Candidate]) -> list[Observation]:
    # Folders of frames have no times: 25 frames a second is usual.
    return [
        Observation(
            c.place, c.index / 25 if c.time_s is None else c.time_s, c.face, c.width_px, c.scene
        )
        for c in candidates
    ]


def shrunk(pixels: Pixels) -> Pixels:
    """Downscale a frame for comparison, which averages its compression noise."""
    scale = _SMALL_PX / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return scaled(pixels, scale)


def _by_frame(persons: dict[int, list[Candidate]]) -> dict[int, list[tuple[int, Candidate]]]:
    """Return persons and faces of each frame, by its index."""
    found: dict[int, list[tuple[int, Candidate]]] = defaultdict(list)
    for person, candidates in persons.items():
        for candidate in candidates:
            found[candidate.place].append((person, candidate))
    return found


def _spread(places: Sequence[int], most: int) -> list[int]:
    """Return some of the indices, evenly spaced."""
    count = min(most, len(places))
    return [places[int((n + 0.5) * len(places) / count)] for n in range(count)]


def _held(
    persons: dict[int, list[Candidate]], mask: Path
) -> tuple[dict[int, float], tuple[str, ...]]:
    """Return the mean share of the mask in each person's boxes, over the sampled times.

    Returns:
        Nothing, and a note, if the mask is not readable or shows no region.
    """
    by_frame = _by_frame(persons)
    some = _spread(sorted(by_frame), 1 if len(persons) == 1 else _LOOKS)
    try:
        regions = _regions(mask, [by_frame[place][0][1].share for place in some])
    except Exception as error:
        if out_of_memory(error):  # another try may succeed
            raise
        return {}, (f"mask not used as it cannot be read: {mask.name}",)
    held = dict.fromkeys(persons, 0.0)
    shown = 0
    for place, region in zip(some, regions, strict=True):
        if region is None or not region.any():
            continue
        shown += 1
        for person, candidate in by_frame[place]:
            held[person] += _inside(region, candidate).sum() / region.sum()
    if not shown:
        return {}, (f"mask not used as it shows no region: {mask.name}",)
    return {person: total / shown for person, total in held.items()}, ()


def _differing(persons: dict[int, list[Candidate]], other: Path) -> dict[int, float]:
    """Return the share of each person's boxes that differs between two clips; empty if unknown.

    Relative to the boxes: two encodings of a clip differ slightly everywhere, and a larger box
    holds more of that.
    """
    by_frame = {
        place: found
        for place, found in _by_frame(persons).items()
        if len(found) > 1 and found[0][1].small is not None
    }
    if not by_frame:
        return {}
    middle_first = sorted(
        _spread(sorted(by_frame), _COMPARED),
        key=lambda place: abs(by_frame[place][0][1].share - 0.5),
    )
    for place in middle_first:
        _, first = by_frame[place][0]
        try:
            (frame,) = _frames(other, [first.share])
        except Exception as error:
            if out_of_memory(error):
                raise
            break
        if frame is None or first.small is None:
            continue
        region = _difference(first.small, shrunk(frame.pixels))
        parts = {person: _inside(region, candidate) for person, candidate in by_frame[place]}
        if any(part.any() for part in parts.values()):
            return {
                person: float(parts[person].mean()) if person in parts else 0.0
                for person in persons
            }
    return {}


def _difference(one: Pixels, other: Pixels) -> Region:
    """Return the mask of pixels that differ more than two encodings do; empty if shapes differ."""
    if one.shape != other.shape:
        return np.zeros(one.shape[:2], np.bool_)
    apart = cv2.absdiff(one, other).max(axis=2)
    return np.asarray(cv2.blur(apart, (_AVERAGED_PX, _AVERAGED_PX)) >= _DIFFERENT, np.bool_)


def _inside(region: Region, candidate: Candidate) -> Region:
    """Return the part of a region in a face's box."""
    x1, y1, x2, y2 = _scaled(candidate, region.shape[1], region.shape[0])
    return region[round(y1) : round(y2), round(x1) : round(x2)]


def _scaled(candidate: Candidate, width: int, height: int) -> Box:
    """Scale a face's box to a mask of another size."""
    x, y = width / candidate.width_px, height / candidate.height_px
    x1, y1, x2, y2 = candidate.face.box
    return max(x1 * x, 0.0), max(y1 * y, 0.0), x2 * x, y2 * y


def _regions(mask: Path, shares: Sequence[float]) -> list[Region | None]:
    """Return the mask at relative times; ``None`` for frames that are not decodable."""
    if mask.suffix.lower() not in CLIP_SUFFIXES:
        return [_region(open_image(mask).pixels)] * len(shares)
    return [None if frame is None else _region(frame.pixels) for frame in _frames(mask, shares)]


def _frames(clip: Path, shares: Sequence[float]) -> list[Frame | None]:
    """Return a clip's frames at relative times; ``None`` for frames that are not decodable."""
    with open_clip(clip, frames=1) as opened:
        length_s = opened.duration_s
    frames = frames_at(clip, [share * length_s for share in shares])
    if len(frames) == len(shares):
        return list(frames)
    # Some are not decodable; asking for each alone shows which.
    alone = [frames_at(clip, [share * length_s]) for share in shares]
    return [found[0] if found else None for found in alone]


def _region(pixels: Pixels) -> Region:
    return np.asarray(pixels.max(axis=2) >= _FORGED, np.bool_)
