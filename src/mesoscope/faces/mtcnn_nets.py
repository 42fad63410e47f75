"""MTCNN's three networks as ONNX graphs (Zhang et al. 2016, "Joint Face Detection and Alignment").

Each takes RGB ``uint8`` as it lies in memory; scaling to ``(x - 127.5) / 128`` is folded into the
first convolution. The two outputs of each softmax are folded into one logit, since
``softmax(a, b)[1] = sigmoid(b - a)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.faces.graph import FLOAT, UINT8, Graph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.faces.mtcnn_weights import Weights

RNET_PX, ONET_PX = 24, 48


def pnet(weights: Weights) -> bytes:
    """The proposal network, over pictures of any size.

    Input ``(N, H, W, 3) uint8``; output ``found (N, 5, h, w)``: the logit of a face, then how far
    the box's four sides lie from the window's, in windows.
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
    """The refining network: ``(N, 24, 24, 3) uint8`` to ``found (N, 5)``, as of :func:`pnet`."""
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
    """The output network: ``(N, 48, 48, 3) uint8`` to ``found (N, 15)``.

    After the five values of :func:`pnet` come the landmarks within the window, 0 to 1: five ``x``,
    five ``y``.
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
    """A convolution without borders, and its PReLU."""
    kernel, bias, slopes = next(left), next(left), next(left)
    of = [graph.constant(array) for array in (kernel.transpose(3, 2, 0, 1), bias)]
    return _prelu(graph, graph.node("Conv", value, *of), slopes[:, None, None])


def _prelu(graph: Graph, value: str, slopes: np.ndarray) -> str:
    """``slopes * x + (1 - slopes) * relu(x)``: in ONNX Runtime twice as quick as its PRelu."""
    line = graph.node("Mul", value, graph.constant(slopes))
    bend = graph.node("Mul", graph.node("Relu", value), graph.constant(1 - slopes))
    return graph.node("Add", line, bend)


def _pool(graph: Graph, value: str, *, padded: bool) -> str:
    pad = "SAME_UPPER" if padded else "VALID"
    return graph.node("MaxPool", value, attributes=_pooling(3, pad))


def _pooling(side: int, pad: str) -> dict[str, str | int | tuple[int, ...]]:
    return {"kernel_shape": (side, side), "strides": (2, 2), "auto_pad": pad}


def _dense_after(graph: Graph, value: str, left: Iterator[np.ndarray], *, side: int) -> str:
    """The dense layer behind the convolutions, and its PReLU.

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
    """Of a softmax over (no face, face): what its logit has as weights or as bias."""
    return np.asarray(softmax[..., 1:] - softmax[..., :1])


NETS = {"pnet": pnet, "rnet": rnet, "onet": onet}
