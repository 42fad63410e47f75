"""MTCNN's three networks as ONNX graphs, with the weights of the PyPI package ``mtcnn`` (MIT).

The wire format is Protocol Buffers'; field numbers are those of ``onnx.proto3`` (IR version 8).

Each takes RGB ``uint8`` as it lies in memory; scaling to ``(x - 127.5) / 128`` is folded into the
first convolution. The two outputs of each softmax are folded into one logit, since
``softmax(a, b)[1] = sigmoid(b - a)``.

The package stores each network as an LZ4 file around a joblib pickle. A pickle can run code when it
is loaded, so it is not loaded: the files' SHA-256 are known, and with them the offset of each array
in the unpacked bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import ModelMismatch, ModelMissing
from mesoscope.errors.failures import cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Weights = list[NDArray[np.float32]]


IR_VERSION, OPSET = 8, 13
FLOAT, UINT8 = 1, 2  # TensorProto.DataType
_INT, _STRING, _INTS = 2, 3, 7  # AttributeProto.AttributeType
_VARINT, _BYTES = 0, 2  # wire types

Attribute = int | str | tuple[int, ...]
Dims = tuple[int | str, ...]  # a name is a variable size


@dataclass(slots=True)
class Graph:
    """Builds an ONNX graph node by node; :meth:`to_bytes` is a model for ONNX Runtime."""

    name: str
    _body: list[bytes] = field(default_factory=list)
    _count: int = 0

    def input(self, name: str, element: int, dims: Dims) -> str:
        """Declare an input; return its name."""
        self._body.append(_nested(11, _value_info(name, element, dims)))
        return name

    def output(self, name: str, dims: Dims) -> None:
        """Declare a value as an output, of type float."""
        self._body.append(_nested(12, _value_info(name, FLOAT, dims)))

    def constant(self, values: NDArray[np.float32]) -> str:
        """Add an array as a weight; return its name."""
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
        """Add an operator; return the name of its output."""
        out = out or self._new(op)
        body = b"".join(_text(1, name) for name in inputs) + _text(2, out) + _text(4, op)
        body += b"".join(_nested(5, _attribute(key, v)) for key, v in attributes.items())
        self._body.append(_nested(1, body))
        return out

    def to_bytes(self) -> bytes:
        """Return the model as a file's bytes."""
        graph = _text(2, self.name) + b"".join(self._body)
        opset = _text(1, "") + _varint_field(2, OPSET)
        return _varint_field(1, IR_VERSION) + _nested(7, graph) + _nested(8, opset)

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


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
    """Encode a varint: seven bits per byte, lowest first; the top bit marks continuation."""
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


RNET_PX, ONET_PX = 24, 48


def pnet(weights: Weights) -> bytes:
    """Build the proposal network, for pictures of any size.

    Input ``(N, H, W, 3) uint8``; output ``found (N, 5, h, w)``: the logit of a face, then the
    offsets of the box's four sides from the window's, in windows.
    """
    graph, left = Graph("pnet"), iter(weights)
    value = graph.input("pixels", UINT8, ("n", "height", "width", 3))
    value = _first_convolution(graph, value, left)
    value = graph.node("MaxPool", value, attributes=_pooling(2, "SAME_UPPER"))
    value = _convolution(graph, value, left)
    value = _convolution(graph, value, left)
    box, box_bias, face, face_bias = left
    kernel = np.concatenate([_logit(face), box], axis=-1).transpose(3, 2, 0, 1)
    bias = np.concatenate([_logit(face_bias), box_bias])
    graph.node("Conv", value, graph.constant(kernel), graph.constant(bias), out="found")
    graph.output("found", ("n", 5, "rows", "columns"))
    return graph.to_bytes()


def rnet(weights: Weights) -> bytes:
    """Build the refining network: ``(N, 24, 24, 3) uint8`` to ``found (N, 5)``."""
    graph, left = Graph("rnet"), iter(weights)
    value = graph.input("pixels", UINT8, ("n", RNET_PX, RNET_PX, 3))
    value = _first_convolution(graph, value, left)
    value = _pool(graph, value, padded=True)
    value = _convolution(graph, value, left)
    value = _pool(graph, value, padded=False)
    value = _convolution(graph, value, left)
    value = _dense_after(graph, value, left, side=3)
    box, box_bias, face, face_bias = left
    _heads(graph, value, [_logit(face), box], [_logit(face_bias), box_bias])
    return graph.to_bytes()


