"""A training run from folders to a model file with its card."""

from __future__ import annotations

import dataclasses
import json
import logging
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric

from mesoscope.data.manifest import read_datasets
from mesoscope.detector import Detector
from mesoscope.errors import OutputError, RunError
from mesoscope.evaluation import evaluate
from mesoscope.model_file import model_id
from mesoscope.report.record import write_metrics, write_text
from mesoscope.training import checkpoint
from mesoscope.training.calibrate import choose_thresholds, platt
from mesoscope.training.card import model_card_markdown
from mesoscope.training.curves import draw_curves
from mesoscope.training.dataset import plain_crop, survey
from mesoscope.training.export import export, stamp
from mesoscope.training.fit import Watcher, fit, scores_of
from mesoscope.training.nets import build
from mesoscope.types import ModelCard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mesoscope.data.manifest import Sample
    from mesoscope.training.checkpoint import State
    from mesoscope.training.dataset import Survey
    from mesoscope.training.recipe import Recipe
    from mesoscope.types import Calibration, Thresholds, Verdict

T = TypeVar("T")
PRECISION = {"32": "32-true", "bf16": "bf16-mixed"}
CHECK_CROPS = 16  # real faces on which the exported file must answer as torch does


class RunWatcher(Watcher, Protocol):
    """Shown what a run does; the command line draws bars and lines from it."""

    def count(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:
        """Wraps work for a progress bar."""
        ...

    def say(self, text: str) -> None:
        """One line on what was found or done."""
        ...


def train(
    roots: Sequence[Path],
    recipe: Recipe,
    run: Path,
    watcher: RunWatcher,
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
        recipe: What to do.
        run: The run folder. ``recipe.toml``, ``log.jsonl``, ``curves.png``, ``checkpoints/``,
            ``model.onnx``, ``metrics.json`` and ``MODEL_CARD.md`` go there.
        watcher: Shown the progress.
        resume: Go on with the run that the folder holds.
        skip_unreadable: Leave unreadable pictures out, and count them in the card.
        accelerator: ``auto``, ``cpu`` or ``gpu`` (Lightning Fabric).
        devices: How many of them a machine.
        nodes: Machines; start each with torchrun.

    Returns:
        The exported model file.

    Raises:
        RunError: A folder that holds another run, or none where ``resume`` is asked for.
        DatasetError: See :func:`mesoscope.training.dataset.survey`.
        ModelMismatch: The exported file does not answer as torch does.
        OutputError: The run folder cannot be written.
    """
    fabric = _fabric(accelerator, devices, nodes, PRECISION[recipe.precision])
    _refuse_run(run, resume=resume)
    if not fabric.is_global_zero:
        watcher = _Silent()
    where = ", ".join(str(root) for root in roots)
    data = survey(
        read_datasets(roots),
        where=where,
        skip_unreadable=skip_unreadable,
        watch=lambda items, total: watcher.count(items, total, "reading every picture once"),
    )
    watcher.say(_found(data))
    if fabric.is_global_zero:
        _open_run(run, recipe)
    fabric.barrier()
    state = fit(recipe, data, run, fabric, _Log(run, watcher), resume=resume)
    if not fabric.is_global_zero:
        return run / "model.onnx"
    _write_log(run, state)
    draw_curves(state.history, run / "curves.png")
    watcher.say(f"best epoch: {state.best_epoch}, mean AUC of the sources {state.best_auc:.4f}")
    return _finish(recipe, data, run, state, watcher)


def _fabric(accelerator: str, devices: int | str, nodes: int, precision: str) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if accelerator == "auto" and not torch.cuda.is_available():
        accelerator, devices = "cpu", (1 if devices == "auto" else devices)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice for data loaders that are not used here
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            precision=precision,  # type: ignore[arg-type]
        )
        fabric.launch()
    return fabric


def _refuse_run(run: Path, *, resume: bool) -> None:
    begun = (run / "recipe.toml").exists() or (run / "checkpoints").exists()
    if resume and not begun:
        raise RunError(f"{run}: holds no run to resume: start it without --resume")
    if begun and not resume:
        raise RunError(f"{run}: holds a run already: go on with --resume, or name another folder")


def _open_run(run: Path, recipe: Recipe) -> None:
    try:
        (run / "checkpoints").mkdir(parents=True, exist_ok=True)
        if not (run / "recipe.toml").exists():
            (run / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{run}: cannot be written: {error.strerror}") from error


class _Log:
    """Passes on what is watched and keeps ``log.jsonl`` and the curves up to date."""

    def __init__(self, run: Path, watcher: RunWatcher) -> None:
        self._run = run
        self.step = watcher.step
        self._watcher = watcher

    def epoch(self, record: dict[str, Any], state: State) -> None:
        _write_log(self._run, state)
        draw_curves(state.history, self._run / "curves.png")
        self._watcher.epoch(record, state)


class _Silent:
    """For all processes but the first."""

    def step(self, *, done: int, total: int, loss: float, images_per_s: float) -> None:
        """Nothing."""

    def epoch(self, record: dict[str, Any], state: State) -> None:
        """Nothing."""

    def count(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:  # noqa: ARG002
        """The items."""
        return items

    def say(self, text: str) -> None:
        """Nothing."""


def _write_log(run: Path, state: State) -> None:
    # Written whole from the checkpoint's history: a killed run leaves no line of an epoch that is
    # trained again.
    fresh = run / "log.jsonl.writing"
    fresh.write_text("".join(json.dumps(r) + "\n" for r in state.history), encoding="utf-8")
    fresh.replace(run / "log.jsonl")


def _finish(recipe: Recipe, data: Survey, run: Path, state: State, watcher: RunWatcher) -> Path:
    """Best weights → calibration → model file → evaluation of that file → cards."""
    fabric = Fabric(accelerator="cpu", devices=1)
    tensors, _ = checkpoint.load(run / "checkpoints/best.safetensors")
    net = build(recipe.network.architecture, dropout=recipe.network.dropout).eval()
    net.load_state_dict(checkpoint.unpack("mean", tensors))
    margin = recipe.data.crop_margin
    watcher.say(f"calibrating on {len(data.validation)} validation pictures")
    logits = scores_of(net, data.validation, margin, fabric)
    calibration, thresholds = decide(recipe, data.validation, logits)

    picks = np.linspace(0, len(data.validation) - 1, CHECK_CROPS).astype(int)
    faces = np.stack([plain_crop(data.validation[i], margin) for i in np.unique(picks)])
    card = ModelCard(
        name=recipe.name,
        architecture=recipe.network.architecture,
        crop_margin=margin,
        thresholds=thresholds,
        training_data=describe(data, recipe),
        recipe_sha256=recipe.sha256(),
        licence=recipe.licence,
        source=f"trained with mesoscope, {state.epoch} epochs, best {state.best_epoch}",
    )
    path = run / "model.onnx"
    card = export(net, path, card, calibration, check_crops=faces)
    total = len(data.validation)
    ticks = iter(watcher.count(range(total), total, "evaluating the exported file"))

    def tick(_verdict: Verdict) -> None:
        next(ticks, None)

    result = evaluate(
        data.validation,
        Detector(path, faces="whole"),
        seed=recipe.seed,
        watch=tick,
    )
    metrics = result.to_dict()
    card = dataclasses.replace(card, metrics=_for_card(metrics))
    stamp(path, card)
    # The card changed the file's digest, and not its graph: the figures are the stamped file's.
    conditions = {**result.conditions, "model": model_id(path)}
    write_metrics(dataclasses.replace(result, conditions=conditions), run / "metrics.json")
    write_text(run / "MODEL_CARD.md", model_card_markdown(card, metrics, recipe, data, state))
    return path


def decide(
    recipe: Recipe, samples: Sequence[Sample], logits: np.ndarray
) -> tuple[Calibration, Thresholds]:
    """Calibrate raw logits ``(n,)`` and choose the two thresholds, each source and class alike."""
    labels = np.array([s.label for s in samples])
    cells = Counter((s.source, s.label) for s in samples)
    weights = np.array([1 / cells[s.source, s.label] for s in samples])
    weights *= len(samples) / weights.sum()
    note = f"the validation split, {len(samples)} faces, each source and class alike"
    calibration = platt(logits, labels, weights, method_note=note)
    p_fake = 1 / (1 + np.exp(-(calibration.scale * logits + calibration.shift)))
    return calibration, choose_thresholds(p_fake, labels, recipe.decide.target_error, weights)


def describe(data: Survey, recipe: Recipe) -> str:
    """What was trained on, in words, for the card."""
    count = Counter((s.source, s.label) for s in data.train)
    sources = sorted({s.source for s in data.train})
    parts = [f"{name} {count[name, 0]} real + {count[name, 1]} fake" for name in sources]
    text = f"{len(data.train)} pictures: {', '.join(parts)}."
    if data.unreadable:
        text += f" {len(data.unreadable)} unreadable pictures were left out."
    if data.repeated:
        text += f" {len(data.repeated)} pictures that validation holds too were left out."
    return f"{text} {' '.join(recipe.notes.split())}".strip()


def _found(data: Survey) -> str:
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


def _for_card(metrics: dict[str, Any]) -> dict[str, Any]:
    keys = ("n", "accuracy", "auc", "eer", "ece")

    def short(entry: dict[str, Any]) -> dict[str, Any]:
        kept = {key: entry[key] for key in keys}
        kept["intervals"] = {k: entry["intervals"][k] for k in ("accuracy", "auc")}
        return kept

    return {
        "conditions": "validation split, which also chose the epoch, the calibration and the "
        "thresholds",
        **short(metrics),
        "by_source": {name: short(entry) for name, entry in metrics["by_source"].items()},
    }
