"""Which faces of an item are kept: one person, told by the mask of the forgery or by size.

Of a clip, faces are joined to persons over its frames (:mod:`mesoscope.detection.persons`), and one
person is kept. Where there is a mask of the forged region, it is the one whose boxes hold most of
it. Where there is none, but the forged clip and its original are at hand, it is the one whose boxes
differ most between the two. Elsewhere it is the one that takes most of the picture, summed over the
frames, so that somebody who stays and somebody who is near are both worth more than a passer-by.
Frames in which that person was not seen give nothing. Of a picture, one face is kept alike.

A real item is asked with the mask of a forgery that was made from it, or with that forgery, so that
real and forged crops show the same person. Where a fake's faces all lie beside its mask, none is
kept: they are real. With ``all_faces`` every face is kept, but for those of a fake that its mask
leaves out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from mesoscope.detection.persons import Sighting, join
from mesoscope.errors.failures import ran_short
from mesoscope.imaging.filters import scaled
from mesoscope.media.image import open_image
from mesoscope.media.kinds import CLIP_SUFFIXES
from mesoscope.media.video import frames_at, open_clip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesoscope.types import Box, Face, Frame, Pixels

    Region = NDArray[np.bool_]  # (H, W), where the forgery is

_FORGED = 32  # of 255 in any colour: video compression leaves grey around a black mask
_SMALL_PX = 320  # longest side of frames that are kept to be compared
_DIFFERENT = 12  # of 255, averaged over some pixels: more than two encodings of one clip differ by
_AVERAGED_PX = 5
_COMPARED = 2  # frames at most, until one differs: decoding the other clip is dear
_LOOKS = 3  # moments at which a clip's mask is looked at where there are several persons
_TOUCHED = 0.1  # share of a mask that a forged face holds at least, where all faces are kept


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A face of a frame, cut out already; the frame itself is gone.

    Attributes:
        place: The frame's place among those looked at, from 0.
        share: Of the clip's length at which the frame begins, 0 to 1.
        index: The frame's number within its clip or folder.
        time_s: The frame's own time; ``None`` but for clips.
        face: Where it is.
        width_px: Of the frame.
        height_px: Of the frame.
        scene: Of the frame, see :func:`mesoscope.detection.persons.scene_of`.
        finder: Who found it.
        crop: ``(S, S, 3) uint8``.
        small: The whole frame, see :func:`shrunk`, where it may be compared with another clip's.
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
        """Of the face, as a share of its frame's."""
        x1, y1, x2, y2 = self.face.box
        return (x2 - x1) * (y2 - y1) / (self.width_px * self.height_px)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is kept.

    Attributes:
        kept: In the order of the frames.
        untouched: There were faces, and none of them lies under the mask of the forgery.
        notes: What the user should know.
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
        candidates: In the order of their frames.
        fake: Whether the item is one: a real is never without a forged face.
        mask: Of the forged region, a clip or a picture.
        other: Of a forged clip its original, of a real one a forgery made from it: what differs
            stands in for a mask where there is none.
        all_faces: Keep every face.
    """
    persons: dict[int, list[Candidate]] = defaultdict(list)
    for person, candidate in zip(join(_sightings(candidates)), candidates, strict=True):
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


def _sightings(candidates: Sequence[Candidate]) -> list[Sighting]:
    # A folder of frames has no times: 25 a second is what most clips have.
    return [
        Sighting(
            c.place, c.index / 25 if c.time_s is None else c.time_s, c.face, c.width_px, c.scene
        )
        for c in candidates
    ]


def shrunk(pixels: Pixels) -> Pixels:
    """A frame as it is compared: small, so that its encoding's noise is averaged away."""
    scale = _SMALL_PX / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    return scaled(pixels, scale)


def _by_frame(persons: dict[int, list[Candidate]]) -> dict[int, list[tuple[int, Candidate]]]:
    """Persons and faces of each frame, by its place."""
    found: dict[int, list[tuple[int, Candidate]]] = defaultdict(list)
    for person, candidates in persons.items():
        for candidate in candidates:
            found[candidate.place].append((person, candidate))
    return found


def _spread(places: Sequence[int], most: int) -> list[int]:
    """Some of them, evenly."""
    count = min(most, len(places))
    return [places[int((n + 0.5) * len(places) / count)] for n in range(count)]


def _held(
    persons: dict[int, list[Candidate]], mask: Path
) -> tuple[dict[int, float], tuple[str, ...]]:
    """The mean share of the mask that lies in each person's boxes, over the moments looked at.

    Returns:
        Nothing, and a note, where the mask cannot be read or shows no region.
    """
    by_frame = _by_frame(persons)
    some = _spread(sorted(by_frame), 1 if len(persons) == 1 else _LOOKS)
    try:
        regions = _regions(mask, [by_frame[place][0][1].share for place in some])
    except Exception as error:
        if ran_short(error):  # another try may well go through
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
    """The share of each person's boxes that differs between two clips; none where unknown.

    Of the boxes and not of what differs: two encodings of a clip differ a little all over, and a
    larger box holds more of that.
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
            if ran_short(error):
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
    """Where they differ by more than two encodings of one clip do; nowhere if of two shapes."""
    if one.shape != other.shape:
        return np.zeros(one.shape[:2], np.bool_)
    apart = cv2.absdiff(one, other).max(axis=2)
    return np.asarray(cv2.blur(apart, (_AVERAGED_PX, _AVERAGED_PX)) >= _DIFFERENT, np.bool_)


def _inside(region: Region, candidate: Candidate) -> Region:
    """The part of a region that lies in a face's box."""
    x1, y1, x2, y2 = _scaled(candidate, region.shape[1], region.shape[0])
    return region[round(y1) : round(y2), round(x1) : round(x2)]


def _scaled(candidate: Candidate, width: int, height: int) -> Box:
    """A face's box in pixels of a mask of another size."""
    x, y = width / candidate.width_px, height / candidate.height_px
    x1, y1, x2, y2 = candidate.face.box
    return max(x1 * x, 0.0), max(y1 * y, 0.0), x2 * x, y2 * y


def _regions(mask: Path, shares: Sequence[float]) -> list[Region | None]:
    """The mask at some shares of its length; ``None`` where a frame of it cannot be decoded."""
    if mask.suffix.lower() not in CLIP_SUFFIXES:
        return [_region(open_image(mask).pixels)] * len(shares)
    return [None if frame is None else _region(frame.pixels) for frame in _frames(mask, shares)]


def _frames(clip: Path, shares: Sequence[float]) -> list[Frame | None]:
    """A clip's frames at some shares of its length; ``None`` where one cannot be decoded."""
    with open_clip(clip, frames=1) as opened:
        length_s = opened.duration_s
    frames = frames_at(clip, [share * length_s for share in shares])
    if len(frames) == len(shares):
        return list(frames)
    # Some cannot be decoded, and which of them is told by asking for each alone.
    alone = [frames_at(clip, [share * length_s]) for share in shares]
    return [found[0] if found else None for found in alone]


def _region(pixels: Pixels) -> Region:
    return np.asarray(pixels.max(axis=2) >= _FORGED, np.bool_)
