"""Keep the weights of a graph in 16 bits, so that its file is half as large.

Calculations stay in 32 bits: a cast follows each weight, and ONNX Runtime executes it once, when it
loads the file. A 16-bit float has 11 significant bits, so a weight changes by at most .05 %.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["keep_half"]

_LEAST = 256  # numbers in a tensor; smaller ones, such as biases and calibration, stay as they are
_TINY = 2.0**-14  # smallest normal 16-bit float
_LARGEST = 65504.0


def keep_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a graph whose large 32-bit weights are 16-bit ones with a cast.

    A tensor stays in 32 bits if it has fewer than 256 numbers, one beyond the range of 16 bits, or
    none of normal size.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    casts = []
    for tensor in made.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _LEAST:
            continue
        values = numpy_helper.to_array(tensor)
        largest = float(np.abs(values).max())
        if not _TINY <= largest <= _LARGEST:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = list(made.graph.node)
    del made.graph.node[:]
    made.graph.node.extend([*casts, *nodes])
    return made
