"""Wrap a third-party face classifier in a graph with mesoscope's inputs and outputs.

The graph takes ``crops uint8 [n, S, S, 3]`` RGB. Operations before the network convert them to its
own input: channel order, layout, range, mean and standard deviation. Operations after it compute
the log-odds of "fake", Platt's scale and shift, and the sigmoid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, compose, helper

from mesoscope.detection.scorer import check_pictures, open_session
from mesoscope.errors import ModelError
from mesoscope.errors.failures import cause
from mesoscope.models.file import LARGEST
from mesoscope.models.graph import check_graph
from mesoscope.training.adopt.foreign_card import RANGES
from mesoscope.training.adopt.graph_builder import GraphBuilder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mesoscope.training.adopt.foreign_card import ForeignCard, OutputKeys
    from mesoscope.types import Calibration

__all__ = ["WrappedNetwork", "wrap_network"]

LEAST_OPSET = 9
_SURE = 1e-7  # probabilities are clipped to this distance from 0 and 1, so log-odds stay finite


@dataclass(frozen=True, slots=True)
class WrappedNetwork:
    """A third-party network with the conversion of its input and the log-odds of its output.

    Attributes:
        body: The graph up to the network's output ``[n, k]``.
        flat: Name of that output.
        classes: Outputs per picture, ``k``.
        card: The network's ``CARD.toml``.
        parameters: Number of weights.
    """

    body: onnx.ModelProto
    flat: str
    classes: int
    card: ForeignCard
    parameters: int

    def model(self, calibration: Calibration) -> onnx.ModelProto:
        """Return the whole graph, with ``logit = scale · log-odds + shift``."""
        model = onnx.ModelProto()
        model.CopyFrom(self.body)
        del model.graph.output[:]
        post = GraphBuilder(model.graph, "post")
        logit = _log_odds(post, self.flat, self.classes, self.card.output)
        logit = post.add("Reshape", logit, post.weight(np.array([-1], np.int64)))
        logit = post.add("Mul", logit, post.weight(np.float32(calibration.scale)))
        logit = post.add("Add", logit, post.weight(np.float32(calibration.shift)), out="logit")
        post.add("Sigmoid", logit, out="p_fake")
        for name in ("p_fake", "logit"):
            model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        return model


def wrap_network(path: Path, card: ForeignCard) -> WrappedNetwork:
    """Wrap a network and run it on the check pictures.

    Args:
        path: The network's ``.onnx`` file, weights included.
        card: What the network takes and returns.

    Raises:
        ModelError: The file is not such a network, or does not match its card.
    """
    inner = _load(path)
    opset = max((o.version for o in inner.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if opset < LEAST_OPSET:
        raise ModelError(f"{path}: opset {opset}: export it with opset {LEAST_OPSET} or later")
    inner = compose.add_prefix(inner, "net/")
    graph = inner.graph
    weights = {one.name for one in graph.initializer}
    takes = [one for one in graph.input if one.name not in weights]  # old files list weights, too
    if len(takes) != 1:
        raise ModelError(f"{path}: it takes {len(takes)} inputs, and a classifier of faces one")
    batch = _check_input(takes[0], card, path)
    gives = _output(graph, card, path)
    del graph.input[:]
    del graph.output[:]
    del graph.value_info[:]  # shapes may be those of a batch of one
    side = card.input.size
    dims = [batch or "n", side, side, 3]
    graph.input.append(helper.make_tensor_value_info("crops", TensorProto.UINT8, dims))
    nodes = list(graph.node)
    del graph.node[:]
    _convert_input(GraphBuilder(graph, "pre"), takes[0], card)
    graph.node.extend(nodes)
    post = GraphBuilder(graph, "flat")
    flat = post.add("Flatten", gives.name, having={"axis": 1})
    if gives.type.tensor_type.elem_type != TensorProto.FLOAT:
        flat = post.add("Cast", flat, having={"to": TensorProto.FLOAT})
    graph.output.append(helper.make_tensor_value_info(flat, TensorProto.FLOAT, None))
    inner.ir_version = max(min(inner.ir_version, 10), 4)
    answers = _answers(inner, flat, card, path, batch)
    if batch is None and not _takes_many(inner, flat, card, path, answers):
        graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    parameters = sum(int(np.prod(one.dims)) for one in graph.initializer)
    _check_answers(answers, card, path)
    return WrappedNetwork(inner, flat, answers.shape[1], card, parameters)


def _load(path: Path) -> onnx.ModelProto:
    try:
        if path.stat().st_size > LARGEST:
            raise ModelError(f"{path}: an ONNX model has at most 2 GB")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {cause(error)}") from error
    check_graph(data, path)
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's own
        raise ModelError(f"{path}: not an ONNX model: {' '.join(str(error).split())}") from error
    if not model.graph.node:
        raise ModelError(f"{path}: not an ONNX model, or an empty one")
    del model.metadata_props[:]
    return model


def _check_input(takes: onnx.ValueInfoProto, card: ForeignCard, path: Path) -> int | None:
    """Return the batch size, where it is fixed."""
    tensor = takes.type.tensor_type
    side = card.input.size
    wanted = (3, side, side) if card.input.layout == "nchw" else (side, side, 3)
    shape = [d.dim_value if d.HasField("dim_value") else 0 for d in tensor.shape.dim]
    fits = len(shape) in (0, 4) and all(
        there in (0, want) for there, want in zip(shape[1:], wanted, strict=False)
    )
    if not fits:
        raise ModelError(
            f"{path}: its graph takes {shape} (0: any), and its card says {card.input.layout} of "
            f"{side} px, [n, {', '.join(map(str, wanted))}]: correct input.size or input.layout"
        )
    if tensor.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8):
        kind = TensorProto.DataType.Name(tensor.elem_type)
        raise ModelError(f"{path}: it takes {kind}, and FLOAT, FLOAT16 or UINT8 are known")
    return shape[0] or None if shape else None


def _output(graph: onnx.GraphProto, card: ForeignCard, path: Path) -> onnx.ValueInfoProto:
    names = [one.name.removeprefix("net/") for one in graph.output]
    asked = card.output.name or (names[0] if len(names) == 1 else "")
    if asked not in names:
        raise ModelError(
            f"{path}: its outputs are {', '.join(names)}, and output.name says {asked or 'none'}: "
            "name the one that counts"
        )
    return graph.output[names.index(asked)]


def _convert_input(steps: GraphBuilder, takes: onnx.ValueInfoProto, card: ForeignCard) -> None:
    """Convert crops to the network's input, under its input name."""
    i, kind = card.input, takes.type.tensor_type.elem_type
    low, high = RANGES[i.range]
    deviation = np.array(i.deviation or (1.0, 1.0, 1.0))
    scale = (high - low) / 255 / deviation
    shift = (low - np.array(i.mean or (0.0, 0.0, 0.0))) / deviation
    value = "crops"
    if i.colours == "bgr":
        value = steps.add(
            "Gather", value, steps.weight(np.array([2, 1, 0], np.int64)), having={"axis": 3}
        )
    if kind != TensorProto.UINT8 or (scale != 1).any() or shift.any():
        value = steps.add("Cast", value, having={"to": TensorProto.FLOAT})
        value = steps.add("Mul", value, steps.weight(scale.astype(np.float32)))
        value = steps.add("Add", value, steps.weight(shift.astype(np.float32)))
        if kind != TensorProto.FLOAT:
            value = steps.add("Cast", value, having={"to": kind})
    if i.layout == "nchw":
        value = steps.add("Transpose", value, having={"perm": [0, 3, 1, 2]})
    steps.add("Identity", value, out=takes.name)


