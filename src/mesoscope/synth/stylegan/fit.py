"""A resumable training run of a generator on a folder of real faces."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch

from mesoscope.errors import OutputError, RunError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import remove_temporary_files, write_bytes
from mesoscope.runtime.log import logger
from mesoscope.synth.files import GO_ON, locked
from mesoscope.synth.stylegan import checkpoint, training_set
from mesoscope.synth.stylegan.distance import Features, cloud_of, frechet
from mesoscope.synth.stylegan.loading import save_generator
from mesoscope.synth.stylegan.sampling import SamplingSettings, generate, grid, write_picture
from mesoscope.synth.stylegan.training_step import StepPosition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from torch import Tensor

    from mesoscope.synth.stylegan.distance import Cloud
    from mesoscope.synth.stylegan.training_set import Reals
    from mesoscope.synth.stylegan.training_step import TrainSettings

CHECKPOINT: Final = "checkpoint.safetensors"
REALS: Final = "reals.u8"
# Files of a run that was killed before its first checkpoint.
_INCOMPLETE = ("samples", REALS, f".{REALS}", f".{CHECKPOINT}.")
_SAMPLES = 36
_DISTANCE_SEED = 1_000_000  # seeds of measured fakes differ from those of samples
_DISTANCE_BATCH = 32


class FitWatcher(Protocol):
    """Callbacks of a run."""

    def step(self, *, shown: int, total: int, losses: dict[str, float]) -> None:
        """Called after each step with the number of reals shown, the total and the losses."""
        ...

    def snapshot(self, record: dict[str, Any]) -> None:
        """Called after each snapshot with its record in ``log.jsonl``."""
        ...

    def count(self, items: Iterable[int], total: int) -> Iterable[int]:
        """Wrap the iterator over the reals."""
        ...


class LoggedFitWatcher:
    """The default watcher: logs one line per snapshot."""

    def step(self, *, shown: int, total: int, losses: dict[str, float]) -> None:
        """Do nothing."""

    def snapshot(self, record: dict[str, Any]) -> None:
        """Log the record."""
        logger.info(snapshot_line(record))

    def count(self, items: Iterable[int], total: int) -> Iterable[int]:  # noqa: ARG002
        """Return the items."""
        return items


def snapshot_line(record: dict[str, Any]) -> str:
    """Format a snapshot's record in one line."""
    distance = f", distance {record['distance']:.2f}" if "distance" in record else ""
    return (
        f"{record['kimg']:g} thousand pictures: loss G {record['loss_g']:.3f}, "
        f"D {record['loss_d']:.3f}, augmentation {100 * record['augment_p']:.1f} %"
        f"{distance}, {record['images_per_s']:.1f} pictures/s"
    )


def fit(
    root: Path,
    run: Path,
    settings: TrainSettings,
    watcher: FitWatcher | None = None,
    *,
    kimg: float,
    snapshot_kimg: float,
    device: torch.device,
    resume: bool = False,
    distance_pictures: int = 1000,
    min_pictures: int = training_set.PICTURES_MIN,
) -> checkpoint.GanState:
    """Train a generator.

    The run folder has ``generator.safetensors`` (averaged weights), ``best.safetensors`` (those
    with the smallest distance), ``samples/*.png``, ``log.jsonl``, ``checkpoint.safetensors`` and
    the resized reals.

    Args:
        root: Folder of the reals.
        run: The run folder.
        settings: Training settings.
        watcher: Callbacks; by default one line is logged per snapshot.
        kimg: Total number of reals to show, in thousands.
        snapshot_kimg: Interval of snapshots in thousand reals; there is one at the end.
        device: Device to train on.
        resume: Resume the run in the folder.
        distance_pictures: Number of fakes, and maximum number of reals, for the distance; 0 = off.
        min_pictures: Minimum number of reals.

    Raises:
        DatasetError: The folder of the reals is missing, or has too few pictures.
        OptionError: Another process trains in the run folder.
        RunError: The run folder has another run, or training diverged.
        OutputError: A file cannot be written.
        MissingExtra: The network of the distance is not installed.
    """
    watcher = watcher or LoggedFitWatcher()
    with _locked_run(run, resume=resume):
        at = StepPosition(settings, device)
        reals, state = _start(
            root, run, settings, watcher, at, resume=resume, min_pictures=min_pictures
        )
        measure = _Distance(reals, distance_pictures, device) if distance_pictures else None
        steps = math.ceil(kimg * 1000 / settings.batch)
        interval = max(1, round(snapshot_kimg * 1000 / settings.batch))
        start_s, first_step = time.monotonic(), at.step
        history: dict[str, list[float]] = {}
        while at.step < steps:
            losses = at.advance(
                training_set.batch_of(
                    reals, at.shown, settings.batch,
                    seed=settings.seed, mirror=settings.mirror, device=device,
                )
            )  # fmt: skip
            if not all(math.isfinite(value) for value in losses.values()):
                raise RunError(
                    f"{run}: training diverged after {at.shown / 1000:.1f} thousand pictures: "
                    "start again with a larger `r1` or a smaller `learning_rate`"
                )
            for name, value in losses.items():
                history.setdefault(name, []).append(value)
            watcher.step(shown=at.shown, total=steps * settings.batch, losses=losses)
            if at.step % interval == 0 or at.step == steps:
                elapsed_s = time.monotonic() - start_s
                record = {
                    "kimg": round(at.shown / 1000, 4),
                    **{name: round(sum(vs) / len(vs), 5) for name, vs in history.items()},
                    "augment_p": round(at.controller.p, 5),
                    "images_per_s": round((at.step - first_step) * settings.batch / elapsed_s, 2),
                }
                history = {}
                _snapshot(run, at, state, record, measure)
                watcher.snapshot(record)
    return state


