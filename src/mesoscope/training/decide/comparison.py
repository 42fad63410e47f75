"""Two model files before the same pictures: accuracy, size, cost and speed side by side."""

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

__all__ = ["Comparison", "Side", "compare", "multiply_adds", "shapes"]


ALWAYS = ("p_fake", "logit", "unfamiliar")  # the evidence map is computed when it is asked for


def shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Shape of every tensor that has a known one, for a batch of one.

    Args:
        model: Not changed.

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
    """Multiplications of convolutions and dense layers that scoring one crop takes.

    Additions, activations and pooling are left out, as is usual, and so is the evidence map.

    Args:
        model: In floats, not quantised; not changed.

    Returns:
        Their number.
    """
    known, total = shapes(model), 0
    needed = {name for name in ALWAYS if any(o.name == name for o in model.graph.output)}
    for node in reversed(model.graph.node):  # nodes are in order: readers before makers
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


class Side(NamedTuple):
    """One of two models that are compared.

    Attributes:
        accuracy: On the validation split, mean over sources, cut at one half.
        auc: Likewise.
        size_bytes: Of the file.
        faces_per_second: On one core of this machine, one crop a call.
        accuracy_interval: 95 % interval of the accuracy, by groups.
        auc_interval: Likewise.
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
        original: In floats.
        quantised: In integers.
        moved: Root mean square difference of ``p_fake`` between the two.
        other_labels: Share of pictures whose label differs.
        n: Validation pictures.
    """

    original: Side
    quantised: Side
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
    """Judge the same pictures with two model files, and measure the speed of both in turns.

    Args:
        original: In floats.
        quantised: In integers.
        samples: Labelled pictures, each taken as one face.
        resamples: Of the bootstrap behind the intervals.
        count: Wraps work for a progress bar.

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
            Side(
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
