"""The authors' weights through the real command line: imported, checked, shown, scored."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from command_line import mesoscope
from mesoscope.detection.scorer import OnnxScorer, check_pictures
from mesoscope.models.file import read_card, sealed, shipped

pytest.importorskip("torch", reason="import-keras needs the train extra")

FILES = {
    "Meso4_DF.h5": "meso4",
    "Meso4_F2F.h5": "meso4",
    "MesoInception_DF.h5": "mesoinception4",
    "MesoInception_F2F.h5": "mesoinception4",
}
PARAMETERS = {"meso4": 27_977, "mesoinception4": 28_615}


@pytest.fixture(scope="module")
def weights(shared):
    if not (shared / "weights/expected.json").is_file():
        pytest.skip("../shared/weights is not there: it holds the authors' weights")
    return shared / "weights"


@pytest.fixture(scope="module")
def imported(weights, tmp_path_factory):
    """One import for all tests that look at its result."""
    folder = tmp_path_factory.mktemp("imported")
    done = mesoscope(
        "import-keras", weights / "Meso4_DF.h5", "--arch", "meso4", "-o", "df.onnx", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return folder / "df.onnx", done


@pytest.mark.parametrize("name", list(FILES))
def test_p_fake_is_one_minus_the_authors_output(weights, tmp_path, name):
    done = mesoscope(
        "import-keras", weights / name, "--arch", FILES[name], "-o", "m.onnx", cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    expected = json.loads((weights / "expected.json").read_text())["models"][name]
    scorer = OnnxScorer(tmp_path / "m.onnx")
    p_fake = scorer.score(check_pictures()).p_fake
    np.testing.assert_allclose(p_fake, 1 - np.array(expected), atol=1e-4)
    assert scorer.card.parameters == PARAMETERS[FILES[name]]
    assert scorer.card.architecture == FILES[name]
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_what_it_says_and_what_the_card_says(imported):
    out, done = imported
    first, second = done.stdout.splitlines()
    card = read_card(out)
    assert first.startswith("df.onnx: df@")
    assert "meso4, 27,977 parameters, not calibrated" in first
    assert all(f"{p:.6f}" in second for p in card.self_check)
    assert card.name == "df"
    assert card.licence.startswith("Apache-2.0, copyright 2018 Darius Afchar")
    assert "Meso4_DF.h5" in card.source
    assert (card.thresholds.real_below, card.thresholds.fake_above) == (0.5, 0.5)
    assert card.calibration.method == "none"


def test_existing_file_is_kept_unless_forced(imported, weights, tmp_path):
    out = tmp_path / "m.onnx"
    out.write_bytes(b"mine")
    ask = ["import-keras", weights / "Meso4_DF.h5", "--arch", "meso4", "-o", out]
    done = mesoscope(*ask, cwd=tmp_path)
    assert (done.returncode, out.read_bytes()) == (2, b"mine")
    assert "--force" in done.stderr
    done = mesoscope(*ask, "--force", "--name", "again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_card(out).name == "again"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["whole.h5", "--arch", "mesoinception4", "-o", "m.onnx"], 1, "holds Meso-4"),
        (["cut.h5", "--arch", "meso4", "-o", "m.onnx"], 1, "truncated"),
        (["pickle.h5", "--arch", "meso4", "-o", "m.onnx"], 1, "a pickle executes code"),
        (["gone.h5", "--arch", "meso4", "-o", "m.onnx"], 1, "no such file"),
        (["whole.h5", "--arch", "meso4", "-o", "m.pt"], 2, "must be named .onnx"),
        (["whole.h5", "--arch", "meso4", "-o", "no/m.onnx"], 2, "no folder"),
        (["whole.h5", "--arch", "meso4", "-o", "m.onnx", "--name", "a@b"], 2, "--name"),
    ],
)
def test_one_line_and_nothing_written(weights, tmp_path, arguments, code, says):
    whole = weights / "Meso4_DF.h5"
    shutil.copy(whole, tmp_path / "whole.h5")
    (tmp_path / "cut.h5").write_bytes(whole.read_bytes()[:90_000])
    (tmp_path / "pickle.h5").write_bytes(b"\x80\x04K\x01.")
    before = sorted(tmp_path.iterdir())
    done = mesoscope("import-keras", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("mesoscope: ")
    assert says in done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


def test_missing_extra_gives_the_line_that_installs_it(tmp_path):
    code = """
