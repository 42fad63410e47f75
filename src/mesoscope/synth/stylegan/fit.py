"""A run: train a generator on a folder of real faces, with snapshots that it can go on from."""

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
from mesoscope.files.whole import sweep, write_whole
from mesoscope.runtime.log import logger
from mesoscope.synth.files import GO_ON, locked
from mesoscope.synth.stylegan import checkpoint, training_set
from mesoscope.synth.stylegan.distance import Features, cloud_of, frechet
from mesoscope.synth.stylegan.loading import save_generator
from mesoscope.synth.stylegan.making import SamplingSettings, generate, grid, write_picture
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
# What a run that was killed before its first checkpoint may have left.
_BEGUN = ("samples", REALS, f".{REALS}", f".{CHECKPOINT}.")
_SAMPLES = 36
_DISTANCE_SEED = 1_000_000  # the fakes measured are not those shown
_DISTANCE_BATCH = 32


class FitWatcher(Protocol):
    """Shown what a run does; the command line draws bars and lines from it."""

    def step(self, *, shown: int, total: int, said: dict[str, float]) -> None:
        """After each step: reals shown of all, and what was measured."""
        ...

    def snapshot(self, record: dict[str, Any]) -> None:
        """After each snapshot: its line of ``log.jsonl``."""
        ...

    def count(self, items: Iterable[int], total: int) -> Iterable[int]:
        """Wraps the reading of the reals."""
        ...


class LoggedFitWatcher:
    """Without bars: a line of the log a snapshot. What is watched with where nothing is given."""

    def step(self, *, shown: int, total: int, said: dict[str, float]) -> None:
        """Nothing: steps are many."""

    def snapshot(self, record: dict[str, Any]) -> None:
        """Log what was measured."""
        logger.info(snapshot_line(record))

    def count(self, items: Iterable[int], total: int) -> Iterable[int]:  # noqa: ARG002
        """The items."""
        return items


def snapshot_line(record: dict[str, Any]) -> str:
    """What a snapshot measured, in a line; ``record`` is its line of ``log.jsonl``."""
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
    least: int = training_set.PICTURES_MIN,
) -> checkpoint.GanState:
    """Train until so many thousand reals were shown.

    The run folder holds ``generator.safetensors`` (the averaged weights; ``best.safetensors`` where
    the distance was smallest), ``samples/*.png``, ``log.jsonl``, ``checkpoint.safetensors`` and the
    reals at their size.

    Args:
        root: The reals.
        run: The run folder.
        settings: How to train.
        watcher: Shown the progress; ``None`` logs a line a snapshot.
        kimg: Thousand reals to show in all.
        snapshot_kimg: A snapshot each so many thousand reals, and at the end.
        device: To train on.
        resume: Go on with the run in the folder.
        distance_pictures: Fakes, and reals at most, that the distance is measured on; 0 = never.
        least: Fewer reals are refused.

    Raises:
        DatasetError: No such folder, or too few pictures.
        OptionError: Another process trains in the folder.
        RunError: The folder holds another run, or training diverged.
        OutputError: Something cannot be written.
        MissingExtra: The network behind the distance is not installed.
    """
    watcher = watcher or LoggedFitWatcher()
    with _alone(run, resume=resume):
        at = StepPosition(settings, device)
        reals, state = _begin(root, run, settings, watcher, at, resume=resume, least=least)
        measure = _Distance(reals, distance_pictures, device) if distance_pictures else None
        steps = math.ceil(kimg * 1000 / settings.batch)
        each = max(1, round(snapshot_kimg * 1000 / settings.batch))
        started, began = time.monotonic(), at.step
        losses: dict[str, list[float]] = {}
        while at.step < steps:
            said = at.advance(
                training_set.batch_of(
                    reals, at.shown, settings.batch,
                    seed=settings.seed, mirror=settings.mirror, device=device,
                )
            )  # fmt: skip
            if not all(math.isfinite(value) for value in said.values()):
                raise RunError(
                    f"{run}: training diverged after {at.shown / 1000:.1f} thousand pictures: "
                    "begin again with a larger `r1` or a smaller `learning_rate`"
                )
            for name, value in said.items():
                losses.setdefault(name, []).append(value)
            watcher.step(shown=at.shown, total=steps * settings.batch, said=said)
            if at.step % each == 0 or at.step == steps:
                elapsed = time.monotonic() - started
                record = {
                    "kimg": round(at.shown / 1000, 4),
                    **{name: round(sum(held) / len(held), 5) for name, held in losses.items()},
                    "augment_p": round(at.controller.p, 5),
                    "images_per_s": round((at.step - began) * settings.batch / elapsed, 2),
                }
                losses = {}
                _snapshot(run, at, state, record, measure)
                watcher.snapshot(record)
    return state


