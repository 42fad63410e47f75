"""Validation of a model's graph before ONNX Runtime loads it.

A field is a tag (number × 8 + wire type, as a varint) and a value; see
https://protobuf.dev/programming-guides/encoding and ``onnx.proto``.

Model files are untrusted. ONNX Runtime executes any graph, so endless loops and tensors in external
files are refused here. Memory and time are bounded at inference, see
:mod:`mesoscope.detection.scorer`.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, NamedTuple

from mesoscope.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = [
    "BYTES",
    "VARINT",
    "Field",
    "MalformedError",
    "check_graph",
    "fields",
    "length_delimited",
    "number_of",
]


VARINT, BYTES = 0, 2  # wire types
_FIXED64, _FIXED32 = 1, 5


class Field(NamedTuple):
    """Position of a protobuf field.

    Attributes:
        number: Field number.
        wire: Wire type.
        start: Offset of the value in the file, in bytes.
        length: Length of the value in bytes.
        tag_at: Offset of the tag.
    """

    number: int
    wire: int
    start: int
    length: int
    tag_at: int


class MalformedError(Exception):
    """The bytes are not a protobuf message, or a truncated one."""


def fields(file: IO[bytes], start: int, end: int) -> Iterator[Field]:
    """Yield the fields of a message between two offsets of a file.

    Raises:
        MalformedError: The bytes are not a protobuf message.
    """
    at = start
    while at < end:
        tag_at = at
        tag, at = _varint(file, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            _, after = _varint(file, at, end)
            length = after - at
        elif wire == BYTES:
            length, at = _varint(file, at, end)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise MalformedError
        if not 0 < number < 1 << 29 or length > end - at:
            raise MalformedError
        yield Field(number, wire, at, length, tag_at)
        at += length


def number_of(file: IO[bytes], field: Field) -> int:
    """Return the value of a varint field.

    Raises:
        MalformedError: The field is not a varint.
    """
    if field.wire != VARINT:
        raise MalformedError
    return _varint(file, field.start, field.start + field.length)[0]


def length_delimited(number: int, body: bytes) -> bytes:
    """Encode a field of bytes."""
    out = bytearray()
    for value in (number << 3 | BYTES, len(body)):
        rest = value
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
    return bytes(out) + body


def _varint(file: IO[bytes], at: int, end: int) -> tuple[int, int]:
    file.seek(at)
    value = 0
    for i, byte in enumerate(file.read(min(10, end - at))):
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            return value, at + i + 1
    raise MalformedError  # no varint is longer than ten bytes


_GRAPH, _FUNCTIONS = 7, 25  # of ModelProto
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # of GraphProto
_OP, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of NodeProto
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _SPARSE_ONE, _SPARSE_MANY = 5, 6, 10, 11, 22, 23
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of TensorProto
_DOMAINS = (b"", b"ai.onnx", b"com.microsoft")  # the last one is ONNX Runtime's quantiser's
_MAX_NODES = 100_000
_RANDOM = (b"Bernoulli", b"Multinomial", b"RandomNormal", b"RandomUniform")  # not reproducible


def check_graph(data: bytes, where: object) -> None:
    """Refuse a graph with control flow, functions, external data, or custom or random operators.

    Args:
        data: A serialised ``ModelProto``.
        where: Name of the model in messages.

    Raises:
        ModelError: The graph has one of these, or is damaged.
    """
    file = io.BytesIO(data)
    try:
        for field in fields(file, 0, len(data)):
            if field.number == _FUNCTIONS:
                raise ModelError(f"{where}: its graph defines functions: export it without them")
            if field.number == _GRAPH:
                _graph(file, field, where)
    except MalformedError as error:
        raise ModelError(f"{where}: its graph is damaged: get it again") from error


def _graph(file: IO[bytes], graph: Field, where: object) -> None:
    nodes = 0
    for field in _inside(file, graph):
        if field.number == _SPARSE:
            raise ModelError(f"{where}: its graph has sparse weights: export it with dense ones")
        if field.number == _INITIALIZER:
            _tensor(file, field, where)
        elif field.number == _NODE:
            nodes += 1
            _node(file, field, where)
    if nodes > _MAX_NODES:
        raise ModelError(f"{where}: its graph has {nodes:,} operations, {_MAX_NODES:,} are allowed")


def _node(file: IO[bytes], node: Field, where: object) -> None:
    op, domain = b"", b""
    for field in _inside(file, node):
        if field.number == _OP:
            op = _bytes(file, field)
        elif field.number == _DOMAIN:
            domain = _bytes(file, field)
        elif field.number == _ATTRIBUTE:
            for part in _inside(file, field):
                _attribute(file, part, where)
    if domain not in _DOMAINS:
        shown = (domain + b"::" + op)[:60].decode("ascii", "backslashreplace")
        raise ModelError(f"{where}: its graph has an operation that is not part of ONNX: {shown}")
    if op.startswith(_RANDOM):
        raise ModelError(f"{where}: its graph draws at random ({op.decode('ascii', 'replace')})")


def _attribute(file: IO[bytes], part: Field, where: object) -> None:
    if part.number in (_SUBGRAPH, _SUBGRAPHS):
        raise ModelError(
            f"{where}: its graph has loops or branches, which may never end: export it without"
        )
    if part.number in (_SPARSE_ONE, _SPARSE_MANY):
        raise ModelError(f"{where}: its graph has sparse weights: export it with dense ones")
    if part.number in (_TENSOR, _TENSORS):
        _tensor(file, part, where)


def _tensor(file: IO[bytes], tensor: Field, where: object) -> None:
    for field in _inside(file, tensor):
        if field.number == _EXTERNAL_DATA or (
            field.number == _DATA_LOCATION and number_of(file, field) != 0
        ):
            raise ModelError(
                f"{where}: its weights are in an external file, which is never opened: save it as "
                "one file (onnx.save without save_as_external_data)"
            )


def _inside(file: IO[bytes], field: Field) -> list[Field]:
    if field.wire != BYTES:
        raise MalformedError
    return list(fields(file, field.start, field.start + field.length))


def _bytes(file: IO[bytes], field: Field) -> bytes:
    if field.wire != BYTES:
        raise MalformedError
    file.seek(field.start)
    return file.read(field.length)
