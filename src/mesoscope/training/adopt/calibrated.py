"""Calibrate a graph on labelled faces, and write it as a model file with its card."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.manifest import read_datasets, require_both_classes
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import GUARD_OUTPUT, OnnxScorer, check_pictures
from mesoscope.errors import ModelError
from mesoscope.evaluation.evaluate import evaluate
from mesoscope.files.atomic import temporary_path
from mesoscope.models.file import graph_sha256
from mesoscope.training.adopt.graph_builder import GraphBuilder
from mesoscope.training.decide.familiarity import (
    LEAST_BEYOND,
    REFUSED,
    balanced_weights,
    cut_at,
)
from mesoscope.training.decide.thresholds import decide, operating_points
from mesoscope.training.export.card_figures import figures_for_card
from mesoscope.training.export.onnx_export import output_errors, with_card, write_model
from mesoscope.training.recipe.recipe import Recipe
from mesoscope.types import Verdict
from mesoscope.types.card import Calibration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import onnx

    from mesoscope.data.manifest import Sample
    from mesoscope.report.record import Evaluation
    from mesoscope.types.card import Guard, ModelCard

    Count = Callable[[Iterable[object], int, str], Iterable[object]]
    GraphMaker = Callable[[Calibration], onnx.ModelProto]

__all__ = ["labelled_faces", "write_calibrated"]

_LEAST_P = 1e-6  # log-odds are clipped to those of this probability: float32 ends there
_RESAMPLES = 200  # of the intervals in the card


def labelled_faces(roots: Sequence[Path]) -> list[Sample]:
    """Return the samples to calibrate on: the validation split, or all where there is none.

    Raises:
        DatasetError: There is no data set, or one class is missing.
    """
    if not roots:
        return []
    everything = read_datasets(roots)
    held = [s for s in everything if s.split == "validation"]
    samples = held or everything
    require_both_classes(samples, samples[0].split, ", ".join(str(root) for root in roots))
    return samples


def write_calibrated(
    graph_of: GraphMaker,
    card: ModelCard,
    out: Path,
    samples: Sequence[Sample],
    *,
    count: Count = lambda items, _total, _what: items,
) -> ModelCard:
    """Write a model file whose calibration and thresholds are fitted on labelled faces.

    Args:
        graph_of: Returns the graph for a calibration of its logit.
        card: The card; ``calibration``, ``metrics``, ``operating_points``, ``graph_sha256`` and
            ``self_check`` are set here, and ``thresholds`` where there are samples. A guard that
            refuses more than 1 % of them gets shorter distances.
        out: The model file; replaced whole or not at all.
        samples: Faces to calibrate on. Without them the graph is not calibrated.
        count: Wraps work for a progress bar: ``(items, total, what) → items``.

    Returns:
        The card as written to the file.

    Raises:
        ModelError: The graph does not run, or no face could be judged.
        DatasetError: Of what could be read, one class is missing.
        OutputError: The file cannot be written.
    """
    with temporary_path(out) as fresh:
        calibration = Calibration()
        card = _write(graph_of, card, calibration, fresh, out)
        scorer = OnnxScorer(fresh)
        if samples:
            judged = _judged(scorer, samples, count)
            kept = [s for s, one in zip(samples, judged, strict=True) if one is not None]
            require_both_classes(kept, kept[0].split if kept else "train", "what could be read")
            found = [one for one in judged if one is not None]
            decision = decide(Recipe(), kept, np.array([logit for logit, _ in found]))
            if card.guard is not None:
                stretch = _stretch(card.guard, kept, [distance for _, distance in found])
                if stretch > 1:
                    card = _telling(card, card.guard, stretch)
                    graph_of = partial(_shrunk, graph_of, stretch)
            calibration = dataclasses.replace(
                decision.calibration, fitted_on=f"{len(kept)} faces, each source and class alike"
            )
            card = dataclasses.replace(card, thresholds=decision.thresholds)
            card = _write(graph_of, card, calibration, fresh, out)
            scorer = OnnxScorer(fresh)
            result = evaluate(kept, Detector(scorer, faces="whole"), resamples=_RESAMPLES)
            points, _ = operating_points(result)
            measured = {
                **figures_for_card(result.to_dict()),
                **decision.measured,
                "conditions": "faces that it was calibrated on, which also chose the thresholds",
            }
            card = dataclasses.replace(card, operating_points=points, metrics=measured)
            if card.guard is not None:
                guard = _with_refusals(card.guard, kept, result)
                card = dataclasses.replace(card, guard=guard)
        answers = scorer.score(check_pictures(card.input_px)).p_fake
        card = dataclasses.replace(card, self_check=tuple(round(float(p), 7) for p in answers))
        write_model(fresh, out, with_card(graph_of(calibration), card))
    return card


def _stretch(guard: Guard, samples: Sequence[Sample], distances: Sequence[float | None]) -> float:
    """Return by how much distances are to shrink so that at most 1 % of these faces are refused.

    It is 1 where no more are. Several members refuse more together than each alone. Sources and
    classes count alike.
    """
    seen = [(s, d) for s, d in zip(samples, distances, strict=True) if d is not None]
    share = max(REFUSED, LEAST_BEYOND / max(len(seen), 1))
    if share >= 1:
        return 1.0
    cut, _ = cut_at([d for _, d in seen], balanced_weights([s for s, _ in seen]), share)
    return max(1.0, round(cut / guard.unfamiliar_above, 4))


def _telling(card: ModelCard, guard: Guard, stretch: float) -> ModelCard:
    """Return the card, whose guard's rule tells by how much its distances are divided."""
    rule = (
        f"{guard.rule}; divided by {stretch:g}, so that at most {REFUSED:.0%} of the faces of its "
        "calibration are refused"
    )
    return dataclasses.replace(card, guard=dataclasses.replace(guard, rule=rule))


