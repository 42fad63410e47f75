"""Export a trained network as a model file: one graph with its card, checked against torch.

The file takes ``crops uint8 [N, S, S, 3]`` and returns ``p_fake [N]``, ``logit [N]``, ``heat [N, h,
w]`` and, with a guard, ``unfamiliar [N]``; scaling, calibration, the evidence map and the guard are
operations of the graph.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
import warnings
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from mesoscope.detection.scorer import GUARD_OUTPUT, OnnxScorer, Scores, check_pictures
from mesoscope.errors import ModelError, ModelMismatch, OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import finish, temporary_path
from mesoscope.models.file import CARD_KEY, graph_sha256, read_card, sealed
from mesoscope.training.decide.comparison import multiply_adds
from mesoscope.training.export import graph
from mesoscope.training.nets import parameter_count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mesoscope.training.decide.familiarity import Familiarity
    from mesoscope.training.nets import Network
    from mesoscope.types import Calibration, ModelCard, Pixels


__all__ = [
    "TOLERANCE",
    "ExportedNetwork",
    "export",
    "output_errors",
    "stamp",
    "with_card",
    "write_model",
]


def with_card(model: onnx.ModelProto, card: ModelCard) -> bytes:
    """Serialise a graph with its card and a digest of both as the only metadata."""
    del model.metadata_props[:]
    model.metadata_props.add(key=CARD_KEY, value=card.to_json())
    return sealed(model.SerializeToString())


def write_model(fresh: Path, out: Path, data: bytes) -> None:
    """Write to a temporary name, sync, and rename.

    Raises:
        OutputError: The disk is full, or the folder is not writable.
    """
    with output_errors(out):
        fresh.write_bytes(data)
        finish(fresh, out)


@contextlib.contextmanager
def output_errors(out: Path) -> Iterator[None]:
    """Convert operating system errors to one that names the model file.

    Raises:
        OutputError: The disk is full, or the folder is not writable.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{out}: the model cannot be written: {cause(error)}") from error


TOLERANCE = 1e-4
OPSET = 20  # read by ONNX Runtime 1.17 and later
BATCHES = (1, 3)  # batch sizes of the comparison; other sizes use the rest of a batch


class ExportedNetwork(nn.Module):
    """The module of the model file: the network with scaling, calibration, evidence map and guard.

    The map is scaled like the logit. It is a gradient of the logit times activations, so the scaled
    map is the exact Grad-CAM of the *calibrated* logit, and maps of two models have the same unit:
    log-odds. A calibration's scale is positive, so the map's sign stays.

    Args:
        net: The network; copied, in evaluation mode, on the CPU.
        calibration: Scale and shift of the logit.
        guard: The guard against unfamiliar crops; ``None`` leaves out that output.
    """

    def __init__(
        self, net: Network, calibration: Calibration, guard: Familiarity | None = None
    ) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval().cpu().float()
        self.scale, self.shift = calibration.scale, calibration.shift
        self.guard = None if guard is None else copy.deepcopy(guard).eval().cpu()

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        """``[N, S, S, 3] uint8`` → p_fake ``[N]``, logit ``[N]``, heat ``[N, h, w]``.

        With a guard also unfamiliar ``[N]``.
        """
        x = crops.permute(0, 3, 1, 2).float() / 255  # [N, 3, S, S]
        a = self.net.forward_features(x)
        logit = self.scale * self.net.forward_head(a) + self.shift
        answers = torch.sigmoid(logit), logit, self.scale * self.net.heat(a)
        return answers if self.guard is None else (*answers, self.guard(x, a))


