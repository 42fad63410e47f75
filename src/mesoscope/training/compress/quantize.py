"""Quantise a model file to 8-bit integers, and compare it with the original.

Static quantisation (Jacob et al., *Quantization and training of neural networks for efficient
integer-arithmetic-only inference*, CVPR 2018): each weight and each value between two layers is
kept in 8 bits. Each filter has the range of its own weights. The ranges of activations come from
real faces of the train split. The file holds standard ONNX operations (QuantizeLinear and
DequantizeLinear around each layer), which ONNX Runtime fuses into integer kernels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from mesoscope.data.manifest import read_datasets, require_both_classes
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import OnnxScorer, Scores, check_pictures
from mesoscope.errors import ModelError, ModelMismatch, OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import temporary_path
from mesoscope.models.file import graph_sha256, model_id, read_card
from mesoscope.training.compress import int8 as integers
from mesoscope.training.data.dataset import draw_epoch
from mesoscope.training.decide.comparison import Comparison, compare, multiply_adds
from mesoscope.training.decide.thresholds import operating_points
from mesoscope.training.export.card_figures import figures_for_card
from mesoscope.training.export.graph import strip
from mesoscope.training.export.onnx_export import output_errors, with_card, write_model
from mesoscope.training.export.weight_bits import in_32_bits
from mesoscope.training.recipe.keys import DataKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample
    from mesoscope.training.decide.comparison import Count
    from mesoscope.types import Json, ModelCard, Pixels


__all__ = ["quantize", "quantize_graph"]

_CONDITIONS = (
    "validation split of the data that the copy was measured on, which also set its guard; "
    "calibration and thresholds are those of the original"
)


def quantize(
    model: Path,
    roots: Sequence[Path],
    out: Path,
    *,
    name: str,
    faces: int = 256,
    seed: int = 0,
    max_loss: float = 0.01,
    allow_loss: bool = False,
    count: Count = lambda items, _total, _what: items,
) -> Comparison:
    """Write a quantised copy of a model, unless its figures are worse.

    The threshold of the copy's guard is set anew, since rounding makes its distances longer: it
    refuses as many validation pictures as the original's.

    Args:
        model: A model file in floats.
        roots: Data sets: the train split sets the ranges, the validation split measures the copy
            and sets its guard.
        out: The ``.onnx`` file to write; replaced whole or not at all.
        name: Name of the copy, for its card.
        faces: Number of crops of the train split that set the ranges, balanced over sources and
            classes.
        seed: Seed of the choice of crops.
        max_loss: Largest accepted loss of accuracy or AUC, as means over sources.
        allow_loss: Write the copy even if it loses more.
        count: Wraps work for a progress bar: ``(items, total, what) → items``.

    Returns:
        The comparison of both models, measured through the detector.

    Raises:
        ModelError: The file is no model, quantised already, or has no layer worth quantising.
        ModelMismatch: The copy loses more than ``max_loss``. Nothing is written.
        DatasetError: There is no train or validation split, or one lacks a class.
        SourceError: A picture chosen for the ranges cannot be read.
        OutputError: The disk is full, or the folder cannot be written.
    """
    card = read_card(model)
    if card.quantisation:
        raise ModelError(f"{model}: is quantised already: give its original, {card.original}")
    where = ", ".join(str(root) for root in roots)
    samples = read_datasets(roots)
    for split in ("train", "validation"):
        require_both_classes(samples, split, where)
    validation = [s for s in samples if s.split == "validation"]
    crops = _calibration_crops(card, [s for s in samples if s.split == "train"], faces, seed, count)
    graph = in_32_bits(onnx.load(model))
    integer, layers = quantize_graph(graph, crops)
    if not layers:
        raise ModelError(f"{model}: no layer of it is wide enough to be quicker in integers")
    card = dataclasses.replace(
        card,
        name=name,
        source=f"{model_id(model)}, quantised; {card.source}",
        multiply_adds=multiply_adds(graph),
        graph_sha256=graph_sha256(integer.SerializeToString()),
        self_check=(),
        metrics={},
        quantisation={
            **layers,
            "calibrated_on": f"{len(crops)} faces of the train split, each source and class alike",
            "seed": seed,
            "original": model_id(model),
            "original_graph_sha256": card.graph_sha256,
        },
    )
    with temporary_path(out) as fresh:
        with output_errors(out):
            fresh.write_bytes(with_card(integer, card))
        found, pairs = compare(model, fresh, validation, count=count)
        _refuse_loss(out, found, max_loss, allow_loss=allow_loss)
        answers = OnnxScorer(fresh).score(check_pictures(card.input_px)).p_fake
        points, false_alarms = operating_points(pairs[1])  # own ones: rounding moves scores
        card = dataclasses.replace(
            card,
            self_check=tuple(round(float(p), 7) for p in answers),
            metrics={
                **figures_for_card(pairs[1].to_dict(), conditions=_CONDITIONS),
                "false_positive_rates": false_alarms,
            },
            operating_points=points,
            guard=found.guard or card.guard,
        )
        write_model(fresh, out, with_card(integer, card))
    # The card was changed after the measurement; the graph was not.
    whole = found.quantised._replace(size_bytes=out.stat().st_size)
    return found._replace(quantised=whole)


def quantize_graph(
    model: onnx.ModelProto, crops: Pixels
) -> tuple[onnx.ModelProto, dict[str, Json]]:
    """Quantise a graph.

    Args:
        model: A model in floats; not changed.
        crops: ``(n, S, S, 3) uint8``: their values set the ranges.

    Returns:
        The graph, and the precision of each layer for the card; empty if nothing was quantised.
    """
    work = onnx.ModelProto.FromString(model.SerializeToString())
    for number, node in enumerate(work.graph.node):
        node.name = f"{node.op_type}_{number}"
    integers.pool_globally(work)
    integers.widen_first(work)
    strip(work)
    nodes = integers.integer_nodes(work)
    convolutions = [node for node in work.graph.node if node.op_type == "Conv"]
    chosen = [node for node in convolutions if node.name in nodes]
    if not chosen:
        return model, {}
    bytes_in: dict[str, list[dict[str, NDArray[np.generic]]]] = {}
    if any(node.input[0] == integers.SEEN for node in chosen):  # grey levels are bytes already
        bytes_in[integers.SEEN] = [
            {"scale": np.ones(1, np.float32), "zero_point": np.zeros(1, np.uint8)}
        ]
    with _temporary_folder() as folder, _quiet():
        target = Path(folder) / "integers.onnx"
        quantize_static(
            work,
            target,
            _Faces(crops),
            quant_format=QuantFormat.QDQ,
            nodes_to_quantize=nodes,
            per_channel=True,
            # Seven bits would spare processors without VNNI an overflow, and cost the networks with
            # linear bottlenecks half their precision; `models verify` tells where it matters.
            reduce_range=False,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "ActivationSymmetric": False,
                "WeightSymmetric": True,
                "TensorQuantOverrides": bytes_in,
            },
        )
        done = onnx.load(target)
    integers.feed_bytes(done)
    dense = integers.shrink_dense(done)
    strip(done)
    onnx.checker.check_model(done, full_check=True)
    return done, {
        "format": "static, 8-bit integers, QDQ",
        "activations": "uint8, one range a layer",
        "weights": "int8, one range a filter",
        "convolutions": len(chosen),
        "convolutions_in_floats": len(convolutions) - len(chosen),
        "dense_weights_in_int8": len(dense),
    }


@contextlib.contextmanager
def _temporary_folder() -> Iterator[str]:
    """Yield a new folder for ONNX Runtime's files; remove it at the end.

    Raises:
        OutputError: The disk of temporary files is full.
    """
    try:
        with TemporaryDirectory() as folder:
            yield folder
    except OSError as error:
        raise OutputError(
            f"{gettempdir()}: a temporary file cannot be written: {cause(error)}: free some space "
            "there"
        ) from error


def _refuse_loss(out: Path, found: Comparison, max_loss: float, *, allow_loss: bool) -> None:
    for what in ("accuracy", "auc"):
        before, after = getattr(found.original, what), getattr(found.quantised, what)
        if before - after > max_loss and not allow_loss:
            raise ModelMismatch(
                f"{out}: not written: {what} falls from {before:.4f} to {after:.4f} on validation, "
                f"and {max_loss:g} is allowed (`max_loss`): calibrate on more faces (`faces`), or "
                "take it as it is with `allow_loss`"
            )


class _Recorder:
    """A scorer that records the crops it receives."""

    def __init__(self, card: ModelCard) -> None:
        self.card, self.model_id = card, f"{card.name}@crops"
        self.crops: list[Pixels] = []

    def score(self, crops: Pixels, *, heat: bool = False) -> Scores:  # noqa: ARG002 - of the protocol Scorer
        """Record the crops and return zeros."""
        self.crops.extend(crops)
        half = np.full(len(crops), 0.5, np.float32)
        return Scores(half, np.zeros_like(half), None)


class _Faces(CalibrationDataReader):  # type: ignore[misc]
    """Pass crops to ONNX Runtime's calibration, one per call."""

    def __init__(self, crops: Pixels) -> None:
        self._left = iter(crops)

    def get_next(self) -> dict[str, Pixels] | None:
        """Return the next crop as a batch of one; ``None`` at the end."""
        crop = next(self._left, None)
        return None if crop is None else {"crops": crop[None]}


def _calibration_crops(
    card: ModelCard, train: Sequence[Sample], faces: int, seed: int, count: Count
) -> Pixels:
    """Return train crops balanced over sources and classes: ``(n, S, S, 3) uint8``."""
    keys = DataKeys(images_per_epoch=min(faces, len(train)), source_power=0.0)
    picks = dict.fromkeys(draw_epoch(train, keys, np.random.default_rng(seed)).tolist())
    recorder = _Recorder(card)
    sources = [train[i].picture for i in picks]
    verdicts = Detector(recorder, faces="whole", jobs=1).check_many(sources)
    for _ in count(verdicts, len(sources), "reading faces"):
        pass
    if not recorder.crops:
        raise ModelError(
            f"{card.name}: no face of the train split could be cropped to calibrate on"
        )
    return np.stack(recorder.crops)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantiser, and restore the root logger afterwards.

    The quantiser recommends a step that the exporter has done, and installs a log handler.
    """
    before, handlers = logging.root.manager.disable, logging.root.handlers[:]
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        logging.root.handlers[:] = handlers
