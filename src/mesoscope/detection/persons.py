"""Faces of one person joined over a clip's frames, by place, size and pose. No identity is kept."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import Face, Pixels

SAME_SCENE = 0.5  # share of pixels whose colours two frames of one shot have in common
_FACTOR = 2.0  # a face of one person does not grow or shrink by more between frames
_REACH, _REACH_A_SECOND, _REACH_MAX = 1.0, 1.0, 3.0  # in face sizes
_LEVELS = 4  # of each colour


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face in one frame of a clip.

    Attributes:
        frame: The frame's number; sightings of one frame stand together.
        time_s: Its time in seconds.
        face: Where the face is.
        width_px: The frame's width, as a clip's size may change.
        scene: Of the frame, from :func:`scene_of`.
    """

    frame: int
    time_s: float
    face: Face
    width_px: int
    scene: NDArray[np.float32]


def scene_of(pixels: Pixels) -> NDArray[np.float32]:
    """The shares of a frame's colours: alike within one shot, others after a cut.

    Args:
        pixels: ``(H, W, 3) uint8``.

    Returns:
        ``(64,) float32``, sum 1.
    """
    height, width = pixels.shape[:2]
    some = pixels[:: max(1, height // 48), :: max(1, width // 48)] // (256 // _LEVELS)
    bins = (some[..., 0] * _LEVELS + some[..., 1]) * _LEVELS + some[..., 2]
    counted = np.bincount(bins.ravel(), minlength=_LEVELS**3)
    return np.asarray(counted / counted.sum(), np.float32)


def join(sightings: Sequence[Sighting]) -> list[int]:
    """Say which sightings are of one person.

    Frame by frame, each face goes to the person whose last sighting it fits best: near its place,
    as the reach grows with the time between; of about its size; with landmarks that lie alike; and
    in a frame of much the same colours. So a cut ends a person, and a cut back to the same picture
    goes on with it. The best fits of a frame are given away first. A face that fits nobody is a
    new person.

    Args:
        sightings: In the order of time.

    Returns:
        A person's number for each, from 0 in the order of appearance; no two sightings of one
        frame have the same.
    """
    last: list[Sighting] = []  # of each person
    scenes = np.empty((0, _LEVELS**3), np.float32)  # likewise
    numbers: list[int] = []
    for _, together in groupby(sightings, key=lambda sighting: sighting.frame):
        here = list(together)
        scene = here[0].scene
        # Of a long clip's many persons few were last seen in such a scene: all are asked at once.
        alike = np.minimum(scenes[: len(last)], scene).sum(axis=1) >= SAME_SCENE
        fits = sorted(
            (cost, person, place)
            for place, sighting in enumerate(here)
            for person in np.flatnonzero(alike).tolist()
            if (cost := _misfit(last[person], sighting)) is not None
        )
        given: dict[int, int] = {}
        taken: set[int] = set()
        for _, person, place in fits:
            if place not in given and person not in taken:
                given[place] = person
                taken.add(person)
        for place, sighting in enumerate(here):
            if place in given:
                last[given[place]] = sighting
            else:
                given[place] = len(last)
                last.append(sighting)
            numbers.append(given[place])
        if len(last) > len(scenes):  # twice the room, so that growing costs little
            scenes = np.resize(scenes, (2 * len(last), scene.size))
        scenes[list(given.values())] = scene
    return numbers


def _misfit(before: Sighting, now: Sighting) -> float | None:
    """How badly two sightings of one scene fit one person; ``None`` where they cannot be one."""
    (x, y, size), (x2, y2, size2) = _place(before), _place(now)
    growth = abs(math.log2(size2 / size))
    apart = math.hypot(x2 - x, y2 - y) / math.sqrt(size * size2)
    gap_s = max(now.time_s - before.time_s, 0.0)
    if growth > math.log2(_FACTOR):
        return None
    if apart > min(_REACH + _REACH_A_SECOND * gap_s, _REACH_MAX):
        return None
    return apart + growth + _turned(before.face, now.face)


def _place(sighting: Sighting) -> tuple[float, float, float]:
    """Middle and size of a face, in widths of its frame."""
    x1, y1, x2, y2 = (v / sighting.width_px for v in sighting.face.box)
    return (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1)


def _turned(before: Face, now: Face) -> float:
    """Mean distance of the landmarks within their boxes, in face sizes; 0 where there are none."""
    if not (before.landmarks and now.landmarks):
        return 0.0
    return sum(map(math.dist, _within(before), _within(now))) / len(now.landmarks)


def _within(face: Face) -> list[tuple[float, float]]:
    x1, y1, x2, y2 = face.box
    size = max(x2 - x1, y2 - y1)
    return [((x - x1) / size, (y - y1) / size) for x, y in face.landmarks]