@contextlib.contextmanager
def _locked_run(run: Path, *, resume: bool) -> Iterator[None]:
    """Create and lock a run folder, and remove the temporary files of killed runs.

    Raises:
        OptionError: Another process trains in the folder.
        RunError: The folder has another run, or other content.
        OutputError: The folder cannot be created.
    """
    if not resume:
        _refuse_existing(run)
    elif not (run / CHECKPOINT).is_file():  # loading the checkpoint raises the error
        yield
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{run}: cannot be used as a folder: {cause(error)}") from error
    lock = locked(run)
    try:
        remove_temporary_files(run)
        for part in run.glob(".*.safetensors.*"):  # temporary files of version 0.1
            part.unlink(missing_ok=True)
        yield
    finally:
        if not (run / CHECKPOINT).exists():  # the run failed: remove its folder if it is empty
            with contextlib.suppress(OSError):
                run.rmdir()
        if lock is not None:
            os.close(lock)


def _refuse_existing(run: Path) -> None:
    """Refuse a folder with a run or other content; files of an incomplete run are accepted."""
    if (run / CHECKPOINT).exists():
        raise RunError(f"{run}: has a run: continue it with `resume`, or choose a new folder")
    try:
        found = sorted(path.name for path in run.iterdir()) if run.exists() else []
    except OSError as error:
        raise OutputError(f"{run}: cannot be used as a folder: {cause(error)}") from error
    others = [name for name in found if not name.startswith(_INCOMPLETE)]
    if others:
        raise RunError(f"{run}: is not empty ({others[0]}): choose a new folder")


def _start(
    root: Path,
    run: Path,
    settings: TrainSettings,
    watcher: FitWatcher,
    at: StepPosition,
    *,
    resume: bool,
    min_pictures: int,
) -> tuple[Reals, checkpoint.GanState]:
    """Return the reals and the state of a new or resumed run."""
    path = run / CHECKPOINT
    if resume:
        state = checkpoint.load(path, at, settings.plain())
        reals = training_set.reopen(run / REALS, settings.size, state.data_sha256)
        logger.info(f"{run}: resumed at {at.shown / 1000:.1f} thousand pictures")
        return reals, state
    reals = training_set.gather(
        root, run / REALS, settings.size, min_pictures=min_pictures, watch=watcher.count
    )
    count = len(reals.pixels)
    logger.info(f"{root}: {count:,} real pictures at {settings.size} px")
    if reals.left_out:
        first = next(iter(reals.left_out.values()))
        logger.info(f"left out: {len(reals.left_out):,} pictures (first: {first})")
    if count < training_set.PICTURES_FEW:
        logger.warning(
            f"fewer than {training_set.PICTURES_FEW:,} pictures: generated faces will resemble them"
        )
    write_picture(run / "samples/reals.png", grid(list(reals.pixels[:_SAMPLES])))
    state = checkpoint.GanState(settings.plain(), reals.sha256)
    checkpoint.save(path, at, state)
    return reals, state


def _snapshot(
    run: Path, at: StepPosition, state: checkpoint.GanState, record: dict[str, Any],
    measure: _Distance | None,
) -> None:  # fmt: skip
    """Write samples, weights, the checkpoint and the log."""
    faces = list(generate(at.averaged, range(_SAMPLES), settings=SamplingSettings(truncation=1.0)))
    write_picture(run / f"samples/{at.shown:09}.png", grid([one.pixels for one in faces]))
    about = {"kimg": record["kimg"], "settings": at.settings.plain()}
    if measure is not None:
        distance = measure(at)
        record["distance"] = about["distance"] = round(distance, 3)
        if state.best is None or distance < state.best:
            state.best = distance
            save_generator(run / "best.safetensors", at.averaged, about)
    save_generator(run / "generator.safetensors", at.averaged, about)
    state.history.append(record)
    checkpoint.save(run / CHECKPOINT, at, state)
    # Rewritten from the history, so that a resumed run does not duplicate lines.
    lines = "".join(json.dumps(line) + "\n" for line in state.history)
    write_bytes(run / "log.jsonl", lines.encode(), hint=GO_ON, parents=True)


class _Distance:
    """Measures the distance of generators to the same reals, with the same latents."""

    def __init__(self, reals: Reals, pictures: int, device: torch.device) -> None:
        self._features, self._pictures = Features(device), max(pictures, 2)
        # Evenly spaced, as consecutive pictures may be of one person.
        step = max(1, len(reals.pixels) // self._pictures)
        chosen = reals.pixels[::step][: self._pictures]
        self._reals: Cloud = cloud_of(
            self._features.of(training_set.to_tensor(chosen[i : i + _DISTANCE_BATCH]))
            for i in range(0, len(chosen), _DISTANCE_BATCH)
        )

    def __call__(self, at: StepPosition) -> float:
        return frechet(self._reals, cloud_of(self._fakes(at)))

    @torch.no_grad()
    def _fakes(self, at: StepPosition) -> Iterator[Tensor]:
        """Yield features of fakes without truncation, as for FID."""
        seeds = range(_DISTANCE_SEED, _DISTANCE_SEED + self._pictures)
        batch = []
        untruncated = SamplingSettings(truncation=1.0)
        for face in generate(at.averaged, seeds, settings=untruncated, batch=_DISTANCE_BATCH):
            batch.append(torch.from_numpy(face.pixels))
            if len(batch) == _DISTANCE_BATCH or face.seed == seeds[-1]:
                pixels = torch.stack(batch).numpy()
                yield self._features.of(training_set.to_tensor(pixels))
                batch = []