import sys
sys.modules["torch"] = None
from mesoscope.cli.main import main
main(["import-keras", "w.h5", "--arch", "meso4", "-o", "m.onnx"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 3
    assert "pip install 'mesoscope[train]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_models_show_prints_the_card(imported):
    out, _ = imported
    done = mesoscope("models", "show", out.name, cwd=out.parent)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line[:16].strip(): line[16:] for line in done.stdout.splitlines() if line[0] != " "}
    assert rows["architecture"] == "meso4, 27,977 trainable parameters"
    assert "fake = 1" in rows["output"]
    assert rows["fake"] == "p_fake ≥ 0.5000"
    assert rows["real"].startswith("p_fake < 0.5000")
    assert rows["calibration"] == "none"
    assert rows["licence"].startswith("Apache-2.0")
    assert rows["graph SHA-256"] == read_card(out).graph_sha256
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_models_show_json_is_the_card(imported):
    out, _ = imported
    done = mesoscope("models", "show", out.name, "--json", cwd=out.parent)
    shown = json.loads(done.stdout)
    assert shown["id"] == f"df@{shown['sha256'][:8]}"
    assert shown["bytes"] == out.stat().st_size
    card = json.loads(read_card(out).to_json())
    assert {key: shown[key] for key in card} == card


def test_models_verify_accepts_the_whole_and_names_the_failed_check(imported, tmp_path):
    out, _ = imported
    data = out.read_bytes()
    (tmp_path / "whole.onnx").write_bytes(data)
    graph = bytearray(data)
    graph[len(data) // 2] ^= 1  # one bit of one weight
    (tmp_path / "graph.onnx").write_bytes(graph)
    answer = f"{read_card(out).self_check[0]}".encode()
    assert data.count(answer) == 1
    altered = data.replace(answer, b"0.9" + answer[3:])
    (tmp_path / "altered.onnx").write_bytes(altered)
    unsealed = altered[: -len(sealed(b""))]
    (tmp_path / "answer.onnx").write_bytes(sealed(unsealed))  # by somebody who knows how
    (tmp_path / "text.onnx").write_text("hello")

    done = mesoscope("models", "verify", "whole.onnx", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok ")

    names = [f"{n}.onnx" for n in ("graph", "whole", "altered", "answer", "text", "gone")]
    done = mesoscope("models", "verify", *names, cwd=tmp_path)
    assert done.returncode == 3
    failed = done.stderr.splitlines()
    assert [line.split(":")[1].strip() for line in failed] == [n for n in names if n[0] != "w"]
    assert "graph check" in failed[0]
    assert "file check" in failed[1]
    assert "self check" in failed[2]
    assert "not an ONNX model" in failed[3]
    assert "no model file there" in failed[4]
    assert done.stdout.count("ok ") == 1


def test_models_list_names_what_is_shipped(tmp_path):
    done = mesoscope("models", "list", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    as_json = mesoscope("models", "list", "--json", cwd=tmp_path)
    cards = json.loads(as_json.stdout)
    rows = [re.split(r" {2,}", line) for line in done.stdout.splitlines()[1:]]
    assert [row[1:3] for row in rows] == [[c["id"], c["architecture"]] for c in cards]
    assert len(done.stdout.splitlines()) == len(cards) + 1  # and a heading


def test_models_verify_without_argument_checks_the_shipped(tmp_path):
    done = mesoscope("models", "verify", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert len(found) == len(shipped())
    assert all("file matches SHA256SUMS" in line for line in found)
