"""Compare two model files on the same pictures: accuracy, size, cost and speed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx

from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import OnnxScorer
from mesoscope.evaluation.evaluate import evaluate
from mesoscope.evaluation.throughput import faces_per_second

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from mesoscope.data.manifest import Sample
    from mesoscope.report.record import Evaluation
    from mesoscope.types import Verdict

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
    """

    original: ModelFigures
    quantised: ModelFigures
    moved: float
    other_labels: float
    n: int


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
    rates = faces_per_second([OnnxScorer(path) for path in (original, quantised)])
    sides, found = [], []
    for path, rate, what in zip(
        (original, quantised), rates, ("the original", "the quantised"), strict=True
    ):
        ticks = iter(count(range(len(samples)), len(samples), f"evaluating {what}"))

        def tick(_verdict: Verdict, ticks: Iterator[object] = ticks) -> None:
            next(ticks, None)

        one = evaluate(samples, Detector(path, faces="whole"), resamples=resamples, watch=tick)
        values, intervals = one.mean_over_sources.values, one.mean_over_sources.intervals
        sides.append(
            ModelFigures(
                values["accuracy"],
                values["auc"],
                path.stat().st_size,
                rate,
                intervals["accuracy"],
                intervals["auc"],
            )
        )
        found.append(one)
    pairs = list(zip(found[0].predictions, found[1].predictions, strict=True))
    moved = [a.p_fake - b.p_fake for a, b in pairs if a.p_fake is not None and b.p_fake is not None]
    other = [a.verdict != b.verdict for a, b in pairs]
    rms = float(np.sqrt(np.mean(np.square(moved))))
    comparison = Comparison(sides[0], sides[1], rms, float(np.mean(other)), len(pairs))
    return comparison, (found[0], found[1])
