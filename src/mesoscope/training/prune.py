"""A pruning run: from the run folder of a trained network to that of a sparser or narrower one."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
from onnx import numpy_helper

from mesoscope.errors import ModelMismatch, OptionError, OutputError, RunError
from mesoscope.model_file import file_sha256, read_card
from mesoscope.training import checkpoint
from mesoscope.training.checkpoint import State
from mesoscope.training.curves import draw_curves
from mesoscope.training.finish import finish
from mesoscope.training.fit import fit
from mesoscope.training.nets import build
from mesoscope.training.nets.channels import select
from mesoscope.training.prune_channels import choose, importance, multiply_adds
from mesoscope.training.prune_weights import RAMP, WeightPruning, sparsity_of
from mesoscope.training.recipe import read_recipe
from mesoscope.training.run import open_fabric, open_run, read_pictures, refuse_run
from mesoscope.training.watcher import LogWatcher, SilentWatcher, write_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from mesoscope.training.dataset import Survey
    from mesoscope.training.recipe import Recipe
    from mesoscope.training.watcher import RunWatcher
    from mesoscope.types import Json

SCHEDULES = ("gradual", "oneshot")
BEST, START = "checkpoints/best.safetensors", "checkpoints/start.safetensors"
PLAN = "pruning.json"
LEARNING_RATE = 0.2  # of the fine-tuning, as a share of the training's highest
WARMUP_EPOCHS = 0.1  # while the optimiser learns the scale of the gradients again


@dataclass(frozen=True, slots=True)
class Plan:
    """What to prune, and how.

    Attributes:
        sparsity: Share that goes: of the weights of convolutions and dense layers, or with
            ``structured`` of the multiply-adds.
        schedule: ``gradual`` (along a cubic curve over the first half of the fine-tuning) or
            ``oneshot`` (before it).
        finetune: Epochs of fine-tuning; 0 = none.
        structured: Take whole channels, all before the fine-tuning.
    """

    sparsity: float = 0.2
    schedule: str = "gradual"
    finetune: int = 2
    structured: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.sparsity < 1:
            raise OptionError(f"sparsity must be at least 0 and less than 1, got {self.sparsity}")
        if self.schedule not in SCHEDULES:
            raise OptionError(f"schedule must be gradual or oneshot, got {self.schedule!r}")
        if self.finetune < 0:
            raise OptionError(f"finetune must not be negative, got {self.finetune}")
        if self.structured and self.schedule != "oneshot":
            raise OptionError("channels leave all at once: structured goes with schedule oneshot")

    def method(self) -> str:
        """In words, for the card."""
        epochs = "1 epoch" if self.finetune == 1 else f"{self.finetune} epochs"
        tuned = f"fine-tuned for {epochs}" if self.finetune else "not fine-tuned"
        if self.structured:
            return (
                "channels of least importance (first-order change of the loss) for the "
                f"multiply-adds they cost, {tuned}"
            )
        how = "gradually, along a cubic curve" if self._ramps() else "at once"
        return f"smallest magnitudes of all layers ranked together, {how}, {tuned}"

    def ramp_epochs(self) -> float:
        """Epochs until the sparsity is reached."""
        return RAMP * self.finetune if self._ramps() else 0.0

    def _ramps(self) -> bool:
        return self.schedule == "gradual" and self.finetune > 0


def prune(
    parent: Path,
    roots: Sequence[Path],
    plan: Plan,
    run: Path,
    watcher: RunWatcher,
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
        run: The new run folder, with the same files as a training run and ``pruning.json``. Its
            recipe is the parent's but for the fine-tuning.
        watcher: Shown the progress.
        overrides: ``key=value`` for the fine-tuning, as for a training run.
        resume: Go on with the run that the folder holds.
        skip_unreadable: Leave unreadable pictures out, and count them in the card.
        accelerator: ``auto``, ``cpu`` or ``gpu`` (Lightning Fabric).
        devices: How many of them a machine.
        nodes: Machines; start each with torchrun.

    Returns:
        The exported model file.

    Raises:
        RunError: No trained network in ``parent``; a folder that holds another run, or none where
            ``resume`` is asked for.
        RecipeError: An override that a recipe does not take.
        OptionError: More multiply-adds asked for than channels can take away; an override of the
            network.
        DatasetError: See :func:`mesoscope.training.dataset.survey`.
        ModelMismatch: The exported file does not answer as torch does.
        OutputError: The run folder cannot be written.
    """
    trained = _recipe_in(parent, "give the folder that mesoscope train wrote")
    recipe = _fine_tuning(parent, trained, plan, overrides)
    fabric = open_fabric(accelerator, devices, nodes, recipe.precision)
    refuse_run(run, resume=resume)
    if not fabric.is_global_zero:
        watcher = SilentWatcher()
    weights, before = checkpoint.load(parent / BEST)
    _refuse_other(run, plan, parent)
    data = read_pictures(
        roots, watcher, skip_unreadable=skip_unreadable, leave_out=recipe.data.leave_out
    )
    if fabric.is_global_zero and not (run / START).exists():
        _begin(run, recipe, checkpoint.unpack("mean", weights), plan, parent, data, watcher)
    fabric.barrier()
    recipe = _as_begun(run, recipe)
    start = checkpoint.unpack("mean", checkpoint.load(run / START)[0])
    hold = WeightPruning(start, 0.0 if plan.structured else plan.sparsity, plan.ramp_epochs())
    log = LogWatcher(run, watcher)
    if plan.finetune:
        state = fit(recipe, data, run, fabric, log, resume=resume, hold=hold)
    else:
        state = State(recipe_sha256=recipe.sha256(), data_sha256=data.digests)
    if not fabric.is_global_zero:
        return run / "model.onnx"
    if plan.finetune:
        write_log(run, state)
        draw_curves(state.history, run / "curves.png")
        watcher.say(f"best epoch: {state.best_epoch}, mean AUC of the sources {state.best_auc:.4f}")
    else:
        net = build(recipe.network)
        hold.put_in(net)
        checkpoint.save(run / BEST, checkpoint.pack("mean", checkpoint.plain(net)), state)
    sparsity = _measured(run, recipe, trained, plan)
    source = _source(trained, before, parent, data)
    model = finish(recipe, data, run, state, watcher, source=source, sparsity=sparsity)
    _refuse_lost_zeros(model, sparsity)
    return model


