"""Tracking of persons over the frames of a clip, by position, size and pose of their faces.

No identity is stored.
"""

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

SAME_SCENE = 0.5  # smallest overlap of the colour histograms of two frames of one shot
_FACTOR = 2.0  # largest change of a person's face size between frames
_REACH, _REACH_A_SECOND, _REACH_MAX = 1.0, 1.0, 3.0  # in face sizes
_LEVELS = 4  # bins per colour channel


@dataclass(frozen=True, slots=True)
class Observation:
    """A face in one frame of a clip.

    Attributes:
        frame: Number of the frame; observations of one frame are consecutive.
        time_s: Its time in seconds.
        face: The detection.
        width_px: Width of the frame; the size may change within a clip.
        scene: Colour histogram of the frame, from :func:`scene_of`.
    """

    frame: int
    time_s: float
    face: Face
    width_px: int
    scene: NDArray[np.float32]


def scene_of(pixels: Pixels) -> NDArray[np.float32]:
    """Compute a colour histogram, which is similar within a shot and changes at a cut.

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


def track_persons(observations: Sequence[Observation]) -> list[int]:
    """Assign faces to persons.

    In each frame, a face is assigned to the person whose last observation has the lowest cost:
    nearby (the radius grows with time), of similar size, with similar landmarks, in a frame with a
    similar colour histogram. A cut therefore ends a person, and a cut back continues it. Pairs are
    assigned greedily, the lowest cost first. A face without a match is a new person.

    Args:
        observations: Observations in the order of time.

    Returns:
        Number of the person for each observation, from 0 in the order of appearance; different
        within a frame.
    """
    last: list[Observation] = []  # last one of each person
    scenes = np.empty((0, _LEVELS**3), np.float32)  # histogram of each
    numbers: list[int] = []
    for _, together in groupby(observations, key=lambda observation: observation.frame):
        here = list(together)
        scene = here[0].scene
        # A long clip has many persons, and few in similar scenes: compared in one operation.
        alike = np.minimum(scenes[: len(last)], scene).sum(axis=1) >= SAME_SCENE
        fits = sorted(
            (cost, person, place)
            for place, observation in enumerate(here)
            for person in np.flatnonzero(alike).tolist()
            if (cost := _cost(last[person], observation)) is not None
        )
        given: dict[int, int] = {}
        taken: set[int] = set()
        for _, person, place in fits:
            if place not in given and person not in taken:
                given[place] = person
                taken.add(person)
        for place, observation in enumerate(here):
            if place in given:
                last[given[place]] = observation
            else:
                given[place] = len(last)
                last.append(observation)
            numbers.append(given[place])
        if len(last) > len(scenes):  # doubled, so that growing is cheap on average
            scenes = np.resize(scenes, (2 * len(last), scene.size))
        scenes[list(given.values())] = scene
    return numbers


def _cost(before: Observation, now: Observation) -> float | None:
    """Return the cost of assigning an observation to a person; ``None`` if it is impossible."""
    (x, y, size), (x2, y2, size2) = _place(before), _place(now)
    growth = abs(math.log2(size2 / size))
    apart = math.hypot(x2 - x, y2 - y) / math.sqrt(size * size2)
    gap_s = max(now.time_s - before.time_s, 0.0)
    if growth > math.log2(_FACTOR):
        return None
    if apart > min(_REACH + _REACH_A_SECOND * gap_s, _REACH_MAX):
        return None
    return apart + growth + _landmark_distance(before.face, now.face)


def _place(observation: Observation) -> tuple[float, float, float]:
    """Return centre and size of a face, relative to the frame's width."""
    x1, y1, x2, y2 = (v / observation.width_px for v in observation.face.box)
    return (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, y2 - y1)


def _landmark_distance(before: Face, now: Face) -> float:
    """Return the mean distance of the landmarks within their boxes, in face sizes; 0 without."""
    if not (before.landmarks and now.landmarks):
        return 0.0
    return sum(map(math.dist, _within(before), _within(now))) / len(now.landmarks)


def _within(face: Face) -> list[tuple[float, float]]:
    x1, y1, x2, y2 = face.box
    size = max(x2 - x1, y2 - y1)
    return [((x - x1) / size, (y - y1) / size) for x, y in face.landmarks]
