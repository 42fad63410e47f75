"""Compare two model files on the same pictures: accuracy, size, cost and speed."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx

from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import OnnxScorer
from mesoscope.evaluation.evaluate import evaluate
from mesoscope.evaluation.throughput import faces_per_second
from mesoscope.training.decide.familiarity import LEAST_BEYOND, balanced_weights, cut_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample
    from mesoscope.report.record import Evaluation
    from mesoscope.types import Guard, Verdict

    Count = Callable[[Iterable[object], int, str], Iterable[object]]

__all__ = ["Comparison", "ModelFigures", "compare", "multiply_adds", "shapes"]


ALWAYS = ("p_fake", "logit", "unfamiliar")  # the evidence map is computed on request only


def shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Return the shape of every tensor with a known one, for a batch of one.

    Args:
        model: The model; not changed.

    Returns:
        Name → sizes; tensors with an unknown size are left out.
    """
    single = onnx.ModelProto.FromString(model.SerializeToString())
    del single.graph.value_info[:]
    for value in (*single.graph.input, *single.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    inferred = onnx.shape_inference.infer_shapes(single, data_prop=True).graph
    found = {tensor.name: list(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            found[value.name] = [dim.dim_value for dim in dims]
    return found


def multiply_adds(model: onnx.ModelProto) -> int:
    """Count the multiply-adds of convolutions and dense layers for one crop.

    Additions, activations, pooling and the evidence map are not counted, as is usual.

    Args:
        model: A model in floats; not changed.

    Returns:
        The number of multiply-adds.
    """
    known, total = shapes(model), 0
    needed = {name for name in ALWAYS if any(o.name == name for o in model.graph.output)}
    for node in reversed(model.graph.node):  # nodes are sorted: readers after producers
        if not needed & set(node.output):
            continue
        needed.update(node.input)
        if node.op_type == "Conv":  # each filter holds its inputs × kernel
            per_value = math.prod(known[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul"):
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            per_value = known[node.input[0]][0 if transposed else -1]
        else:
            continue
        total += per_value * math.prod(known[node.output[0]])
    return total


class ModelFigures(NamedTuple):
    """The figures of one of two compared models.

    Attributes:
        accuracy: Accuracy at .5 on the validation split, mean over sources.
        auc: AUC on the validation split, mean over sources.
        size_bytes: Size of the file.
        faces_per_second: Speed on one core of this machine, one crop per call.
        accuracy_interval: 95 % interval of the accuracy, by group bootstrap.
        auc_interval: 95 % interval of the AUC, by group bootstrap.
    """

    accuracy: float
    auc: float
    size_bytes: int
    faces_per_second: float
    accuracy_interval: tuple[float, float] = (math.nan, math.nan)
    auc_interval: tuple[float, float] = (math.nan, math.nan)


class Comparison(NamedTuple):
    """The original and its quantised copy, measured in one run.

    Attributes:
        original: Figures of the model in floats.
        quantised: Figures of the model in integers.
        moved: Root mean square difference of ``p_fake`` between both.
        other_labels: Share of pictures with a different label.
        n: Number of validation pictures.
        guard: Guard of the copy, whose threshold refuses as many of these pictures as that of the
            original; ``None`` without one.
    """

    original: ModelFigures
    quantised: ModelFigures
    moved: float
    other_labels: float
    n: int
    guard: Guard | None = None


def compare(
    original: Path,
    quantised: Path,
    samples: Sequence[Sample],
    *,
    resamples: int = 1000,
    count: Count = lambda items, _total, _what: items,
) -> tuple[Comparison, tuple[Evaluation, Evaluation]]:
    """Judge the same pictures with two model files, and measure both speeds in turns.

    Args:
        original: The model in floats.
        quantised: The model in integers.
        samples: Labelled pictures, each taken as one face crop.
        resamples: Bootstrap resamples of the intervals.
        count: Wraps an iterable for a progress bar.

    Returns:
        The comparison, and the evaluations of both.
    """
    scorers = [OnnxScorer(path) for path in (original, quantised)]
    rates = faces_per_second(scorers)
    first = _judged(scorers[0], samples, resamples, count, "evaluating the original")
    second = _judged(scorers[1], samples, resamples, count, "evaluating the quantised")
    guard = _guard_as_strict(scorers, samples, (first.distances, second.distances))
    if guard is not None and guard != scorers[1].card.guard:
        scorers[1].card = dataclasses.replace(scorers[1].card, guard=guard)
        what = "evaluating it with its own guard"
        second = _judged(scorers[1], samples, resamples, count, what)
    sides = []
    for path, rate, one in zip((original, quantised), rates, (first, second), strict=True):
        means = one.evaluation.mean_over_sources
        sides.append(
            ModelFigures(
                means.values["accuracy"],
                means.values["auc"],
                path.stat().st_size,
                rate,
                means.intervals["accuracy"],
                means.intervals["auc"],
            )
        )
    both = first.evaluation, second.evaluation
    pairs = list(zip(both[0].predictions, both[1].predictions, strict=True))
    moved = [a.p_fake - b.p_fake for a, b in pairs if a.p_fake is not None and b.p_fake is not None]
    other = [a.verdict != b.verdict for a, b in pairs]
    rms = float(np.sqrt(np.mean(np.square(moved))))
    comparison = Comparison(
        sides[0], sides[1], rms, float(np.mean(other)), len(pairs), scorers[1].card.guard
    )
    return comparison, both


class _Judged(NamedTuple):
    """An evaluation, and the distance of each face from the training data, NaN for none."""

    evaluation: Evaluation
    distances: NDArray[np.float64]


def _judged(
    scorer: OnnxScorer, samples: Sequence[Sample], resamples: int, count: Count, what: str
) -> _Judged:
    ticks = iter(count(range(len(samples)), len(samples), what))
    distances: list[float] = []

    def look(verdict: Verdict) -> None:
        next(ticks, None)
        found = verdict.faces[0].unfamiliar if verdict.faces else None
        distances.append(math.nan if found is None else found)

    found = evaluate(samples, Detector(scorer, faces="whole"), resamples=resamples, watch=look)
    return _Judged(found, np.array(distances))


def _guard_as_strict(
    scorers: Sequence[OnnxScorer],
    samples: Sequence[Sample],
    distances: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> Guard | None:
    """Return the copy's guard with the threshold that refuses as many faces as the original's.

    Rounding moves the features that the guard looks at, so distances of the copy are longer. The
    threshold is scaled by the ratio of two quantiles, the copy's over the original's: those that
    the original's share of refused faces lies beyond, or at least 20 faces.
    """
    before, after = (scorer.card.guard for scorer in scorers)
    known = np.isfinite(distances[0]) & np.isfinite(distances[1])
    if before is None or after is None or not known.any():
        return None
    kept = [sample for sample, its in zip(samples, known, strict=True) if its]
    weights = balanced_weights(kept)
    refused = distances[0][known] > before.unfamiliar_above
    share = max(float(weights[refused].sum() / weights.sum()), min(0.5, LEAST_BEYOND / len(kept)))
    cuts = [cut_at(of[known], weights, share)[0] for of in distances]
    above = round(before.unfamiliar_above * cuts[1] / cuts[0], 4)
    beyond = distances[1][known] > above
    return dataclasses.replace(
        after,
        unfamiliar_above=above,
        false_refusals=round(float(weights[beyond].sum() / weights.sum()), 5),
        rule=f"{after.rule}; the threshold {above:g} refuses as many faces as "
        f"{before.unfamiliar_above:g} before the quantisation",
        fitted_on=f"{after.fitted_on}; after the quantisation on {len(kept)} faces",
    )
