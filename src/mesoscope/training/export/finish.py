"""Last steps of every run: calibrate the best weights, export, evaluate, write the cards."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from lightning_fabric import Fabric

from mesoscope.detection.detector import Detector
from mesoscope.evaluation.evaluate import evaluate
from mesoscope.files.atomic import write_text
from mesoscope.models.file import model_id
from mesoscope.report.record import write_metrics
from mesoscope.runtime.log import logger
from mesoscope.training.data.dataset import plain_crop
from mesoscope.training.decide import familiarity
from mesoscope.training.decide.thresholds import decide, operating_points
from mesoscope.training.export.card import model_card_markdown
from mesoscope.training.export.card_figures import figures_for_card
from mesoscope.training.export.onnx_export import export, stamp
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.distil import scores_of
from mesoscope.training.nets import build
from mesoscope.types import ModelCard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.fit.checkpoint import TrainingState
    from mesoscope.training.fit.watcher import RunWatcher
    from mesoscope.training.nets import Network
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Json, Verdict

CHECK_CROPS = 16  # real faces on which the exported file must match torch


def finish(
    recipe: Recipe,
    data: Survey,
    run: Path,
    state: TrainingState,
    watcher: RunWatcher,
    *,
    source: str,
    sparsity: Mapping[str, Json] | None = None,
) -> Path:
    """Calibrate the best weights, fit their guard, export and evaluate the file, write the cards.

    Args:
        recipe: The recipe of the run.
        data: The survey of the training data.
        run: The run folder, with ``checkpoints/best.safetensors``.
        state: Final state of the run.
        watcher: Receives progress.
        source: Origin of the weights, for the card.
        sparsity: Description of the pruning, for the card.

    Returns:
        The model file, ``model.onnx`` in the run folder.

    Raises:
        RunError: The run folder holds no best weights.
        ModelMismatch: The exported file's outputs differ from torch's.
        OutputError: The run folder cannot be written.
    """
    fabric = Fabric(accelerator="cpu", devices=1)
    net = build(recipe.network).eval()
    net.load_state_dict(checkpoint.best_weights(run))
    margin = recipe.data.crop_margin
    logger.info(f"calibrating on {len(data.validation)} validation pictures")
    logits = scores_of(net, data.validation, margin, fabric)
    decision = decide(recipe, data.validation, logits)

    picks = np.linspace(0, len(data.validation) - 1, CHECK_CROPS).astype(int)
    faces = np.stack([plain_crop(data.validation[i], margin) for i in np.unique(picks)])
    card = ModelCard(
        name=recipe.name,
        architecture=recipe.network.architecture,
        crop_margin=margin,
        face_margin=recipe.data.face_margin,
        further_margins=recipe.data.further_margins,
        thresholds=decision.thresholds,
        training_data=describe(data, recipe),
        recipe_sha256=recipe.sha256(),
        licence=recipe.licence,
        source=source,
        sparsity=sparsity or {},
    )
    guard = _guard(net, data, recipe, watcher)
    path = run / "model.onnx"
    card = export(net, path, card, decision.calibration, check_crops=faces, guard=guard)
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
    points, false_alarms = operating_points(result)
    card = dataclasses.replace(
        card,
        metrics={
            **figures_for_card(metrics),
            **decision.measured,
            "false_positive_rates": false_alarms,
        },
        operating_points=points,
    )
    stamp(path, card)
    # The card changed the file's digest but not its graph: the figures hold for the new file.
    conditions = {**result.conditions, "model": model_id(path)}
    result = dataclasses.replace(result, conditions=conditions, card=card)
    write_metrics(result, run / "metrics.json")
    write_text(run / "MODEL_CARD.md", model_card_markdown(card, metrics, recipe, data, state))
    logger.info(f"model written to {path}; its card to {run / 'MODEL_CARD.md'}")
    logger.info(f"next: mesoscope scan YOUR_FOLDER --model {path}")
    return path


def _guard(
    net: Network, data: Survey, recipe: Recipe, watcher: RunWatcher
) -> familiarity.Familiarity | None:
    if not recipe.decide.guard:
        return None
    return familiarity.fit(
        net, data, recipe, watch=lambda items, n: watcher.count(items, n, "learning the familiar")
    )


def describe(data: Survey, recipe: Recipe) -> str:
    """Describe the training data in words, for the card."""
    count = Counter((s.source, s.label) for s in data.train)
    sources = sorted({s.source for s in data.train})
    parts = [f"{name} {count[name, 0]} real + {count[name, 1]} fake" for name in sources]
    text = f"{len(data.train)} pictures: {', '.join(parts)}."
    if recipe.network.initial not in ("random", "imagenet", "teacher"):
        text += f" Trained on from the weights of the run {Path(recipe.network.initial).name}."
    if made := [
        f"{name} {share:g}" for name, share in dataclasses.asdict(recipe.synth).items() if share
    ]:
        text += f" Of what was shown, so much was forged from the real ones: {', '.join(made)}."
    if data.forged:
        text += " Calibrated, validated and chosen on forgeries that were made in the same way."
    if data.unreadable:
        text += f" {len(data.unreadable)} unreadable pictures were left out."
    if data.repeated:
        text += f" {len(data.repeated)} pictures that validation holds too were left out."
    return f"{text} {' '.join(recipe.notes.split())}".strip()