def export(
    net: Network,
    out: Path,
    card: ModelCard,
    calibration: Calibration,
    *,
    check_crops: Pixels,
    guard: Familiarity | None = None,
) -> ModelCard:
    """Write a model file, unless ONNX Runtime's outputs differ from torch's.

    The comparison uses ``check_crops`` and :func:`mesoscope.detection.scorer.check_pictures`, in
    batches of one and of three: ``p_fake`` within 1e-4, ``logit``, ``heat`` and ``unfamiliar``
    within 1e-4 of their largest magnitude or of 1.

    Args:
        net: The network; neither it nor its mode is changed.
        out: The ``.onnx`` file, written to a temporary name and renamed: an existing file is
            replaced whole or not at all.
        card: Fields known before export. ``calibration``, ``guard``, ``self_check``,
            ``graph_sha256``, ``parameters`` and ``multiply_adds`` are set here.
        calibration: Calibration of the logit; its scale must be positive.
        check_crops: Faces to compare on, ``(n, S, S, 3) uint8``.
        guard: The guard, see :mod:`mesoscope.training.decide.familiarity`; ``None`` writes a file
            that takes every face as familiar.

    Returns:
        The card as written to the file.

    Raises:
        ModelMismatch: The outputs differ, or the calibration's scale is not positive. Nothing is
            written.
        OutputError: The disk is full, or the folder cannot be written.
    """
    if not calibration.scale > 0:
        raise ModelMismatch(f"{out}: the calibration's scale must be positive: {calibration.scale}")
    exported = ExportedNetwork(net, calibration, guard).eval()
    model = _to_onnx(exported, card.input_px)
    card = dataclasses.replace(
        card,
        calibration=calibration,
        guard=None if guard is None else guard.record,
        parameters=parameter_count(net),
        multiply_adds=multiply_adds(model),
        graph_sha256=graph_sha256(model.SerializeToString()),
        self_check=(),
    )
    with temporary_path(out) as fresh:
        with output_errors(out):
            fresh.write_bytes(with_card(model, card))
        try:
            scorer = OnnxScorer(fresh)
        except ModelError as error:
            raise ModelMismatch(
                f"{out}: not written: its answers are none: are all weights finite? {error}"
            ) from error
        pictures = check_pictures(card.input_px)
        for crops in (check_crops, pictures):
            _compare(exported, scorer, crops, out)
        answers = scorer.score(pictures).p_fake
        card = dataclasses.replace(card, self_check=tuple(round(float(p), 7) for p in answers))
        write_model(fresh, out, with_card(model, card))
    return card


def stamp(path: Path, card: ModelCard) -> ModelCard:
    """Replace the card of a model file; the graph stays byte for byte.

    Args:
        path: A file that :func:`export` wrote.
        card: The new card; fields that export sets are kept from the file.

    Returns:
        The card as written to the file.

    Raises:
        ModelError: The file is no model.
        OutputError: The file cannot be written.
    """
    old = read_card(path)
    measured = ("calibration", "guard", "self_check", "graph_sha256", "parameters")
    card = dataclasses.replace(card, **{name: getattr(old, name) for name in measured})
    model = onnx.load(path)
    counted = old.multiply_adds or multiply_adds(model)
    card = dataclasses.replace(card, multiply_adds=counted)
    with temporary_path(path) as fresh:
        write_model(fresh, path, with_card(model, card))
    return card


def _to_onnx(exported: ExportedNetwork, side_px: int) -> onnx.ModelProto:
    example = torch.zeros((2, side_px, side_px, 3), dtype=torch.uint8)
    names = ["p_fake", "logit", "heat", GUARD_OUTPUT][: len(exported(example))]
    with _quiet():
        model = _trace(exported, example, names)
    graph.optimise(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _trace(exported: ExportedNetwork, example: Tensor, outputs: list[str]) -> onnx.ModelProto:
    program = torch.onnx.export(
        exported,
        (example,),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=["crops"],
        output_names=outputs,
        dynamic_shapes=({0: torch.export.Dim("n")},),
    )
    if program is None:
        raise ModelMismatch("torch.onnx.export gave no graph: this torch cannot export the network")
    return program.model_proto


def _compare(exported: ExportedNetwork, scorer: OnnxScorer, crops: Pixels, out: Path) -> None:
    """Refuse the file if torch and ONNX Runtime differ on these crops."""
    for size in BATCHES:
        for start in range(0, len(crops), size):
            batch = crops[start : start + size]
            with torch.no_grad():
                wanted = Scores(*(part.numpy() for part in exported(torch.from_numpy(batch))))
            found = scorer.score(batch, heat=True)
            for name in Scores._fields:
                a, b = getattr(wanted, name), getattr(found, name)
                if a is None and b is None:
                    continue  # without a guard
                if a.shape != b.shape:
                    raise ModelMismatch(
                        f"{out}: not written: {name} is {b.shape} in ONNX Runtime and {a.shape} "
                        "in torch"
                    )
                largest = 1.0 if name == "p_fake" else max(1.0, float(np.abs(a).max()))
                difference = float(np.abs(a - b).max()) / largest
                if not difference <= TOLERANCE:  # NaN is refused too
                    raise ModelMismatch(
                        f"{out}: not written: {name} in ONNX Runtime differs from torch by "
                        f"{difference:.2g}, and {TOLERANCE} is allowed; are all weights finite?"
                    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, and restore the settings afterwards.

    It warns of optional packages and of its own deprecated calls, which a user cannot act on.
    Errors are raised as exceptions.
    """
    names = ("torch.onnx", "onnxscript", "onnx_ir")
    before = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for name in names:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)
