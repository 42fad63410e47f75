"""``mesoscope quantize`` on a shipped model, as a person runs it."""

import re
import subprocess
import sys

import numpy as np
import pytest

from command_line import mesoscope
from mesoscope import Detector
from mesoscope.models.file import find_model, model_id, read_card


@pytest.fixture
def faces(make_dataset):
    return make_dataset(train=8, validation=6)


def test_copy_of_a_shipped_model_is_smaller_and_judges_alike(faces, tmp_path, make_face):
    ask = ("quantize", "meso4", faces, "-o", "small.onnx", "--faces", "12", "--allow-loss")
    done = mesoscope(*ask, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows, moved, file = done.stdout.splitlines()
    assert head.split() == ["original", "quantised"]
    assert [row.split()[0] for row in rows] == ["accuracy", "AUC", "file", "faces/s"]
    path = tmp_path / "small.onnx"
    before, after = find_model("meso4").stat().st_size, path.stat().st_size
    assert rows[2].split()[1:3] == [f"{before:,}", f"{after:,}"]
    assert after < before / 2
    assert re.match(r"12 validation pictures: p_fake differs by 0\.\d+ ", moved)
    assert file == f"small.onnx: {model_id(path)}"

    card = read_card(path)
    assert card.name == "small"
    assert card.quantisation["original"] == model_id(find_model("meso4"))
    assert card.quantisation["convolutions"] == 3
    shown = mesoscope("models", "show", "small.onnx", cwd=tmp_path).stdout
    assert "calibrated on: 12 faces of the train split" in " ".join(shown.split())
    assert mesoscope("models", "verify", "small.onnx", cwd=tmp_path).returncode == 0

    pixels = [make_face(seed, 256) for seed in range(6)]
    old, new = (
        [verdict.p_fake for verdict in Detector(model).check_many(pixels)]
        for model in ("meso4", path)
    )
    np.testing.assert_allclose(new, old, atol=0.1)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["meso4", "set", "-o", "m.pt"], 2, "must be named .onnx"),
        (["meso4", "set", "-o", "there.onnx"], 2, "--force"),
        (["meso4", "set", "-o", "m.onnx", "--name", "a@b"], 2, "--name"),
        (["gone.onnx", "set", "-o", "m.onnx"], 3, "no model file there"),
        (["meso4", "nothing", "-o", "m.onnx"], 2, "no such folder"),
    ],
)
def test_one_line_and_nothing_written(tmp_path, arguments, code, says):
    (tmp_path / "there.onnx").write_bytes(b"mine")
    before = sorted(tmp_path.iterdir())
    done = mesoscope("quantize", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert done.stderr.startswith("mesoscope: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "there.onnx").read_bytes() == b"mine"


def test_missing_extra_gives_the_line_that_installs_it(tmp_path):
    code = """
import sys
sys.modules["onnx"] = None
from mesoscope.cli.main import main
main(["quantize", "meso4", "set", "-o", "m.onnx"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 3
    assert "pip install 'mesoscope[train]'" in done.stderr
    assert done.stderr.count("\n") == 1
