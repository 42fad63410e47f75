"""Append operations and weights to an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """Append operations to a graph, one after another.

    Args:
        graph: The graph; changed in place.
        name: Prefix of the names of new tensors.
    """

    def __init__(self, graph: onnx.GraphProto, name: str) -> None:
        self._graph, self._name, self._made = graph, name, 0

    def _new(self) -> str:
        self._made += 1
        return f"{self._name}/{self._made}"

    def add(
        self, op: str, *inputs: str, out: str = "", having: Mapping[str, Any] | None = None
    ) -> str:
        """Append an operation, and return the name of its output.

        Args:
            op: ONNX operator.
            inputs: Names of its inputs.
            out: Name of its output; a new one by default.
            having: Attributes.
        """
        out = out or self._new()
        self._graph.node.append(helper.make_node(op, inputs, [out], **(having or {})))
        return out

    def weight(self, values: NDArray[Any] | np.generic) -> str:
        """Append a constant, and return its name."""
        name = self._new()
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name
