"""ONNX graphs as bytes, written without the package ``onnx``: enough for small plain networks.

The wire format is Protocol Buffers'; field numbers are those of ``onnx.proto3`` (IR version 8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

IR_VERSION, OPSET = 8, 13
FLOAT, UINT8 = 1, 2  # TensorProto.DataType
_INT, _STRING, _INTS = 2, 3, 7  # AttributeProto.AttributeType
_VARINT, _BYTES = 0, 2  # wire types

Attribute = int | str | tuple[int, ...]
Dims = tuple[int | str, ...]  # a name stands for any size


@dataclass(slots=True)
class Graph:
    """A graph that grows node by node; :meth:`to_bytes` is a model that ONNX Runtime opens."""

    name: str
    _body: list[bytes] = field(default_factory=list)
    _made: int = 0

    def input(self, name: str, element: int, dims: Dims) -> str:
        """Declare an input; returns its name."""
        self._body.append(_nested(11, _value_info(name, element, dims)))
        return name

    def output(self, name: str, dims: Dims) -> None:
        """Declare a value as an output, of type float."""
        self._body.append(_nested(12, _value_info(name, FLOAT, dims)))

    def constant(self, values: NDArray[np.float32]) -> str:
        """Keep an array as a weight; returns its name."""
        name = self._new("weight")
        tensor = b"".join(_varint_field(1, n) for n in values.shape)
        tensor += _varint_field(2, FLOAT) + _text(8, name)
        tensor += _nested(9, np.ascontiguousarray(values, "<f4").tobytes())
        self._body.append(_nested(5, tensor))
        return name

    def node(
        self,
        op: str,
        *inputs: str,
        out: str = "",
        attributes: Mapping[str, Attribute] = MappingProxyType({}),
    ) -> str:
        """Add an operator; returns the name of its output."""
        out = out or self._new(op)
        body = b"".join(_text(1, name) for name in inputs) + _text(2, out) + _text(4, op)
        body += b"".join(_nested(5, _attribute(key, v)) for key, v in attributes.items())
        self._body.append(_nested(1, body))
        return out

    def to_bytes(self) -> bytes:
        """The model as a file's bytes."""
        graph = _text(2, self.name) + b"".join(self._body)
        opset = _text(1, "") + _varint_field(2, OPSET)
        return _varint_field(1, IR_VERSION) + _nested(7, graph) + _nested(8, opset)

    def _new(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._made}"


def _attribute(name: str, value: Attribute) -> bytes:
    body = _text(1, name)
    if isinstance(value, int):
        return body + _varint_field(3, value) + _varint_field(20, _INT)
    if isinstance(value, str):
        return body + _text(4, value) + _varint_field(20, _STRING)
    return body + b"".join(_varint_field(8, v) for v in value) + _varint_field(20, _INTS)


def _value_info(name: str, element: int, dims: Sequence[int | str]) -> bytes:
    shape = b"".join(
        _nested(1, _text(2, dim) if isinstance(dim, str) else _varint_field(1, dim)) for dim in dims
    )
    tensor = _varint_field(1, element) + _nested(2, shape)
    return _text(1, name) + _nested(2, _nested(1, tensor))


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _nested(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(body)) + body


def _text(number: int, text: str) -> bytes:
    return _nested(number, text.encode())
