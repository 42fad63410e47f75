"""Landmarks of real faces: found by MTCNN, kept in a file, or given by the user in one."""

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

BATCH = 8  # pictures whose landmarks are written down together


def find_landmarks(frames: Sequence[Frame]) -> list[Landmarks | None]:
    """Five landmarks of each picture's main face, in the order of :class:`mesoscope.types.Face`.

    Which face that is, see :class:`mesoscope.faces.main_face.MainFaceFinder`.

    Args:
        frames: The pictures; several at once are quicker than one after the other.

    Returns:
        ``(5, 2) float32`` each, in pixels; ``None`` where no face was found.
    """
    return [landmarks_in(found) for found in MainFaceFinder().find(frames)]


def landmarks_in(found: Found) -> Landmarks | None:
    """``(5, 2) float32`` of the face that :class:`MainFaceFinder` found, if it found one."""
    return np.array(found.faces[0].landmarks, np.float32) if found.faces else None


def landmarks_of(
    reals: Sequence[Real],
    *,
    kept: Path | None = None,
    jobs: int = 0,
    watch: Callable[[int], None] | None = None,
    failed: dict[str, SourceError] | None = None,
) -> dict[str, Landmarks]:
    """Find the landmarks of many pictures on disk.

    Args:
        reals: The pictures; one that cannot be read has no landmarks.
        kept: A file of JSON lines that keeps what was found; what stands there is not looked for.
        jobs: Threads; 0 = one a core.
        watch: Called after each batch with its number of pictures.
        failed: Takes, by name, what could not be read or looked at, whatever was raised. Such a
            picture is not kept as one without a face: the next run looks at it again.

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
    answers = find_in_pictures(
        (real.picture for real in open_ones), MainFaceFinder(), threads=jobs or cores()
    )
    for at in range(0, len(open_ones), BATCH):
        chunk = open_ones[at : at + BATCH]
        seen: dict[str, Landmarks | None] = {}
        for real in chunk:
            found = next(answers)
            if not isinstance(found, MesoscopeError):
                seen[real.name] = _as_kept(found)
            elif failed is not None:
                failed[real.name] = source_failure(str(real.path), found)
        known.update(seen)
        if kept is not None:
            _append(kept, seen)
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


def _as_kept(found: Found) -> Landmarks | None:
    """Landmarks rounded as the file keeps them, so that a run that goes on makes the same."""
    points = landmarks_in(found)
    return None if points is None else points.round(2)


def _append(path: Path, found: dict[str, Landmarks | None]) -> None:
    kept = {
        name: None if its is None else its.astype(np.float64).round(2).tolist()
        for name, its in found.items()
    }
    lines = "".join(
        json.dumps({"path": name, "landmarks": its}) + "\n" for name, its in kept.items()
    )
    append(path, lines.encode())


def _cut_torn(path: Path) -> None:
    """Cut off the half line that a killed run left behind."""
    try:
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            os.truncate(path, data.rfind(b"\n") + 1)
    except OSError as error:
        raise OutputError(f"{path}: cannot be gone on with: {cause(error)}") from error


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
            f"{path}: must be an .npz with paths (N,) and landmarks (N, K, 2): {cause(error)}"
        ) from error
    return found


def _points(given: object) -> Landmarks:
    points = np.asarray(given, np.float32)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError(points.shape)
    return points