def _log_odds(steps: GraphBuilder, flat: str, classes: int, output: OutputKeys) -> str:
    """Compute the log-odds of "fake" from outputs ``[n, k]``."""
    if classes == 1:
        sign = np.float32(1 if output.fake_is == "high" else -1)
        logit = flat if output.gives == "logit" else _logit_of(steps, flat)
        return steps.add("Mul", logit, steps.weight(sign))
    fake = np.isin(np.arange(classes), output.fake_classes)
    if classes == 2 and output.gives == "logit":
        signs = np.where(fake, 1, -1).astype(np.float32)[:, None]
        return steps.add("MatMul", flat, steps.weight(signs))
    value = steps.add("Softmax", flat, having={"axis": 1}) if output.gives == "logit" else flat
    both = np.stack([fake, ~fake], axis=1).astype(np.float32)
    return _logit_of(steps, steps.add("MatMul", value, steps.weight(both[:, :1])))


def _logit_of(steps: GraphBuilder, p: str) -> str:
    """``log(p / (1 - p))``, finite."""
    least = steps.weight(np.float32(_SURE))
    rest = steps.add("Sub", steps.weight(np.float32(1)), p)
    ends = [steps.add("Log", steps.add("Max", one, least)) for one in (p, rest)]
    return steps.add("Sub", *ends)


