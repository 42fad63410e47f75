"""Landmarks of real faces: detected by MTCNN and cached in a file, or read from the user's file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from mesoscope.detection.stages import find_in_pictures
from mesoscope.errors import DatasetError, MesoscopeError, OutputError, SourceError
from mesoscope.errors.failures import cause, source_failure
from mesoscope.faces.main_face import MainFaceFinder
from mesoscope.runtime.threads import cores
from mesoscope.synth.files import append

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mesoscope.synth.forgery import Landmarks
    from mesoscope.synth.reals import Real
    from mesoscope.types import Found, Frame

BATCH = 8  # number of pictures whose landmarks are written together


def find_landmarks(frames: Sequence[Frame]) -> list[Landmarks | None]:
    """Detect five landmarks of each picture's main face, in the order of ``types.Face``.

    :class:`mesoscope.faces.main_face.MainFaceFinder` chooses the face.

    Args:
        frames: The pictures; a batch is faster than single pictures.

    Returns:
        ``(5, 2) float32`` in pixels for each picture; ``None`` without a face.
    """
    return [landmarks_in(found) for found in MainFaceFinder().find(frames)]


def landmarks_in(found: Found) -> Landmarks | None:
    """Return the first detection's landmarks, ``(5, 2) float32``; ``None`` without a face."""
    return np.array(found.faces[0].landmarks, np.float32) if found.faces else None


def landmarks_of(
    reals: Sequence[Real],
    *,
    cache: Path | None = None,
    jobs: int = 0,
    watch: Callable[[int], None] | None = None,
    failed: dict[str, SourceError] | None = None,
) -> dict[str, Landmarks]:
    """Detect the landmarks of many pictures on disk.

    Args:
        reals: The pictures.
        cache: File of JSON lines with earlier detections; new ones are appended.
        jobs: Number of threads; 0 = one per core.
        watch: Called after each batch with its number of pictures.
        failed: Filled with the errors of pictures that could not be read, by name. Such pictures
            are not cached.

    Returns:
        Landmarks by :attr:`Real.name`, without the pictures that have no face.

    Raises:
        DatasetError: The cache cannot be read.
        OutputError: The cache cannot be written.
    """
    known: dict[str, Landmarks | None] = {}
    if cache is not None and cache.is_file():
        _drop_incomplete_line(cache)
        known = _read_lines(cache)
    pending = [real for real in reals if real.name not in known]
    answers = find_in_pictures(
        (real.picture for real in pending), MainFaceFinder(), threads=jobs or cores()
    )
    for at in range(0, len(pending), BATCH):
        batch = pending[at : at + BATCH]
        detected: dict[str, Landmarks | None] = {}
        for real in batch:
            found = next(answers)
            if not isinstance(found, MesoscopeError):
                points = landmarks_in(found)
                # Rounded as in the cache, so that a resumed run makes the same forgeries.
                detected[real.name] = None if points is None else points.round(2)
            elif failed is not None:
                failed[real.name] = source_failure(str(real.path), found)
        known.update(detected)
        if cache is not None:
            _append(cache, detected)
        if watch is not None:
            watch(len(batch))
    names = {real.name for real in reals}
    return {name: points for name, points in known.items() if points is not None and name in names}


def read_landmarks(path: Path, root: Path) -> dict[str, Landmarks]:
    """Read landmarks from the user's file.

    Args:
        path: JSON lines, each ``{"path": …, "landmarks": [[x, y], …]}``, ``null`` for no face; or
            an ``.npz`` with ``paths`` ``(N,)`` and ``landmarks`` ``(N, K, 2)``, NaN for no face.
        root: Folder that paths are relative to; absolute paths below it are accepted.

    Returns:
        Landmarks by path relative to the root, without the pictures that have no face.

    Raises:
        DatasetError: The file cannot be read, or a row is not valid.
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


def _append(path: Path, found: dict[str, Landmarks | None]) -> None:
    lines = ""
    for name, points in found.items():
        rounded = None if points is None else points.astype(np.float64).round(2).tolist()
        lines += json.dumps({"path": name, "landmarks": rounded}) + "\n"
    append(path, lines.encode())


def _drop_incomplete_line(path: Path) -> None:
    """Truncate the incomplete last line of a killed run."""
    try:
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)
    except OSError as error:
        raise OutputError(f"{path}: cannot be continued: {cause(error)}") from error


def _read_lines(path: Path) -> dict[str, Landmarks | None]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {cause(error)}") from error
    return dict(_rows(lines, path))


def _rows(lines: Sequence[bytes], path: Path) -> Iterator[tuple[str, Landmarks | None]]:
    for number, line in enumerate(lines, 1):
        try:
            row: Any = json.loads(line)
            points = row["landmarks"]
            yield str(row["path"]), None if points is None else _points(points)
        except (ValueError, TypeError, KeyError) as error:
            raise DatasetError(
                f'{path}, line {number}: must be {{"path": …, "landmarks": [[x, y], …]}} with at '
                "least three points, or null"
            ) from error


def _read_npz(path: Path) -> dict[str, Landmarks | None]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {
                str(name): _points(points) if np.isfinite(points).all() else None
                for name, points in zip(arrays["paths"], arrays["landmarks"], strict=True)
            }
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such file: give a file of landmarks") from error
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise DatasetError(
            f"{path}: must be an .npz with paths (N,) and landmarks (N, K, 2): {cause(error)}"
        ) from error
    return found


def _points(given: object) -> Landmarks:
    points = np.asarray(given, np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError(points.shape)
    return points