def onet(weights: Weights) -> bytes:
    """Build the output network: ``(N, 48, 48, 3) uint8`` to ``found (N, 15)``.

    After the five values of :func:`pnet` follow the landmarks within the window, 0 to 1: five
    ``x``, five ``y``.
    """
    graph, left = Graph("onet"), iter(weights)
    value = graph.input("pixels", UINT8, ("n", ONET_PX, ONET_PX, 3))
    value = _first_convolution(graph, value, left)
    value = _pool(graph, value, padded=True)
    value = _convolution(graph, value, left)
    value = _pool(graph, value, padded=False)
    value = _convolution(graph, value, left)
    value = graph.node("MaxPool", value, attributes=_pooling(2, "SAME_UPPER"))
    value = _convolution(graph, value, left)
    value = _dense_after(graph, value, left, side=3)
    box, box_bias, points, points_bias, face, face_bias = left
    _heads(graph, value, [_logit(face), box, points], [_logit(face_bias), box_bias, points_bias])
    return graph.to_bytes()


def _first_convolution(graph: Graph, pixels: str, left: Iterator[np.ndarray]) -> str:
    kernel, bias = next(left), next(left)
    shift = kernel.sum((0, 1, 2)) * (127.5 / 128)
    value = graph.node("Cast", pixels, attributes={"to": FLOAT})
    value = graph.node("Transpose", value, attributes={"perm": (0, 3, 1, 2)})
    return _convolution(graph, value, iter((kernel / 128, bias - shift, next(left))))


def _convolution(graph: Graph, value: str, left: Iterator[np.ndarray]) -> str:
    """Add a valid convolution and its PReLU."""
    kernel, bias, slopes = next(left), next(left), next(left)
    of = [graph.constant(array) for array in (kernel.transpose(3, 2, 0, 1), bias)]
    return _prelu(graph, graph.node("Conv", value, *of), slopes[:, None, None])


def _prelu(graph: Graph, value: str, slopes: np.ndarray) -> str:
    """``slopes * x + (1 - slopes) * relu(x)``: twice as fast in ONNX Runtime as its PRelu."""
    line = graph.node("Mul", value, graph.constant(slopes))
    bend = graph.node("Mul", graph.node("Relu", value), graph.constant(1 - slopes))
    return graph.node("Add", line, bend)


def _pool(graph: Graph, value: str, *, padded: bool) -> str:
    pad = "SAME_UPPER" if padded else "VALID"
    return graph.node("MaxPool", value, attributes=_pooling(3, pad))


def _pooling(side: int, pad: str) -> dict[str, str | int | tuple[int, ...]]:
    return {"kernel_shape": (side, side), "strides": (2, 2), "auto_pad": pad}


def _dense_after(graph: Graph, value: str, left: Iterator[np.ndarray], *, side: int) -> str:
    """Add the dense layer after the convolutions, and its PReLU.

    Keras flattened ``(width, height, channels)``; ONNX has ``(channels, height, width)``.
    """
    kernel, bias, slopes = next(left), next(left), next(left)
    kernel = kernel.reshape(side, side, -1, kernel.shape[-1]).transpose(2, 1, 0, 3)
    kernel = kernel.reshape(-1, kernel.shape[-1])
    value = graph.node("Flatten", value)
    value = graph.node("Gemm", value, graph.constant(kernel), graph.constant(bias))
    return _prelu(graph, value, slopes)


def _heads(graph: Graph, value: str, kernels: list[np.ndarray], biases: list[np.ndarray]) -> None:
    kernel = graph.constant(np.concatenate(kernels, axis=-1))
    bias = graph.constant(np.concatenate(biases))
    graph.node("Gemm", value, kernel, bias, out="found")
    graph.output("found", ("n", sum(b.size for b in biases)))


