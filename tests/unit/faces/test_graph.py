"""ONNX written by hand is what the package onnx reads and ONNX Runtime runs."""

import numpy as np
import onnxruntime as ort
import pytest

from mesoscope.faces import mtcnn_nets
from mesoscope.faces.mtcnn_nets import FLOAT, Graph, read_weights


def test_a_graph_computes():
    graph = Graph("line")
    value = graph.input("x", FLOAT, ("n", 200))
    value = graph.node("Mul", value, graph.constant(np.full((200,), 3, np.float32)))
    value = graph.node("Transpose", value, attributes={"perm": (1, 0)})
    graph.node("Relu", value, out="y")
    graph.output("y", (200, "n"))
    session = ort.InferenceSession(graph.to_bytes(), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(5, 200)).astype(np.float32)
    assert np.array_equal(session.run(None, {"x": x})[0], np.maximum(3 * x, 0).T)


@pytest.mark.parametrize("net", mtcnn_nets.NETS)
def test_the_networks_pass_the_checker(net):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(mtcnn_nets.NETS[net](read_weights(net)))
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.name == net
    assert [value.name for value in model.graph.input] == ["pixels"]
