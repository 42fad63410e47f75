"""A pruning run: prune and fine-tune the network of a training run."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import onnx
from onnx import numpy_helper

from mesoscope.errors import ModelMismatch, OptionError, RunError
from mesoscope.models.file import read_card
from mesoscope.runtime.log import logger
from mesoscope.training.compress.prune_plan import BEST, refuse_other_plan, write_plan
from mesoscope.training.compress.sparsify import (
    WeightPruning,
    choose,
    importance,
    multiply_adds,
    sparsity_of,
)
from mesoscope.training.data.faces import find_main_faces, prepare_forging
from mesoscope.training.data.reconstruct import prepare_reconstructing
from mesoscope.training.export.finish import finish
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.checkpoint import TrainingState
from mesoscope.training.fit.distil import open_teacher
from mesoscope.training.fit.loop import fit
from mesoscope.training.fit.watcher import LogWatcher, draw_curves, write_log
from mesoscope.training.nets import build
from mesoscope.training.nets.channels import select
from mesoscope.training.processes import lost_processes, open_fabric
from mesoscope.training.recipe.recipe import read_recipe
from mesoscope.training.run import (
    describe_data,
    open_run,
    read_pictures,
    refuse_run,
    watcher_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightning_fabric import Fabric

    from mesoscope.training.compress.prune_plan import PrunePlan
    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.fit.watcher import RunWatcher
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Json

START = "checkpoints/start.safetensors"
LEARNING_RATE = 0.2  # of the training's highest, for fine-tuning
WARMUP_EPOCHS = 0.1  # while the optimiser learns the scale of the gradients again


def prune(
    parent: Path,
    roots: Sequence[Path],
    plan: PrunePlan,
    run: Path,
    watcher: RunWatcher | None = None,
    *,
    overrides: Sequence[str] = (),
    resume: bool = False,
    skip_unreadable: bool = False,
    accelerator: str = "auto",
    devices: int | str = "auto",
    nodes: int = 1,
) -> Path:
    """Prune, fine-tune, calibrate, export and evaluate.

    Args:
        parent: The run folder of the trained network: its ``recipe.toml`` and best weights.
        roots: Data sets to fine-tune and calibrate on.
        plan: What to prune.
        run: The new run folder, with the files of a training run and ``pruning.json``. Its recipe
            differs from the parent's by the settings of the fine-tuning.
        watcher: Receives progress; ``None`` logs a line per epoch.
        overrides: ``key=value`` settings of the fine-tuning, as for a training run.
        resume: Continue the run in the folder.
        skip_unreadable: Leave out unreadable pictures, and count them in the card.
        accelerator: ``auto``, ``cpu`` or ``gpu`` (Lightning Fabric).
        devices: Number of devices per machine.
        nodes: Machines; start each with torchrun.

    Returns:
        The exported model file.

    Raises:
        RunError: ``parent`` has no trained network; ``run`` holds another run, or none where
            ``resume`` is asked for.
        RecipeError: An override is not a recipe key.
        OptionError: The share of multiply-adds cannot be removed by channels, or an override
            concerns the network.
        DatasetError: See :func:`mesoscope.training.data.dataset.survey`.
        ModelMismatch: The exported file does not answer as torch does.
        OutputError: The run folder cannot be written, or another process of the run has ended.
    """
    trained = _recipe_in(parent, "give the folder that mesoscope train wrote")
    recipe = fine_tuning(parent, trained, plan, overrides)
    fabric = open_fabric(accelerator, devices, nodes, recipe.precision)
    with lost_processes(run, fabric):
        refuse_run(run, resume=resume)
        refuse_other_plan(run, plan, parent)
        watcher = watcher_of(fabric, recipe, watcher)
        if plan.finetune:  # refuses a teacher that cannot be used, before hours and a folder
            open_teacher(recipe.distil, recipe.augment.window_px)
        data = read_pictures(roots, recipe, watcher, skip_unreadable=skip_unreadable)
        if fabric.is_global_zero:
            logger.info(describe_data(data))
        data = prepare_forging(data, recipe, run, fabric, watcher)
        data = find_main_faces(data, recipe, run, fabric, watcher)
        prepare_reconstructing(data, recipe, run, fabric, watcher)
        recipe, state = prune_and_finetune(
            parent, data, plan, run, fabric, watcher, recipe, resume=resume
        )
    if not fabric.is_global_zero:
        return run / "model.onnx"
    sparsity = _measured(run, recipe, trained, plan)
    source = _source(trained, parent, data)
    model = finish(recipe, data, run, state, watcher, source=source, sparsity=sparsity)
    _refuse_lost_zeros(model, sparsity)
    return model


def prune_and_finetune(
    parent: Path,
    data: Survey,
    plan: PrunePlan,
    run: Path,
    fabric: Fabric,
    watcher: RunWatcher,
    recipe: Recipe,
    *,
    resume: bool,
) -> tuple[Recipe, TrainingState]:
    """Prune and fine-tune; the run folder then holds the best weights.

    Args:
        parent: The run folder of the trained network.
        data: The data to fine-tune on.
        plan: What to prune.
        run: The new run folder.
        fabric: Devices and precision.
        watcher: Receives progress.
        recipe: Recipe of the fine-tuning, with the channels of the trained network.
        resume: Continue the run in the folder.

    Returns:
        The recipe with the remaining channels, and the final state of the run.

    Raises:
        RunError: No weights in ``parent``, or the run was begun with another recipe.
        OptionError: The share of multiply-adds cannot be removed by channels.
        OutputError: The run folder cannot be written, or another process of the run has ended.
    """
    if fabric.is_global_zero and not (run / START).exists():
        _begin(run, recipe, plan, parent, data)
    fabric.barrier()
    recipe = _as_begun(run, recipe)
    start = checkpoint.unpack("mean", checkpoint.load(run / START)[0])
    constraint = WeightPruning(start, 0.0 if plan.structured else plan.sparsity, plan.ramp_epochs())
    if plan.finetune:
        log = LogWatcher(run, watcher)
        state = fit(recipe, data, run, fabric, log, resume=resume, constraint=constraint)
        if fabric.is_global_zero:
            write_log(run, state)
            draw_curves(state.history, run / "curves.png")
            logger.info(
                f"best epoch: {state.best_epoch}, mean AUC of the sources {state.best_auc:.4f}"
            )
        return recipe, state
    state = TrainingState(recipe_sha256=recipe.sha256(), data_sha256=data.digests)
    if fabric.is_global_zero:
        net = build(recipe.network)
        constraint.put_in(net)
        checkpoint.save(run / BEST, checkpoint.pack("mean", checkpoint.plain(net)), state)
    return recipe, state


def _recipe_in(run: Path, hint: str) -> Recipe:
    if not (run / "recipe.toml").is_file():
        raise RunError(f"{run}: holds no recipe.toml of a run: {hint}")
    return read_recipe(run / "recipe.toml")


def fine_tuning(parent: Path, trained: Recipe, plan: PrunePlan, overrides: Sequence[str]) -> Recipe:
    """Return the trained network's recipe with a lower learning rate, the plan's epochs, overrides.

    Raises:
        OptionError: An override concerns the network or the epochs.
        RecipeError: An override is not a recipe key.
    """
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key.startswith("network.") or key == "optimise.epochs":
            said = "`finetune` says it" if key == "optimise.epochs" else f"it is that of {parent}"
            raise OptionError(f"`overrides` {key}: cannot be set for a pruning run: {said}")
    changes = [
        f"optimise.epochs={max(plan.finetune, 1)}",
        f"optimise.learning_rate={LEARNING_RATE * trained.optimise.learning_rate!r}",
        f"optimise.warmup_epochs={WARMUP_EPOCHS}",
        "optimise.patience=0",
        "optimise.initial_share=0",  # its initial weights are not this run's
        "network.initial=random",  # the weights come from the parent
    ]
    return read_recipe(parent / "recipe.toml", [*changes, *overrides])


def _begin(
    run: Path,
    recipe: Recipe,
    plan: PrunePlan,
    parent: Path,
    data: Survey,
) -> None:
    """Create the run folder with the recipe, the plan and the initial weights."""
    weights = checkpoint.unpack("mean", checkpoint.load(parent / BEST)[0])
    if plan.structured:
        net = build(recipe.network)
        net.load_state_dict(weights)
        logger.info("measuring what each channel is worth")
        stay, full, left = choose(net, importance(net, recipe, data.train), plan.sparsity)
        select(net, stay)
        weights = checkpoint.plain(net)
        now = {group.name: group.size for group in net.channel_groups()}
        fewer = {name: now[name] for name, kept in stay.items() if not bool(kept.all())}
        channels = {**recipe.network.channels, **fewer}
        recipe = dataclasses.replace(
            recipe, network=dataclasses.replace(recipe.network, channels=channels)
        )
        logger.info(
            f"multiply-adds a crop: {full / 1e6:.1f} million before, {left / 1e6:.1f} after"
        )
    if run.is_dir():
        (run / "recipe.toml").unlink(missing_ok=True)  # of a run killed before it began
    open_run(run, recipe)
    write_plan(run, plan, parent)
    checkpoint.save(run / START, checkpoint.pack("mean", weights), TrainingState())


def _as_begun(run: Path, asked: Recipe) -> Recipe:
    """Return the recipe in the run folder; it must equal the given one except for channels."""
    begun = _recipe_in(run, "start a new run folder")
    channels = begun.network.channels
    same = dataclasses.replace(asked, network=dataclasses.replace(asked.network, channels=channels))
    if begun != same:
        raise RunError(
            f"{run}: was begun with another recipe ({run}/recipe.toml): resume with the same "
            "`overrides`, or start a new run folder"
        )
    return begun


def _measured(run: Path, recipe: Recipe, trained: Recipe, plan: PrunePlan) -> dict[str, Json]:
    """Measure the pruning in the exported weights, for the card."""
    net = build(recipe.network)
    net.load_state_dict(checkpoint.unpack("mean", checkpoint.load(run / BEST)[0]))
    found: dict[str, Json] = {"method": plan.method(), **sparsity_of(net)}
    whole = {group.name: group.size for group in build(trained.network).channel_groups()}
    fewer: dict[str, Json] = {
        group.name: f"{group.size} of {whole[group.name]}"
        for group in net.channel_groups()
        if group.size < whole[group.name]
    }
    if fewer:
        found["channels"] = fewer
        left = multiply_adds(net) / multiply_adds(build(trained.network))
        found["multiply_adds_left"] = round(left, 4)
    return found


def _source(trained: Recipe, parent: Path, data: Survey) -> str:
    before = checkpoint.load(parent / BEST)[1]
    text = (
        f"pruned with mesoscope from {trained.name} (recipe {trained.sha256()[:16]}, "
        f"epoch {before.best_epoch})"
    )
    if before.data_sha256 == data.digests:
        return text
    model = parent / "model.onnx"
    known = read_card(model).training_data if model.exists() else "pictures that are not recorded"
    return f"{text}, which was trained on: {known}"


def _refuse_lost_zeros(model: Path, sparsity: dict[str, Json]) -> None:
    """Compare the zeros of the exported file, whose graph was rewritten, with the network's."""
    graph = onnx.load(model).graph
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    names = {name for node in layers for name in node.input[:2]}
    arrays = (numpy_helper.to_array(t) for t in graph.initializer if t.name in names)
    zeros = sum(int((array == 0).sum()) for array in arrays)
    if zeros < int(str(sparsity["zeros"])):
        raise ModelMismatch(
            f"{model}: holds {zeros:,} zeros and the network {sparsity['zeros']:,}: the exporter "
            "changed the weights; report it"
        )
