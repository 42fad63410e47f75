"""What a model's graph may be made of: looked at before ONNX Runtime sees it.

A model file can come from anybody. ONNX Runtime computes whatever a graph says, so loops that
never end and tensors that lie in other files are refused here. How much memory and time the rest
may take is bounded where it runs, see :mod:`mesoscope.detection.scorer`.
"""

from __future__ import annotations

import io
from typing import IO

from mesoscope.errors import ModelError
from mesoscope.models.protobuf import BYTES, Field, MalformedError, fields, number_of

__all__ = ["check_graph"]

_GRAPH, _FUNCTIONS = 7, 25  # of ModelProto
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15  # of GraphProto
_OP, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of NodeProto
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _SPARSE_ONE, _SPARSE_MANY = 5, 6, 10, 11, 22, 23
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # of TensorProto
_DOMAINS = (b"", b"ai.onnx", b"com.microsoft")  # the last: what ONNX Runtime's quantiser writes
_MOST_NODES = 100_000
# Their answers differ from call to call.
_RANDOM = (b"Bernoulli", b"Multinomial", b"RandomNormal", b"RandomUniform")


def check_graph(data: bytes, where: object) -> None:
    """Refuse a graph with loops or branches, functions, data in other files, or foreign operations.

    Args:
        data: A serialised ``ModelProto``.
        where: What to call it in messages.

    Raises:
        ModelError: It holds one of these; or it is damaged.
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
    if nodes > _MOST_NODES:
        raise ModelError(f"{where}: its graph has {nodes:,} operations, {_MOST_NODES:,} are read")


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
        raise ModelError(f"{where}: its graph holds an operation that is not ONNX's own: {shown}")
    if op.startswith(_RANDOM):
        raise ModelError(f"{where}: its graph draws at random ({op.decode('ascii', 'replace')})")


def _attribute(file: IO[bytes], part: Field, where: object) -> None:
    if part.number in (_SUBGRAPH, _SUBGRAPHS):
        raise ModelError(
            f"{where}: its graph holds loops or branches, which may never end: export it without"
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
                f"{where}: its weights lie in another file, which is never opened: save it as one "
                "file (onnx.save without save_as_external_data)"
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
