"""Face boxes and landmarks of train pictures, and made forgeries of validation pictures.

Data sets frame faces differently: video faces are cropped tightly, portraits show their
surroundings. A network that sees each source in one framing uses the framing as a cue. Crops around
the found face with a random margin remove that cue, and match the crops of a face finder
(``augment.reframe``).

Landmarks are found once and kept in the run folder. Where the validation split has no fakes, one
forgery of each of its reals is made and kept there, with the matching real picture. Calibration and
figures are then those of made forgeries, and the card says so.
"""

from __future__ import annotations

import dataclasses
import zlib
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from mesoscope.data.sample import Sample, open_sample
from mesoscope.detection.stages import find_in_pictures
from mesoscope.errors import DatasetError, MesoscopeError, OutputError, RunError
from mesoscope.errors.failures import cause
from mesoscope.faces.main_face import MainFaceFinder
from mesoscope.files.atomic import output_path, write_bytes
from mesoscope.imaging.encode import png
from mesoscope.runtime.log import logger
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.synth.landmarks import landmarks_in
from mesoscope.training.data.forging import ForgeryMaker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lightning_fabric import Fabric
    from numpy.typing import NDArray

    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.fit.watcher import RunWatcher
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Found


BOXES = "faces.npz"


def find_main_faces(
    data: Survey, recipe: Recipe, run: Path, fabric: Fabric, watcher: RunWatcher
) -> Survey:
    """Find the main face of every train picture.

    Args:
        data: The survey.
        recipe: The recipe; without ``augment.reframe``, ``averaged`` or ``swapped`` nothing is
            done.
        run: The run folder; it keeps the boxes for resumed runs.
        fabric: The first process works, the others wait and read.
        watcher: Receives progress.

    Returns:
        The survey with the boxes, and the landmarks where forgeries follow them.

    Raises:
        OutputError: The run folder cannot be written.
    """
    augment = recipe.augment
    if not (augment.reframe or augment.needs_landmarks):
        return data
    if fabric.is_global_zero:
        _keep_boxes(data, run, watcher)
    fabric.barrier()
    data = dataclasses.replace(data, boxes=_boxes(run, data.digests))
    if augment.warped or augment.reconstructed or augment.needs_landmarks:
        kept = _loaded(run / BOXES, "landmarks")["landmarks"]
        data = dataclasses.replace(data, landmarks=np.asarray(kept, np.float32))
    return data


def _keep_boxes(data: Survey, run: Path, watcher: RunWatcher) -> None:
    kept, samples = run / BOXES, data.train
    if kept.exists() and _boxes(run, data.digests) is not None:
        return
    boxes = np.full((len(samples), 4), np.nan, np.float32)  # NaN where no face is found
    points = np.full((len(samples), 5, 2), np.nan, np.float32)
    found = _main_faces(samples, watcher, "finding the face in each train picture")
    for place, answer in enumerate(found):
        its = landmarks_in(answer)
        if its is not None:
            boxes[place], points[place] = answer.faces[0].box, its
    with output_path(kept) as part, part.open("wb") as file:
        np.savez_compressed(file, boxes=boxes, landmarks=points, digests=np.array(data.digests))
    seen = int(np.isfinite(boxes).all(1).sum())
    logger.info(f"faces found in {seen} of {len(samples)} train pictures")


def _main_faces(samples: Sequence[Sample], watcher: RunWatcher, what: str) -> Iterator[Found]:
    """Find the main face of each picture; the first that cannot be read ends the run."""
    answers = find_in_pictures(
        (sample.picture for sample in samples), MainFaceFinder(), threads=cores()
    )
    for answer in watcher.count(answers, len(samples), what):
        if isinstance(answer, MesoscopeError):
            raise answer
        yield answer


def _boxes(run: Path, digests: str) -> NDArray[np.float32] | None:
    """Return the kept boxes, ``None`` if they belong to other pictures."""
    kept = _loaded(run / BOXES, "boxes", "digests")
    return np.asarray(kept["boxes"], np.float32) if str(kept["digests"]) == digests else None


