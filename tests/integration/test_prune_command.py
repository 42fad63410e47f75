"""``mesoscope prune`` as a user runs it, killed and resumed."""

import gzip
import json
import signal
import subprocess
import sys
import time

import pytest

from command_line import mesoscope

pytest.importorskip("torch", reason="pruning needs mesoscope[train]")

from mesoscope.models.file import read_card, verify_bytes

pytestmark = pytest.mark.usefixtures("quick_export")


def start(*arguments):
    command = [sys.executable, "-m", "mesoscope", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run_here(*arguments):
    """Exit code, and all that was said."""
    ended = mesoscope(*arguments)
    text = ended.stdout + ended.stderr
    assert "Traceback" not in text
    return ended.returncode, text


def done(*arguments):
    code, text = run_here(*arguments)
    assert code == 0, text
    return text


@pytest.fixture
def trained(trained_once):
    """A run folder and its data set."""
    return trained_once


def history(run):
    keep = ("epoch", "loss", "auc")
    lines = (run / "log.jsonl").read_text().splitlines()
    return [{k: r[k] for k in keep} for r in map(json.loads, lines)]


def size(model):
    return len(gzip.compress(model.read_bytes(), mtime=0))


@pytest.mark.timeout(1800)
def test_a_killed_pruning_run_resumes_to_the_same_end(tmp_path, trained):
    run, data = trained
    how = ["prune", run, data, "--sparsity", 0.6, "--finetune", 4]
    whole = tmp_path / "sparse"
    done(*how, "--out", whole)

    broken = tmp_path / "broken"
    process = start(*how, "--out", broken)
    while not (broken / "log.jsonl").exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    process.stdout.close()
    assert not (broken / "model.onnx").exists()
    assert 1 <= len(history(broken)) < 4
    done(*how, "--out", broken, "--resume")
    assert history(broken) == history(whole)
    a, b = read_card(whole / "model.onnx"), read_card(broken / "model.onnx")
    assert (a.graph_sha256, a.self_check) == (b.graph_sha256, b.self_check)

    # What the card says of it, and the file.
    verify_bytes(whole / "model.onnx")
    assert a.sparsity["overall"] == pytest.approx(0.6, abs=1e-4)
    assert a.sparsity["zeros"] == round(0.6 * a.sparsity["weights"])
    assert "gradually" in a.sparsity["method"]
    assert "pruned with mesoscope from tiny" in a.source
    assert a.parameters == read_card(run / "model.onnx").parameters
    assert size(whole / "model.onnx") < 0.8 * size(run / "model.onnx")
    page = (whole / "MODEL_CARD.md").read_text()
    assert "60% of the weights" in page
    assert "| block1.convolution |" in page
    shown = done("models", "show", whole / "model.onnx")
    assert "zeros: 60.0% of the weights" in " ".join(shown.split())

    # Another plan, or no --resume: refused.
    for change, word in (
        (["--sparsity", 0.5, "--resume"], "sparsity 0.6 and not 0.5"),
        (["--set", "seed=6", "--resume"], "another recipe"),
        ([], "--resume"),
    ):
        code, text = run_here(*how, "--out", whole, *change)
        assert code == 2, text
        assert word in text


@pytest.mark.timeout(1800)
def test_channels_leave_and_the_narrow_network_can_be_pruned_and_trained(tmp_path, trained):
    run, data = trained
    narrow = tmp_path / "narrow"
    text = done(
        *("prune", run, data, "--structured", "--sparsity", 0.4, "--finetune", 1),
        *("--out", narrow),
    )
    assert "multiply-adds" in text
    before, card = read_card(run / "model.onnx"), read_card(narrow / "model.onnx")
    assert card.parameters < before.parameters
    assert card.sparsity["zeros"] == 0
    assert 0.4 < card.sparsity["multiply_adds_left"] <= 0.6
    assert card.sparsity["channels"]
    assert (narrow / "model.onnx").stat().st_size < (run / "model.onnx").stat().st_size
    assert "Channels left: " in (narrow / "MODEL_CARD.md").read_text()

    picture = next((data / "validation/fake").iterdir())
    lines = done("scan", picture, "--model", narrow / "model.onnx").splitlines()
    verdict = json.loads(next(line for line in lines if line.startswith("{")))  # beside the summary
    assert 0 <= verdict["p_fake"] <= 1

    sparse = tmp_path / "both"
    done("prune", narrow, data, "--sparsity", 0.5, "--finetune", 0, "--out", sparse)
    both = read_card(sparse / "model.onnx")
    assert both.parameters == card.parameters
    assert both.sparsity["overall"] == pytest.approx(0.5, abs=1e-4)
    assert "channels" not in both.sparsity  # none went in this run

    again = tmp_path / "again"
    done("train", data, "--recipe", narrow / "recipe.toml", "--out", again)
    assert read_card(again / "model.onnx").parameters == card.parameters


@pytest.mark.timeout(1800)
def test_usage_errors_name_the_thing(tmp_path, trained):
    run, data = trained
    out = tmp_path / "out"
    for arguments, word in (
        ([tmp_path / "none", data], "holds no recipe.toml"),
        ([run, tmp_path / "none"], "no such folder"),
        ([run, data, "--structured", "--schedule", "gradual"], "--schedule"),
        ([run, data, "--structured", "--sparsity", "0.97"], "at most"),
        ([run, data, "--set", "network.dropout=0.1"], "network.dropout"),
    ):
        code, text = run_here("prune", *arguments, "--out", out)
        assert code == 2, text
        assert word in text
        assert not out.exists()
