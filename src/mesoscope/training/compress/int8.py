"""Choose the layers that compute in 8-bit integers, and rewrite graphs so that they gain speed.

Measured with ONNX Runtime on a processor with AVX-512 VNNI, one crop a call
(``benchmarks/quantization.py`` compares this choice with quantising every layer):

- Convolutions with at least 16 filters and 8 input channels, and depthwise ones with at least 16
  channels, are quicker in integers. Narrower ones are slower: integer kernels gather each patch
  before they multiply, and a patch of few channels is mostly gathering.
- The first convolution reads three channels. Where it strides over columns, neighbouring columns
  can count as channels at no cost, as they lie side by side in ``crops``: then it is wide enough.
What lies between two such convolutions (ReLU, pooling, sums, channel weights) must be in
  integers too, or each way to floats and back costs what the convolution saved.
Dense layers keep activations in floats: they take little time, and rounding their input moves
  the score most. Large ones keep their weights in 8 bits, for a
  smaller file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from mesoscope.training.decide.comparison import shapes
from mesoscope.training.export.graph import attributes, constants, readers, replace_nodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SEEN", "feed_bytes", "integer_nodes", "pool_globally", "shrink_dense", "widen_first"]

LEAST_FILTERS, LEAST_INPUTS = 16, 8
LARGE_DENSE = 4096  # weights; smaller layers save less than their scales and names cost
FOLLOWERS = ("Relu", "Clip", "MaxPool")  # in integers wherever their input is
SEEN = "crops_seen"  # input of a widened first convolution: grey levels as floats
BETWEEN = ("GlobalAveragePool", "Add", "Mul")  # in integers only between two such convolutions


def integer_nodes(model: onnx.ModelProto) -> list[str]:
    """Return the nodes to compute in integers, in graph order; every node needs a name."""
    known, sizes = constants(model), shapes(model)
    needed = _ancestors(model, ["logit"])
    convolutions = [
        node
        for node in model.graph.node
        if node.op_type == "Conv"
        and node.output[0] in needed
        and _pays(node, known, sizes.get(node.output[0], []))
    ]
    towards = _ancestors(model, [node.input[0] for node in convolutions])
    names, integers = [], set[str]()
    for node in model.graph.node:
        inside = [name in integers for name in node.input if name not in known]
        joins = node.op_type in BETWEEN and node.output[0] in towards
        take = node in convolutions
        take |= node.op_type in FOLLOWERS and all(inside) and node.output[0] in needed
        take |= joins and (all(inside) if node.op_type == "Add" else any(inside))
        if take:
            names.append(node.name)
            integers.update(node.output)
    return names


def pool_globally(model: onnx.ModelProto) -> None:
    """Replace a mean over height and width by global pooling, which has an integer kernel."""
    known = constants(model)
    for node in model.graph.node:
        if node.op_type != "ReduceMean" or len(node.input) < 2 or node.input[1] not in known:
            continue
        has = attributes(node)
        over = sorted(known[node.input[1]].tolist())
        if over in ([2, 3], [-2, -1]) and has.get("keepdims", 1):
            node.op_type = "GlobalAveragePool"
            del node.input[1:], node.attribute[:]


def widen_first(model: onnx.ModelProto) -> None:
    """Merge neighbouring columns into channels for a first convolution that strides over them.

    The same bytes are ``crops [N, S, S, 3]`` and ``[N, S, S / s, 3 s]``. A filter of width ``k``,
    with stride ``s`` over columns and ``left`` columns of padding, becomes one of width
    ``⌈left / s⌉ + ⌈(k − left) / s⌉`` and stride 1 over groups of ``s`` columns, with zeros where a
    group reaches beyond it. Exact. The convolution gets a way of its own, through :data:`SEEN`;
    others that read the crops keep theirs. A convolution that stays too narrow stays as it is.
    """
    first, scale = _first(model)
    weights = None if first is None else constants(model).get(first.input[1])
    if first is None or weights is None or not _strides(first, weights):
        return
    has = attributes(first)
    down, step = has["strides"]
    side, columns, channels = (d.dim_value for d in _input_dimensions(model)[1:])
    top, left, bottom, right = has.get("pads", [0, 0, 0, 0])
    wide, before = _grouped(weights * np.float32(scale), step, left)
    places = (columns + left + right - weights.shape[3]) // step + 1
    behind = places - 1 + wide.shape[3] - before - columns // step
    if columns % step or behind < 0:
        return
    node, name = onnx.helper.make_node, f"{first.input[1]}_columns"
    view = np.array([0, side, columns // step, channels * step], np.int64)
    for value, called in ((wide, name), (view, "crops_columns_shape")):
        model.graph.initializer.append(numpy_helper.from_array(value, called))
    wider = node(
        "Conv",
        [SEEN, name, *first.input[2:]],
        list(first.output),
        name=first.name,
        strides=[down, 1],
        kernel_shape=list(wide.shape[2:]),
        pads=[top, before, bottom, behind],
    )
    way = [
        node("Reshape", ["crops", "crops_columns_shape"], ["crops_columns"]),
        node("Transpose", ["crops_columns"], ["crops_first"], perm=[0, 3, 1, 2]),
        node("Cast", ["crops_first"], [SEEN], to=onnx.TensorProto.FLOAT),
    ]
    rest = [wider if other == first else other for other in model.graph.node]
    replace_nodes(model, [*way, *rest])
    _drop_unread(model)


def feed_bytes(model: onnx.ModelProto) -> None:
    """Let the widened first convolution read the bytes of the crops directly.

    In a quantised graph floats are made of them, and bytes of the floats; with a scale of 1 for
    :data:`SEEN` these are the same bytes.
    """
    nodes = list(model.graph.node)
    back = {
        node.output[0]: "crops_first"
        for node in nodes
        if node.op_type == "QuantizeLinear" and node.input[0] == SEEN
    }
    for node in nodes:
        if node.op_type == "DequantizeLinear" and node.input[0] in back:
            node.input[0] = back[node.input[0]]
    _drop_unread(model)


def shrink_dense(model: onnx.ModelProto) -> list[str]:
    """Store the weights of large dense layers in 8 bits, one scale a column; compute in floats.

    Returns:
        Names of the layers.
    """
    known, after, done = constants(model), readers(model), []
    nodes = list(model.graph.node)
    for node in list(nodes):
        if node.op_type not in ("Gemm", "MatMul"):
            continue
        name = node.input[1]
        value = known.get(name)
        if value is None or value.ndim != 2 or value.size < LARGE_DENSE or len(after[name]) > 1:
            continue
        axis = 0 if attributes(node).get("transB", 0) else 1  # axis of the output
        largest = np.abs(value).max(1 - axis, keepdims=True)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        whole = np.rint(value / scale).astype(np.int8)
        _replace(model, name, whole)
        model.graph.initializer.append(numpy_helper.from_array(scale.ravel(), f"{name}_scale"))
        back = onnx.helper.make_node(
            "DequantizeLinear", [name, f"{name}_scale"], [f"{name}_floats"], axis=axis
        )
        node.input[1] = f"{name}_floats"
        nodes.insert(nodes.index(node), back)
        done.append(node.name)
    replace_nodes(model, nodes)
    return done


def _pays(node: onnx.NodeProto, known: dict[str, NDArray[np.float32]], size: list[int]) -> bool:
    """Whether a convolution of this shape is quicker in integers."""
    weights = known.get(node.input[1])
    if weights is None or weights.ndim != 4 or len(size) != 4 or size[2] * size[3] == 1:
        return False
    group = attributes(node).get("group", 1)
    if group == weights.shape[0]:
        return bool(group >= LEAST_FILTERS)
    return bool(
        group == 1 and weights.shape[0] >= LEAST_FILTERS and weights.shape[1] >= LEAST_INPUTS
    )


def _first(model: onnx.ModelProto) -> tuple[onnx.NodeProto | None, float]:
    """Return the first convolution before the logit, and the value of a grey level at its input."""
    after, known = readers(model), constants(model)
    needed = _ancestors(model, ["logit"])
    tensors = [
        cast.output[0]
        for transpose in after.get("crops", [])
        if transpose.op_type == "Transpose"
        for cast in after.get(transpose.output[0], [])
        if cast.op_type == "Cast"
    ]
    scales = dict.fromkeys(tensors, 1.0)
    for tensor in tensors:
        for divide in after.get(tensor, []):
            if divide.op_type == "Div" and known.get(divide.input[1], np.empty(2)).size == 1:
                scales[divide.output[0]] = 1 / float(known[divide.input[1]].item())
    for tensor, scale in scales.items():
        for node in after.get(tensor, []):
            if node.op_type == "Conv" and node.output[0] in needed:
                return node, scale
    return None, 1.0


def _strides(first: onnx.NodeProto, weights: NDArray[np.float32]) -> bool:
    """Whether a convolution is plain, strides over columns, and gets wide enough by merging."""
    has = attributes(first)
    step = has.get("strides", [1, 1])
    return bool(
        step[1] > 1
        and step[1] * weights.shape[1] >= LEAST_INPUTS
        and weights.shape[0] >= LEAST_FILTERS
        and has.get("group", 1) == 1
        and set(has.get("dilations", [1])) == {1}
        and has.get("auto_pad", b"NOTSET") == b"NOTSET"
    )


def _grouped(weights: NDArray[np.float32], step: int, left: int) -> tuple[NDArray[np.float32], int]:
    """Group filters ``[F, C, k, w]`` by ``step`` columns; also return the groups left of the first.

    ``left`` is the padding in columns.
    """
    filters, inputs, high, width = weights.shape
    before, rest = -(-left // step), -(-(width - left) // step)
    wide = np.zeros((filters, step * inputs, high, before + rest), weights.dtype)
    for column in range(width):
        group, place = divmod(column - left + before * step, step)
        wide[:, place * inputs : (place + 1) * inputs, :, group] = weights[:, :, :, column]
    return wide, before


def _input_dimensions(model: onnx.ModelProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(model.graph.input[0].type.tensor_type.shape.dim)


def _ancestors(model: onnx.ModelProto, names: list[str]) -> set[str]:
    """Return these tensors and all tensors that they are computed from."""
    needed = set(names)
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed.update(node.input)
    return needed


def _replace(model: onnx.ModelProto, name: str, value: NDArray[np.generic]) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(value, name))


def _drop_unread(model: onnx.ModelProto) -> None:
    """Remove nodes whose outputs are not read."""
    needed = _ancestors(model, [output.name for output in model.graph.output])
    replace_nodes(model, [n for n in model.graph.node if needed & set(n.output)])
