"""Landmarks of real faces: found by MTCNN, kept in a file, or given by the user in one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import cv2
import numpy as np

from mesoscope.errors import DatasetError, OutputError, SourceError
from mesoscope.faces.mtcnn import MtcnnFinder
from mesoscope.media.image import open_image
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mesoscope.synth.forgery import Landmarks
    from mesoscope.synth.reals import Real
    from mesoscope.types import Face

BATCH = 8  # pictures that are looked at together: the finder fills its batches across them
_LEAST_FACE = 1 / 16  # of a picture's longest side; smaller faces of large photos are left alone
_LEAST_PX = 40
_BATCH_BYTES = 64 << 20  # of pixels in memory at once: photos may be large
_PAD = 0.35  # of the sides: around a tight crop, so that the finder sees a face in a picture


def find_landmarks(frames: Sequence[Frame]) -> list[Landmarks | None]:
    """Five landmarks of each picture's main face, in the order of :class:`mesoscope.types.Face`.

    Which face that is, see :func:`find_main_faces`.

    Args:
        frames: The pictures; several at once are quicker than one after the other.

    Returns:
        ``(5, 2) float32`` each, in pixels; ``None`` where no face was found.
    """
    faces = find_main_faces(frames)
    return [None if face is None else np.array(face.landmarks, np.float32) for face in faces]


def find_main_faces(frames: Sequence[Frame]) -> list[Face | None]:
    """Each picture's main face: the largest, where one in the middle counts for more.

    Pictures in which none is found are looked at once more within a wider border, as finders miss
    faces that leave the picture.

    Args:
        frames: The pictures; several at once are quicker than one after the other.

    Returns:
        The faces, their landmarks inside the picture; ``None`` where none was found.
    """
    found = _main_faces(frames)
    missed = [i for i, face in enumerate(found) if face is None]
    wider = [_padded(frames[i]) for i in missed]
    looked = _main_faces([frame for frame, _ in wider])
    for i, face, (_, border) in zip(missed, looked, wider, strict=True):
        if face is not None:
            points = np.array(face.landmarks, np.float32) - np.array(border, np.float32)
            height, width = frames[i].pixels.shape[:2]
            if (points >= 0).all() and (points < (width, height)).all():
                found[i] = _moved(face, points, border)
    return found


def landmarks_of(
    reals: Sequence[Real],
    *,
    kept: Path | None = None,
    jobs: int = 0,
    watch: Callable[[int], None] | None = None,
) -> dict[str, Landmarks]:
    """Find the landmarks of many pictures on disk.

    Args:
        reals: The pictures; one that cannot be read has no landmarks.
        kept: A file of JSON lines that keeps what was found; what stands there is not looked for.
        jobs: Threads; 0 = one a core.
        watch: Called after each batch with its number of pictures.

    Returns:
        Landmarks by :attr:`Real.name`, of those where a face was found.

    Raises:
        DatasetError: ``kept`` cannot be read.
        OutputError: ``kept`` cannot be written.
    """
    known: dict[str, Landmarks | None] = {}
    if kept is not None and kept.is_file():
        _cut_torn(kept)
        known = _read_lines(kept)
    open_ones = [real for real in reals if real.name not in known]
    chunks = [open_ones[at : at + BATCH] for at in range(0, len(open_ones), BATCH)]
    for chunk, found in zip(
        chunks, map_ordered(_of_chunk, chunks, threads=jobs or cores(), depth=16), strict=True
    ):
        known.update(zip((real.name for real in chunk), found, strict=True))
        if kept is not None:
            _append(kept, {real.name: known[real.name] for real in chunk})
        if watch is not None:
            watch(len(chunk))
    wanted = {real.name for real in reals}
    return {name: its for name, its in known.items() if its is not None and name in wanted}


def read_landmarks(path: Path, root: Path) -> dict[str, Landmarks]:
    """Landmarks that the user has, from a file.

    Args:
        path: JSON lines, each ``{"path": …, "landmarks": [[x, y], …]}``, ``null`` for no face; or
            an ``.npz`` with ``paths`` ``(N,)`` and ``landmarks`` ``(N, K, 2)``, not a number for
            no face.
        root: Paths are relative to this folder, or lie below it.

    Returns:
        Landmarks by path relative to the root, of those that have some.

    Raises:
        DatasetError: The file cannot be read, or a row is of another form.
    """
    found = _read_npz(path) if path.suffix.lower() == ".npz" else _read_lines(path)
    base = root.resolve()
    named = {}
    for name, landmarks in found.items():
        if landmarks is not None:
            given = Path(name)
            inside = given.is_absolute() and given.resolve().is_relative_to(base)
            key = given.resolve().relative_to(base) if inside else given
            named[key.as_posix()] = landmarks
    return named


def _moved(face: Face, points: Landmarks, border: tuple[int, int]) -> Face:
    """A face that was found within a border, in the picture without it."""
    x1, y1, x2, y2 = face.box
    x, y = border
    box = (x1 - x, y1 - y, x2 - x, y2 - y)
    return replace(face, box=box, landmarks=tuple((float(u), float(v)) for u, v in points))


def _main_faces(frames: Sequence[Frame]) -> list[Face | None]:
    found: list[Face | None] = [None] * len(frames)
    groups: dict[int, list[int]] = {}
    for i, frame in enumerate(frames):
        longest = max(frame.pixels.shape[:2])
        least = max(_LEAST_PX, round(longest * _LEAST_FACE / 20) * 20)
        groups.setdefault(least, []).append(i)
    for least, places in groups.items():
        answers = MtcnnFinder(least).find([frames[i] for i in places])
        for i, answer in zip(places, answers, strict=True):
            found[i] = _main(answer.faces, frames[i])
    return found


def _main(faces: Sequence[Face], frame: Frame) -> Face | None:
    """The largest face, those far from the middle counted as smaller."""
    height, width = frame.pixels.shape[:2]

    def weight(face: Face) -> float:
        x1, y1, x2, y2 = face.box
        off = np.hypot((x1 + x2) / width - 1, (y1 + y2) / height - 1)
        return float((x2 - x1) * (y2 - y1) * (1 - 0.5 * min(off, 1)))

    return max(faces, key=weight) if faces else None


def _padded(frame: Frame) -> tuple[Frame, tuple[int, int]]:
    height, width = frame.pixels.shape[:2]
    x, y = round(width * _PAD), round(height * _PAD)
    wider = cv2.copyMakeBorder(frame.pixels, y, y, x, x, cv2.BORDER_REPLICATE)
    return Frame(np.asarray(wider, np.uint8), frame.source), (x, y)


def _of_chunk(reals: Sequence[Real]) -> list[Landmarks | None]:
    found: list[Landmarks | None] = [None] * len(reals)
    frames: dict[int, Frame] = {}
    for i, real in enumerate(reals):
        try:
            frames[i] = open_image(real.picture)
        except SourceError:  # the reason is given when the picture is to be forged
            continue
        if sum(frame.pixels.size for frame in frames.values()) > _BATCH_BYTES:
            _look(frames, found)
    _look(frames, found)
    return found


def _look(frames: dict[int, Frame], found: list[Landmarks | None]) -> None:
    """Find the landmarks of some pictures, and let go of them."""
    for i, landmarks in zip(frames, find_landmarks(list(frames.values())), strict=True):
        # As the file keeps them, so that a run that goes on makes what a whole one makes.
        found[i] = None if landmarks is None else landmarks.round(2)
    frames.clear()


def _append(path: Path, found: dict[str, Landmarks | None]) -> None:
    kept = {
        name: None if its is None else its.astype(np.float64).round(2).tolist()
        for name, its in found.items()
    }
    lines = "".join(
        json.dumps({"path": name, "landmarks": its}) + "\n" for name, its in kept.items()
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            file.write(lines.encode())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _cut_torn(path: Path) -> None:
    """Cut off the half line that a killed run left behind."""
    try:
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)
    except OSError as error:
        raise OutputError(f"{path}: cannot be gone on with: {error.strerror}") from error


def _read_lines(path: Path) -> dict[str, Landmarks | None]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    return dict(_rows(lines, path))


def _rows(lines: Sequence[bytes], path: Path) -> Iterator[tuple[str, Landmarks | None]]:
    for number, line in enumerate(lines, 1):
        try:
            row: Any = json.loads(line)
            its = row["landmarks"]
            yield str(row["path"]), None if its is None else _points(its)
        except (ValueError, TypeError, KeyError) as error:
            raise DatasetError(
                f'{path}, line {number}: must be {{"path": …, "landmarks": [[x, y], …]}} with at '
                "least three points, or null"
            ) from error


def _read_npz(path: Path) -> dict[str, Landmarks | None]:
    try:
        with np.load(path, allow_pickle=False) as held:
            paths, every = held["paths"], held["landmarks"]
            found = {
                str(name): _points(its) if np.isfinite(its).all() else None
                for name, its in zip(paths, every, strict=True)
            }
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file: give a file of landmarks") from error
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise DatasetError(
            f"{path}: must be an .npz with paths (N,) and landmarks (N, K, 2): {error}"
        ) from error
    return found


def _points(given: object) -> Landmarks:
    points = np.asarray(given, np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError(points.shape)
    return points