def _logit(softmax: np.ndarray) -> np.ndarray:
    """Convert weights or bias of a softmax over (no face, face) to those of its logit."""
    return np.asarray(softmax[..., 1:] - softmax[..., :1])


NETS = {"pnet": pnet, "rnet": rnet, "onet": onet}


PACKAGE = "mtcnn==1.0.0"
_HINT = f"install it (pip install '{PACKAGE}'), or choose another finder with `faces`"


@dataclass(frozen=True, slots=True)
class _File:
    """Offsets and shapes of one network's arrays in the unpacked file.

    Arrays are in Keras' order and layout: of a convolution the kernel ``(height, width, in, out)``,
    the bias and the slopes of its PReLU; of a dense layer ``(in, out)`` and the bias.
    """

    sha256: str
    arrays: tuple[tuple[int, tuple[int, ...]], ...]


FILES = {
    "pnet": _File(
        "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
        (
            (240, (3, 3, 3, 10)), (1376, (10,)), (1472, (10,)),
            (1568, (3, 3, 10, 16)), (7376, (16,)), (7504, (16,)),
            (7632, (3, 3, 16, 32)), (26112, (32,)), (26304, (32,)),
            (26496, (1, 1, 32, 4)), (27056, (4,)), (27136, (1, 1, 32, 2)), (27440, (2,)),
        ),
    ),
    "rnet": _File(
        "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
        (
            (240, (3, 3, 3, 28)), (3312, (28,)), (3488, (28,)),
            (3664, (3, 3, 28, 48)), (52096, (48,)), (52352, (48,)),
            (52608, (2, 2, 48, 64)), (101808, (64,)), (102128, (64,)),
            (102448, (576, 128)), (397408, (128,)), (397968, (128,)),
            (398528, (128, 4)), (400624, (4,)), (400688, (128, 2)), (401760, (2,)),
        ),
    ),
    "onet": _File(
        "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
        (
            (240, (3, 3, 3, 32)), (3744, (32,)), (3936, (32,)),
            (4128, (3, 3, 32, 64)), (77904, (64,)), (78224, (64,)),
            (78544, (3, 3, 64, 64)), (226048, (64,)), (226368, (64,)),
            (226688, (2, 2, 64, 128)), (357808, (128,)), (358384, (128,)),
            (358960, (1152, 256)), (1538656, (256,)), (1539728, (256,)),
            (1540816, (256, 4)), (1544960, (4,)), (1545040, (256, 10)), (1555328, (10,)),
            (1555424, (256, 2)), (1557520, (2,)),
        ),
    ),
}  # fmt: skip


def read_weights(net: str) -> Weights:
    """Read the arrays of ``pnet``, ``rnet`` or ``onet``.

    Raises:
        ModelMissing: The package, or its weight file, is not installed.
        ModelMismatch: The weights are of another version.
    """
    path = _folder() / f"{net}.lz4"
    try:
        import lz4.frame

        packed = path.read_bytes()
    except ModuleNotFoundError as error:
        raise ModelMissing(f"the face finder mtcnn needs the package lz4: {_HINT}") from error
    except OSError as error:
        raise ModelMissing(
            f"{path}: the face finder's weights cannot be read ({cause(error)}): {_HINT}"
        ) from error
    known = FILES[net]
    if hashlib.sha256(packed).hexdigest() != known.sha256:  # before any parsing
        raise ModelMismatch(
            f"{path}: its SHA-256 is not that of the weights that mesoscope knows: {_HINT}"
        )
    data = lz4.frame.decompress(packed)
    return [
        np.frombuffer(data, "<f4", int(np.prod(shape)), at).reshape(shape)
        for at, shape in known.arrays
    ]


def _folder() -> Path:
    """Return the folder of the installed package's weights.

    Raises:
        ModelMissing: The package is not installed.
    """
    spec = PathFinder.find_spec("mtcnn")
    for place in (spec.submodule_search_locations if spec else None) or ():
        return Path(place, "assets", "weights")
    raise ModelMissing(
        f"the face finder mtcnn takes its weights from the package mtcnn, which is not "
        f"installed: {_HINT}"
    )
