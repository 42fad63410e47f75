"""Weights out of the package mtcnn: known bytes only, nothing unpickled, nothing imported."""

import subprocess
import sys

import numpy as np
import pytest

from mesoscope.errors import ModelMismatch, ModelMissing
from mesoscope.faces import mtcnn_nets
from mesoscope.faces.mtcnn_nets import FILES, read_weights


@pytest.mark.parametrize("net", FILES)
def test_arrays_are_those_that_joblib_loads(net):
    joblib = pytest.importorskip("joblib")
    expected = joblib.load(mtcnn_nets._folder() / f"{net}.lz4")
    found = read_weights(net)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.float32
        assert np.array_equal(one.ravel(), other.ravel())


def test_reading_them_imports_neither_the_package_nor_what_it_needs():
    code = (
        "import sys; from mesoscope.faces.mtcnn import MtcnnFinder; MtcnnFinder();"
        "print(sorted({'mtcnn', 'joblib', 'tensorflow', 'onnx', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_package_the_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ModelMissing, match=r"not installed: .*pip install 'mtcnn==1\.0\.0'"):
        read_weights("pnet")


def test_a_file_that_is_gone(monkeypatch, tmp_path):
    monkeypatch.setattr(mtcnn_nets, "_folder", lambda: tmp_path)
    with pytest.raises(ModelMissing, match=r"pnet\.lz4: .*No such file"):
        read_weights("pnet")


def test_other_bytes_are_not_even_unpacked(monkeypatch, tmp_path):
    (tmp_path / "pnet.lz4").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    monkeypatch.setattr(mtcnn_nets, "_folder", lambda: tmp_path)
    monkeypatch.setattr("lz4.frame.decompress", lambda data: pytest.fail("it was unpacked"))
    with pytest.raises(ModelMismatch, match="SHA-256 is not that of the weights"):
        read_weights("pnet")