@contextlib.contextmanager
def _alone(run: Path, *, resume: bool) -> Iterator[None]:
    """Keep other runs off a folder, and remove what a killed one left half written.

    Raises:
        OptionError: Another process trains in it.
        RunError: It holds another run, or something else.
        OutputError: It cannot be made.
    """
    if not resume:
        _refuse_taken(run)
    elif not (run / CHECKPOINT).is_file():  # what reads it says so
        yield
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{run}: cannot be used as a folder: {cause(error)}") from error
    lock = locked(run)
    try:
        sweep(run)
        for part in run.glob(".*.safetensors.*"):  # as 0.1 named them
            part.unlink(missing_ok=True)
        yield
    finally:
        if not (run / CHECKPOINT).exists():  # nothing came of it: an empty folder goes
            with contextlib.suppress(OSError):
                run.rmdir()
        if lock is not None:
            os.close(lock)


def _refuse_taken(run: Path) -> None:
    """See that a folder is new, or holds what a run left that was killed early."""
    if (run / CHECKPOINT).exists():
        raise RunError(f"{run}: holds a run already: go on with `resume`, or choose a new folder")
    try:
        found = sorted(path.name for path in run.iterdir()) if run.exists() else []
    except OSError as error:
        raise OutputError(f"{run}: cannot be used as a folder: {cause(error)}") from error
    others = [name for name in found if not name.startswith(_BEGUN)]
    if others:
        raise RunError(f"{run}: holds something else already ({others[0]}): choose a new folder")


def _begin(
    root: Path,
    run: Path,
    settings: TrainSettings,
    watcher: FitWatcher,
    at: StepPosition,
    *,
    resume: bool,
    least: int,
) -> tuple[Reals, checkpoint.GanState]:
    """The reals, and where the run stands; a fresh folder is made."""
    saved = run / CHECKPOINT
    if resume:
        state = checkpoint.load(saved, at, settings.plain())
        reals = training_set.reopen(run / REALS, settings.size, state.data_sha256)
        logger.info(f"{run}: goes on from {at.shown / 1000:.1f} thousand pictures")
        return reals, state
    reals = training_set.gather(root, run / REALS, settings.size, least=least, watch=watcher.count)
    count = len(reals.pixels)
    logger.info(f"{root}: {count:,} real pictures at {settings.size} px")
    if reals.left_out:
        first = next(iter(reals.left_out.values()))
        logger.info(f"left out: {len(reals.left_out):,} pictures (first: {first})")
    if count < training_set.PICTURES_FEW:
        logger.warning(
            f"fewer than {training_set.PICTURES_FEW:,} pictures: faces will resemble these ones"
        )
    write_picture(run / "samples/reals.png", grid(list(reals.pixels[:_SAMPLES])))
    state = checkpoint.GanState(settings.plain(), reals.sha256)
    checkpoint.save(saved, at, state)
    return reals, state


def _snapshot(
    run: Path, at: StepPosition, state: checkpoint.GanState, record: dict[str, Any],
    measure: _Distance | None,
) -> None:  # fmt: skip
    """Write faces, weights, the log, and last of all the checkpoint."""
    made = list(generate(at.averaged, range(_SAMPLES), settings=SamplingSettings(truncation=1.0)))
    write_picture(run / f"samples/{at.shown:09}.png", grid([one.pixels for one in made]))
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
    # Written whole from the history: a killed run leaves no line of what is trained again.
    lines = "".join(json.dumps(line) + "\n" for line in state.history)
    write_whole(run / "log.jsonl", lines.encode(), hint=GO_ON, parents=True)


class _Distance:
    """Measures generators against the same reals, with the same latents each time."""

    def __init__(self, reals: Reals, pictures: int, device: torch.device) -> None:
        self._features, self._pictures = Features(device), max(pictures, 2)
        # Spread over all: a folder's first ones may be of one person.
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
        """Features of untruncated fakes, as FID is measured."""
        seeds = range(_DISTANCE_SEED, _DISTANCE_SEED + self._pictures)
        waiting = []
        whole = SamplingSettings(truncation=1.0)
        for made in generate(at.averaged, seeds, settings=whole, batch=_DISTANCE_BATCH):
            waiting.append(torch.from_numpy(made.pixels))
            if len(waiting) == _DISTANCE_BATCH or made.seed == seeds[-1]:
                pixels = torch.stack(waiting).numpy()
                yield self._features.of(training_set.to_tensor(pixels))
                waiting = []
