"""What a graph costs to compute, counted from the graph."""

from __future__ import annotations

import math

import onnx

__all__ = ["multiply_adds", "shapes"]

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
