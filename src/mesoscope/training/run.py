"""A training run, from data sets to a model file with its card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.data.manifest import read_datasets
from mesoscope.data.shards.stream import require_shards
from mesoscope.errors import DatasetError, OutputError, RunError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import remove_temporary_files, write_text
from mesoscope.runtime.log import logger
from mesoscope.training.data.dataset import survey
from mesoscope.training.data.faces import find_main_faces, prepare_forging
from mesoscope.training.data.reconstruct import prepare_reconstructing
from mesoscope.training.export.finish import finish
from mesoscope.training.fit.distil import check_teacher
from mesoscope.training.fit.loop import fit
from mesoscope.training.fit.watcher import (
    LoggedWatcher,
    LogWatcher,
    SilentWatcher,
    draw_curves,
    write_log,
)
from mesoscope.training.nets import check_initial
from mesoscope.training.processes import lost_processes, open_fabric

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightning_fabric import Fabric

    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.fit.watcher import RunWatcher
    from mesoscope.training.recipe.recipe import Recipe


def train(
    roots: Sequence[Path],
    recipe: Recipe,
    run: Path,
    watcher: RunWatcher | None = None,
    *,
    resume: bool = False,
    skip_unreadable: bool = False,
    accelerator: str = "auto",
    devices: int | str = "auto",
    nodes: int = 1,
) -> Path:
    """Train, calibrate, export and evaluate.

    Args:
        roots: Data sets in the project's layout or with a manifest.
        recipe: The recipe.
        run: The run folder. ``recipe.toml``, ``log.jsonl``, ``curves.png``, ``checkpoints/``,
            ``model.onnx``, ``metrics.json`` and ``MODEL_CARD.md`` go there.
        watcher: Receives progress; ``None`` logs a line per epoch.
        resume: Continue the run in the folder.
        skip_unreadable: Leave out unreadable pictures, and count them in the card.
        accelerator: ``auto``, ``cpu`` or ``gpu`` (Lightning Fabric).
        devices: Number of devices per machine.
        nodes: Machines; start each with torchrun.

    Returns:
        The exported model file.

    Raises:
        RecipeError: The initial weights are missing or those of a network of another shape, or the
            teacher is missing or does not fit.
        RunError: The folder holds another run, or none where ``resume`` is asked for.
        DatasetError: See :func:`mesoscope.training.data.dataset.survey`.
        ModelMismatch: The exported file's outputs differ from torch's.
        OutputError: The run folder cannot be written, or another process of the run has ended.
    """
    fabric = open_fabric(accelerator, devices, nodes, recipe.precision)
    with lost_processes(run, fabric):
        refuse_run(run, resume=resume)
        watcher = watcher_of(fabric, recipe, watcher)
        fresh = not (run / "checkpoints/last.safetensors").exists()
        if fresh:
            check_initial(recipe.network)
        check_teacher(recipe, fresh=fresh)
        data = read_pictures(roots, recipe, watcher, skip_unreadable=skip_unreadable)
        fabric.barrier()  # a process that looks late would find the run of the first
        if fabric.is_global_zero:
            logger.info(describe_data(data))
            open_run(run, recipe)
        fabric.barrier()
        data = prepare_forging(data, recipe, run, fabric, watcher)
        data = find_main_faces(data, recipe, run, fabric, watcher)
        prepare_reconstructing(data, recipe, run, fabric, watcher)
        state = fit(recipe, data, run, fabric, LogWatcher(run, watcher), resume=resume)
    if not fabric.is_global_zero:
        return run / "model.onnx"
    write_log(run, state)
    draw_curves(state.history, run / "curves.png")
    logger.info(f"best epoch: {state.best_epoch}, mean AUC of the sources {state.best_auc:.4f}")
    source = f"trained with mesoscope, {state.epoch} epochs, best {state.best_epoch}"
    return finish(recipe, data, run, state, watcher, source=source)


def refuse_run(run: Path, *, resume: bool) -> None:
    """Refuse a folder that holds a run, or with ``resume`` one that holds none.

    Raises:
        RunError: The folder holds a run, or none to resume.
    """
    begun = (run / "recipe.toml").exists() or (run / "checkpoints").exists()
    if resume and not begun:
        raise RunError(f"{run}: holds no run to resume: start it without `resume`")
    if begun and not resume:
        raise RunError(f"{run}: holds a run already: go on with `resume`, or name another folder")


def open_run(run: Path, recipe: Recipe) -> None:
    """Create the run folder, with its recipe.

    Raises:
        OutputError: The folder cannot be written.
    """
    try:
        (run / "checkpoints").mkdir(parents=True, exist_ok=True)
        remove_temporary_files(run)
        if not (run / "recipe.toml").exists():
            write_text(run / "recipe.toml", recipe.to_toml())
    except OSError as error:
        raise OutputError(f"{run}: cannot be written: {cause(error)}") from error


def read_pictures(
    roots: Sequence[Path], recipe: Recipe, watcher: RunWatcher, *, skip_unreadable: bool
) -> Survey:
    """Read every picture of the data sets once.

    Raises:
        DatasetError: See :func:`mesoscope.training.data.dataset.survey`.
    """
    samples, where = read_datasets(roots), ", ".join(str(root) for root in roots)
    leave_out, sources = recipe.data.leave_out, sorted({s.source for s in samples})
    if unknown := [name for name in leave_out if name not in sources]:
        raise DatasetError(
            f"{where}: no source {unknown[0]!r} to leave out: there are {', '.join(sources)}"
        )
    if recipe.data.read == "stream":
        require_shards(samples)
        samples.sort(key=lambda s: (s.shard, s.offset))  # validation is read in storage order, too
    return survey(
        [s for s in samples if s.source not in leave_out],
        where=where,
        skip_unreadable=skip_unreadable,
        watch=lambda items, total: watcher.count(items, total, "reading every picture once"),
        forging=bool(recipe.synth.blend or recipe.synth.edit),
    )


def watcher_of(fabric: Fabric, recipe: Recipe, watcher: RunWatcher | None) -> RunWatcher:
    """Return the watcher of this process: only the first one reports."""
    if not fabric.is_global_zero:
        return SilentWatcher()
    return LoggedWatcher(recipe.optimise.epochs) if watcher is None else watcher


def describe_data(data: Survey) -> str:
    """Describe the data in one line."""
    train, validation = len(data.train), len(data.validation)
    text = f"{train} pictures to train on, {validation} to validate"
    if data.unreadable:
        text += f"; {len(data.unreadable)} unreadable ones left out"
    if data.repeated:
        some = ", ".join(data.repeated[:3])
        text += (
            f"; {len(data.repeated)} left out of training because validation holds the same file "
            f"({some}{', …' if len(data.repeated) > 3 else ''})"
        )
    return text