def _shrunk(graph_of: GraphMaker, stretch: float, calibration: Calibration) -> onnx.ModelProto:
    """Return the graph with the distances of its guard divided by ``stretch``."""
    model = graph_of(calibration)
    whole = f"{GUARD_OUTPUT}/of_members"
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name == GUARD_OUTPUT:
                node.output[place] = whole
    add = GraphBuilder(model.graph, GUARD_OUTPUT)
    add.add("Mul", whole, add.weight(np.float32(1 / stretch)), out=GUARD_OUTPUT)
    return model


def _with_refusals(guard: Guard, samples: Sequence[Sample], result: Evaluation) -> Guard:
    """Return the guard with the share of these faces that it refuses, sources and classes alike."""
    weights = balanced_weights(samples)
    refused = np.array([one.reason == "unfamiliar" for one in result.predictions])
    return dataclasses.replace(
        guard, false_refusals=round(float(weights[refused].sum() / weights.sum()), 5)
    )


def _write(
    graph_of: GraphMaker, card: ModelCard, calibration: Calibration, fresh: Path, out: Path
) -> ModelCard:
    model = graph_of(calibration)
    digest = graph_sha256(model.SerializeToString())
    card = dataclasses.replace(card, calibration=calibration, graph_sha256=digest)
    with output_errors(out):
        fresh.write_bytes(with_card(model, card))
    return card


def _judged(
    scorer: OnnxScorer, samples: Sequence[Sample], count: Count
) -> list[tuple[float, float | None] | None]:
    """Return log-odds and distance of each face; ``None`` for unreadable files."""
    detector = Detector(scorer, faces="whole")
    verdicts = detector.check_many([s.picture for s in samples])
    found: list[tuple[float, float | None] | None] = []
    for verdict in count(verdicts, len(samples), "calibrating"):
        if not isinstance(verdict, Verdict) or verdict.p_fake is None:
            found.append(None)
            continue
        held = min(max(float(verdict.p_fake), _LEAST_P), 1 - _LEAST_P)
        found.append((float(np.log(held / (1 - held))), verdict.faces[0].unfamiliar))
    if not any(one is not None for one in found):
        raise ModelError(f"{scorer.model_id}: no face of the data set could be judged")
    return found