def _recipe_in(run: Path, hint: str) -> Recipe:
    if not (run / "recipe.toml").is_file():
        raise RunError(f"{run}: holds no recipe.toml of a run: {hint}")
    return read_recipe(run / "recipe.toml")


def _fine_tuning(parent: Path, trained: Recipe, plan: Plan, overrides: Sequence[str]) -> Recipe:
    """The parent's recipe with a lower learning rate, the plan's epochs, and the overrides."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key.startswith("network.") or key == "optimise.epochs":
            said = "--finetune says it" if key == "optimise.epochs" else f"it is that of {parent}"
            raise OptionError(f"--set {key}: cannot be set for a pruning run: {said}")
    changes = [
        f"optimise.epochs={max(plan.finetune, 1)}",
        f"optimise.learning_rate={LEARNING_RATE * trained.optimise.learning_rate!r}",
        f"optimise.warmup_epochs={WARMUP_EPOCHS}",
        "optimise.patience=0",
        "network.initial=random",  # the weights come from the parent
    ]
    return read_recipe(parent / "recipe.toml", [*changes, *overrides])


def _begin(
    run: Path,
    recipe: Recipe,
    weights: dict[str, Tensor],
    plan: Plan,
    parent: Path,
    data: Survey,
    watcher: RunWatcher,
) -> None:
    """Make the run folder, with all that decides the run and the weights it starts from."""
    if plan.structured:
        net = build(recipe.network)
        net.load_state_dict(weights)
        watcher.say("measuring what each channel is worth")
        stay, full, left = choose(net, importance(net, recipe, data.train), plan.sparsity)
        select(net, stay)
        weights = checkpoint.plain(net)
        now = {group.name: group.size for group in net.channel_groups()}
        fewer = {name: now[name] for name, kept in stay.items() if not bool(kept.all())}
        channels = {**recipe.network.channels, **fewer}
        recipe = dataclasses.replace(
            recipe, network=dataclasses.replace(recipe.network, channels=channels)
        )
        watcher.say(
            f"multiply-adds a crop: {full / 1e6:.1f} million before, {left / 1e6:.1f} after"
        )
    if run.is_dir():
        (run / "recipe.toml").unlink(missing_ok=True)  # of a run killed before it began
    open_run(run, recipe)
    try:
        text = json.dumps(_identity(plan, parent), indent=2) + "\n"
        (run / PLAN).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{run}: cannot be written: {error.strerror}") from error
    checkpoint.save(run / START, checkpoint.pack("mean", weights), State())


def _identity(plan: Plan, parent: Path) -> dict[str, Json]:
    return {**dataclasses.asdict(plan), "parent_weights_sha256": file_sha256(parent / BEST)}


def _refuse_other(run: Path, plan: Plan, parent: Path) -> None:
    """Refuse to go on with a run that was begun in another way."""
    if not (run / PLAN).exists():
        if (run / BEST).exists():
            raise RunError(f"{run}: holds a training run, not a pruning run: name another folder")
        return
    try:
        before = json.loads((run / PLAN).read_text(encoding="utf-8"))
        for key, value in _identity(plan, parent).items():
            if before[key] != value:
                raise RunError(
                    f"{run}: was begun with {key} {before[key]} and not {value}: resume with that, "
                    "or start a new run folder"
                )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{run / PLAN}: not a plan of this version: {error}") from error


def _as_begun(run: Path, asked: Recipe) -> Recipe:
    """The recipe in the run folder, which must be the one asked for, but for its channels."""
    begun = _recipe_in(run, "start a new run folder")
    channels = begun.network.channels
    same = dataclasses.replace(asked, network=dataclasses.replace(asked.network, channels=channels))
    if begun != same:
        raise RunError(
            f"{run}: was begun with another recipe ({run}/recipe.toml): resume with the same "
            "--set, or start a new run folder"
        )
    return begun


def _measured(run: Path, recipe: Recipe, trained: Recipe, plan: Plan) -> dict[str, Json]:
    """What was pruned, for the card: counted in the weights that are exported."""
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


def _source(trained: Recipe, before: State, parent: Path, data: Survey) -> str:
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
    """The exporter rewrites the graph; hold the file against the network."""
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