def _answers(
    model: onnx.ModelProto, flat: str, card: ForeignCard, path: Path, batch: int | None
) -> NDArray[np.float32]:
    """Run the network on the check pictures: outputs ``[4, k]``."""
    session = open_session(model.SerializeToString(), path, threads=1)
    pictures = check_pictures(card.input.size)
    found = []
    try:
        for one in pictures:
            run = session.run([flat], {"crops": np.repeat(one[None], batch or 1, axis=0)})
            found.append(np.asarray(run[0])[:1])
        answers = np.concatenate(found)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{path}: it does not run as its card says (input.size, input.layout?): {reason}"
        ) from error
    if answers.ndim != 2 or len(answers) != len(pictures):
        raise ModelError(f"{path}: of {len(pictures)} pictures it gives {answers.shape}")
    return answers


def _takes_many(
    model: onnx.ModelProto, flat: str, card: ForeignCard, path: Path, alone: NDArray[np.float32]
) -> bool:
    """Whether a batch gives the same outputs as its pictures one by one."""
    session = open_session(model.SerializeToString(), path, threads=1)
    try:
        (together,) = session.run([flat], {"crops": check_pictures(card.input.size)})
    except Exception:  # noqa: BLE001 - any of ONNX Runtime; then scored one by one
        return False
    together = np.asarray(together)
    return together.shape == alone.shape and bool(np.allclose(together, alone, 1e-2, 1e-3))


def _check_answers(answers: NDArray[np.float32], card: ForeignCard, path: Path) -> None:
    classes, output = answers.shape[1], card.output
    if not np.isfinite(answers).all():
        raise ModelError(f"{path}: its answers are not finite")
    if classes > 1000 or classes < 1:
        raise ModelError(f"{path}: it gives {classes} numbers a picture: no classifier of faces")
    if classes > 1 and (max(output.fake_classes) >= classes or len(output.fake_classes) >= classes):
        raise ModelError(
            f"{path}: it has {classes} classes, 0 to {classes - 1}, and output.fake_classes says "
            f"{list(output.fake_classes)}"
        )
    within = ((answers >= -1e-4) & (answers <= 1 + 1e-4)).all()
    summed = classes > 1 and np.allclose(answers.sum(axis=1), 1, atol=1e-3)
    if output.gives == "probability" and not (within and (classes == 1 or summed)):
        raise ModelError(
            f"{path}: its answers are no probabilities ({answers.min():.3g} to "
            f"{answers.max():.3g}): say output.gives = 'logit'"
        )
    if output.gives == "logit" and within and summed:
        raise ModelError(
            f"{path}: its answers add up to 1, so they are probabilities: say output.gives = "
            "'probability'"
        )