def _loaded(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    """Arrays that were kept in a run folder.

    Raises:
        RunError: They cannot be read.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return {name: kept[name] for name in names}
    except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile, zlib.error) as error:
        raise RunError(
            f"{path}: cannot be read, {cause(error)}: remove it, and it is made anew"
        ) from error


LANDMARKS, FORGED = "landmarks.npz", "forged"
_VALIDATION = 1 << 30  # replaces the epoch in a key


def prepare_forging(
    data: Survey, recipe: Recipe, run: Path, fabric: Fabric, watcher: RunWatcher
) -> Survey:
    """Find landmarks, and make validation forgeries if the split has no fakes.

    Args:
        data: The survey.
        recipe: The recipe; without forgeries in it nothing is done.
        run: The run folder; it keeps both for resumed runs.
        fabric: The first process works, the others wait and read.
        watcher: Receives progress.

    Returns:
        The survey with both.

    Raises:
        DatasetError: No real picture to forge has landmarks.
        OutputError: The run folder cannot be written.
    """
    keys = recipe.synth
    if not (keys.blend or keys.edit):
        return data
    made = all(s.label == 0 for s in data.validation)
    if fabric.is_global_zero:
        _keep_landmarks(data, run, watcher)
    fabric.barrier()
    points = _landmarks(run)
    train, validation = points[: len(data.train)], points[len(data.train) :]
    _refuse_blind(data.train, train, "train")
    if made:
        _refuse_blind(data.validation, validation, "validation")
        forge = ForgeryMaker(keys, data.validation, validation)
        pairs = _pairs(forge, data.validation)
        if fabric.is_global_zero:
            _keep_forgeries(forge, pairs, recipe.seed, run, watcher)
        fabric.barrier()
        data = dataclasses.replace(data, validation=tuple(_kept(run, pairs)), forged=True)
    return dataclasses.replace(data, points=train)


def _keep_landmarks(data: Survey, run: Path, watcher: RunWatcher) -> None:
    kept, samples = run / LANDMARKS, (*data.train, *data.validation)
    if kept.exists() and len(_landmarks(run)) == len(samples):
        return
    real = [place for place, sample in enumerate(samples) if sample.label == 0]
    points = np.full((len(samples), 5, 2), np.nan, np.float32)  # NaN without a face
    found = _main_faces(
        [samples[place] for place in real], watcher, "finding landmarks of the real pictures"
    )
    for place, answer in zip(real, found, strict=True):
        its = landmarks_in(answer)
        if its is not None:
            points[place] = its
    with output_path(kept) as part, part.open("wb") as file:
        np.savez_compressed(file, landmarks=points)
    seen = int(np.isfinite(points[real]).all((1, 2)).sum())
    logger.info(f"landmarks found in {seen} of {len(real)} real pictures")


def _landmarks(run: Path) -> NDArray[np.float32]:
    return np.asarray(_loaded(run / LANDMARKS, "landmarks")["landmarks"], np.float32)


def _refuse_blind(samples: Sequence[Sample], points: NDArray[np.float32], split: str) -> None:
    reals = np.array([s.label == 0 for s in samples])
    if not np.asarray(np.isfinite(points).all((1, 2)))[reals].any():
        raise DatasetError(
            f"{split}: no face was found in any of {reals.sum()} real pictures, so none can be "
            "forged: give pictures of faces, or a recipe without [synth]"
        )


def _pairs(forge: ForgeryMaker, validation: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    """Pair each real picture that can be forged with the forgery to make."""
    by_file = {s.file: s for s in validation}
    return [(by_file[s.file], s) for s in forge.samples if s.label == 1]


def _keep_forgeries(
    forge: ForgeryMaker,
    pairs: Sequence[tuple[Sample, Sample]],
    seed: int,
    run: Path,
    watcher: RunWatcher,
) -> None:
    def make(place: int) -> None:
        for sample, path in zip(pairs[place], _paths(run, place), strict=True):
            if path.exists():
                continue
            made = forge.picture(sample, (seed, _VALIDATION, place))
            pixels = open_sample(sample) if made is None else made
            write_bytes(path, png(pixels), sync=False)

    try:
        for path in _paths(run, 0):
            path.parent.mkdir(parents=True, exist_ok=True)
        work = map_ordered(make, range(len(pairs)), threads=cores())
        for _ in watcher.count(work, len(pairs), "making forgeries to validate by"):
            pass
    except OSError as error:
        raise OutputError(f"{run / FORGED}: cannot be written: {cause(error)}") from error


def _paths(run: Path, place: int) -> tuple[Path, Path]:
    """Return the paths of a pair: the real picture and its forgery."""
    name = f"{place:06d}.png"
    return run / FORGED / "real" / name, run / FORGED / "fake" / name


def _kept(run: Path, pairs: Sequence[tuple[Sample, Sample]]) -> list[Sample]:
    return [
        Sample(path, sample.label, sample.source, sample.group, "validation")
        for place, pair in enumerate(pairs)
        for sample, path in zip(pair, _paths(run, place), strict=True)
    ]
