"""Rewrites of an exported graph for speed and size; the outputs stay the same.

Each works on a valid ``onnx.ModelProto`` in place. Measured on Meso-4 with ONNX Runtime on one
core: pooling first saves 10 % of the time, the division another 3 %, pairs of columns 30 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    *("fold_constants", "fold_division", "optimise", "pair_columns", "pool_before_norm"),
    *("attributes", "constants", "readers", "replace_nodes", "strip"),
]

LANES = 16  # 32-bit numbers in an AVX-512 register


def optimise(model: onnx.ModelProto) -> None:
    """Apply all rewrites, and remove unused nodes and weights."""
    fold_constants(model)
    fold_division(model)
    pool_before_norm(model)
    pair_columns(model)
    strip(model)


def fold_constants(model: onnx.ModelProto) -> None:
    """Compute constant subgraphs once.

    For example the first dense layer's weights summed over positions, for the evidence map.
    """
    known = constants(model)
    kept = []
    for node in model.graph.node:
        if node.input and all(name in known for name in node.input if name):
            single = onnx.helper.make_model(
                onnx.helper.make_graph(
                    [node],
                    "constant",
                    [],
                    [onnx.helper.make_empty_tensor_value_info(name) for name in node.output],
                    [numpy_helper.from_array(known[name], name) for name in node.input if name],
                ),
                opset_imports=model.opset_import,
            )
            values = ReferenceEvaluator(single).run(None, {})
            for name, value in zip(node.output, values, strict=True):
                known[name] = np.asarray(value)
                model.graph.initializer.append(numpy_helper.from_array(known[name], name))
        else:
            kept.append(node)
    replace_nodes(model, kept)


def fold_division(model: onnx.ModelProto) -> None:
    """Rewrite ``conv(x / c)`` as ``conv'(x)`` with weights divided by ``c``.

    Padding is zero in both. Applies only where convolutions alone read the quotient, and each of
    their weights has no other reader.
    """
    read_by, known, outputs = readers(model), constants(model), _outputs(model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in list(model.graph.node):
        if node.op_type != "Div" or node.input[1] not in known or known[node.input[1]].size != 1:
            continue
        after = [] if node.output[0] in outputs else read_by.get(node.output[0], [])
        if not after or not all(
            reader.op_type == "Conv"
            and reader.input[0] == node.output[0]
            and reader.input[1] in known
            and len(read_by[reader.input[1]]) == 1
            for reader in after
        ):
            continue
        divisor = known[node.input[1]]
        for reader in after:
            name = reader.input[1]
            weights[name].CopyFrom(numpy_helper.from_array(known[name] / divisor, name))
            reader.input[0] = node.input[0]
        model.graph.node.remove(node)


def pool_before_norm(model: onnx.ModelProto) -> None:
    """Rewrite ``pool(norm(x))`` as ``norm(pool(x))`` where every channel's scale is ≥ 0.

    A maximum and an increasing affine function commute, so only a quarter or a sixteenth of the
    values is normalised. A block with a negative scale in any channel stays.
    """
    read_by, known = readers(model), constants(model)
    nodes, outputs = list(model.graph.node), _outputs(model)
    for norm in list(nodes):
        if norm.op_type != "BatchNormalization" or norm.input[1] not in known:
            continue
        after = read_by.get(norm.output[0], [])
        if len(after) != 1 or after[0].op_type != "MaxPool" or norm.output[0] in outputs:
            continue
        if (known[norm.input[1]] < 0).any():
            continue
        pool = after[0]
        before, between, behind = norm.input[0], norm.output[0], pool.output[0]
        pool.input[0], pool.output[0] = before, between
        norm.input[0], norm.output[0] = between, behind
        i, j = nodes.index(norm), nodes.index(pool)
        nodes[i], nodes[j] = pool, norm
    replace_nodes(model, nodes)


def pair_columns(model: onnx.ModelProto) -> None:
    """Make a narrow convolution before a 2×2 max-pool compute two neighbouring columns at once.

    ONNX Runtime places filters side by side in SIMD lanes, so 8 filters leave half of 16 idle.
    Twice the filters, the second half shifted by one column, over every second column (kernel ``k ×
    (k + 1)``, stride ``(1, 2)``) give the same values: filter ``f`` of the first half the even
    columns, of the second half the odd ones. Pooling then takes two rows, and a maximum the two
    halves. Applies only where ReLU and pool alone read the convolution.
    """
    read_by, known = readers(model), constants(model)
    outputs = {output.name for output in model.graph.output}
    nodes = list(model.graph.node)
    for conv in list(nodes):
        if conv.op_type != "Conv" or not _pairs(conv, known):
            continue
        chain = [conv]
        for kind in ("Relu", "MaxPool"):
            after = read_by.get(chain[-1].output[0], [])
            if len(after) == 1 and after[0].op_type == kind and chain[-1].output[0] not in outputs:
                chain.append(after[0])
        if len(chain) < 3 or not _halves(chain[-1]):
            continue
        at = nodes.index(conv)
        nodes = [node for node in nodes if node not in chain]
        nodes[at:at] = _paired(model, conv, chain[-1].output[0], known)
    replace_nodes(model, nodes)


def _pairs(conv: onnx.NodeProto, known: dict[str, NDArray[np.float32]]) -> bool:
    """Whether a convolution is narrow, plain, and keeps the size."""
    if len(conv.input) != 3 or not all(name in known for name in conv.input[1:]):
        return False
    if known[conv.input[1]].ndim != 4:
        return False
    filters, _, high, wide = known[conv.input[1]].shape
    has = attributes(conv)
    return (
        2 * filters <= LANES
        and high == wide
        and has.get("group", 1) == 1
        and set(has.get("strides", [1])) == {1}
        and set(has.get("dilations", [1])) == {1}
        and has.get("auto_pad", b"NOTSET") == b"NOTSET"
        and list(has.get("pads", [0] * 4)) == [wide // 2] * 4
        and wide % 2 == 1
    )


def _halves(pool: onnx.NodeProto) -> bool:
    has = attributes(pool)
    return (
        list(has["kernel_shape"]) == [2, 2] == list(has.get("strides", []))
        and not any(has.get("pads", []))
        and set(has.get("dilations", [1])) == {1}
        and has.get("auto_pad", b"NOTSET") == b"NOTSET"
        and not has.get("ceil_mode", 0)
        and len(pool.output) == 1
    )


def _paired(
    model: onnx.ModelProto, conv: onnx.NodeProto, pooled: str, known: dict[str, NDArray[np.float32]]
) -> list[onnx.NodeProto]:
    weights, bias = (known[name] for name in conv.input[1:])
    filters, inputs, k, _ = weights.shape
    both = np.zeros((2 * filters, inputs, k, k + 1), weights.dtype)
    both[:filters, :, :, :-1] = weights  # the even column
    both[filters:, :, :, 1:] = weights  # its right neighbour
    name = conv.output[0]
    for part, value in (("weights", both), ("bias", np.tile(bias, 2))):
        model.graph.initializer.append(numpy_helper.from_array(value, f"{name}_pair_{part}"))
    node = onnx.helper.make_node
    halves = [f"{name}_even", f"{name}_odd"]
    return [
        node(
            "Conv",
            [conv.input[0], f"{name}_pair_weights", f"{name}_pair_bias"],
            [f"{name}_pair"],
            kernel_shape=[k, k + 1],
            strides=[1, 2],
            pads=[k // 2] * 4,
        ),
        node("Relu", [f"{name}_pair"], [f"{name}_pair_relu"]),
        node(
            "MaxPool",
            [f"{name}_pair_relu"],
            [f"{name}_pair_rows"],
            kernel_shape=[2, 1],
            strides=[2, 1],
        ),
        node("Split", [f"{name}_pair_rows"], halves, axis=1, num_outputs=2),
        node("Max", halves, [pooled]),
    ]


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def constants(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """Return the graph's weights by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def readers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the nodes that read each tensor."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def _outputs(model: onnx.ModelProto) -> set[str]:
    return {output.name for output in model.graph.output}


def replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Replace the graph's nodes by copies of these."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def strip(model: onnx.ModelProto) -> None:
    """Remove unused weights, outdated shapes between nodes, and the exporter's metadata."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    used |= _outputs(model)
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    weights = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in weights]
    del graph.initializer[:], graph.value_info[:], graph.metadata_props[:], model.functions[:]
    del model.metadata_props[:]
    for owner in (*graph.node, *weights, *graph.input, *graph.output):
        owner.doc_string = ""
        del owner.metadata_props[:]
    graph.initializer.extend(weights)
    model.doc_string = graph.doc_string = ""
