"""``mesoscope train`` as a user runs it, killed and resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command_line import mesoscope

pytest.importorskip("torch", reason="training needs mesoscope[train]")

from mesoscope.models.file import read_card

pytestmark = pytest.mark.usefixtures("quick_export")

RECIPE = """
name = "tiny"
seed = 5
[data]
images_per_epoch = 32
[augment]
crop_scale_min = 0.9
[optimise]
epochs = 4
batch_size = 8
ema_decay = 0.8
"""


def words(*arguments, out, recipe, data):
    return ["train", *map(str, data), "--recipe", recipe, "--out", out, *arguments]


def start(*arguments, program=("-m", "mesoscope"), **where):
    """A process that can be killed."""
    command = [sys.executable, *map(str, program), *map(str, words(*arguments, **where))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def train(*arguments, **where):
    """Exit code, and all that was said."""
    ended = mesoscope(*words(*arguments, **where))
    return ended.returncode, ended.stdout + ended.stderr


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def history(run):
    keep = ("epoch", "loss", "auc", "auc_by_source")
    return [
        {k: r[k] for k in keep}
        for r in map(json.loads, (run / "log.jsonl").read_text().splitlines())
    ]


@pytest.mark.timeout(600)
def test_a_killed_run_resumes_to_the_same_end(tmp_path, recipe, make_dataset):
    data = [make_dataset("one", train=12, validation=6), make_dataset("two", train=6, validation=4)]
    whole = tmp_path / "whole"
    code, text = train(out=whole, recipe=recipe, data=data)
    assert code == 0, text

    broken = tmp_path / "broken"
    process = start(out=broken, recipe=recipe, data=data)
    log = broken / "log.jsonl"
    while not log.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    process.stdout.close()
    assert not (broken / "model.onnx").exists()
    assert 1 <= len(history(broken)) < 4

    code, text = train("--resume", out=broken, recipe=recipe, data=data)
    assert code == 0, text
    assert history(broken) == history(whole)
    a, b = read_card(whole / "model.onnx"), read_card(broken / "model.onnx")
    assert a.graph_sha256 == b.graph_sha256
    assert a.self_check == b.self_check

    names = {
        "recipe.toml", "log.jsonl", "curves.png", "checkpoints", "model.onnx", "metrics.json",
        "MODEL_CARD.md",
    }  # fmt: skip
    assert {p.name for p in whole.iterdir()} == names
    assert {p.suffix for p in (whole / "checkpoints").iterdir()} == {".safetensors"}
    metrics = json.loads((whole / "metrics.json").read_text())
    assert metrics["n"] == 20
    assert set(metrics["by_source"]) == {"one", "two"}
    assert "12 real + 12 fake" in a.training_data
    assert a.calibration.method != "none"
    assert metrics["calibration"] == a.metrics["calibration"]
    assert a.metrics["decisions"]["rule"] == "target_error"
    assert set(a.metrics["decisions"]["by_source"]) == {"one", "two"}
    card = (whole / "MODEL_CARD.md").read_text()
    assert "## Calibration" in card
    assert f"{metrics['auc']:.3f}".replace("0.", ".", 1) in card

    # The finished run can be resumed too: nothing is trained again.
    code, text = train("--resume", out=whole, recipe=recipe, data=data)
    assert code == 0, text
    assert "epoch 1/" not in text
    assert read_card(whole / "model.onnx").graph_sha256 == a.graph_sha256

    # Another recipe, other data, or no --resume: refused, and nothing is lost.
    for arguments, word in (
        (["--resume", "--set", "seed=6"], "another recipe"),
        ([], "--resume"),
    ):
        code, text = train(*arguments, out=whole, recipe=recipe, data=data)
        assert code == 2, text
        assert word in text
        assert "Traceback" not in text
    (data[0] / "train/real/00.jpg").unlink()
    code, text = train("--resume", out=whole, recipe=recipe, data=data)
    assert code == 2, text
    assert "other pictures" in text

    # And the model it wrote judges pictures.
    picture = next((data[0] / "validation/fake").iterdir())
    done = mesoscope("scan", picture, "--model", whole / "model.onnx")
    assert done.returncode == 0
    assert json.loads(done.stdout)["model"].startswith("tiny@")


def refused(tmp_path, recipe, data, *arguments):
    code, text = train(*arguments, out=tmp_path / "run", recipe=recipe, data=data)
    assert code == 2, text
    assert "Traceback" not in text
    assert not (tmp_path / "run/checkpoints/last.safetensors").exists()
    return text


def test_unreadable_pictures_stop_the_run_first_or_are_left_out(tmp_path, recipe, make_dataset):
    data = [make_dataset("one")]
    (data[0] / "train/real/bad1.jpg").write_bytes(b"")
    (data[0] / "validation/fake/bad2.jpg").write_text("text")
    text = refused(tmp_path, recipe, data)
    assert "bad1.jpg" in text
    assert "bad2.jpg" in text
    assert "--skip-unreadable" in text
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    arguments = ["--skip-unreadable", "--set", "optimise.epochs=1"]
    code, text = train(*arguments, out=tmp_path / "run", recipe=recipe, data=data)
    assert code == 0, text
    assert "2 unreadable" in (tmp_path / "run/MODEL_CARD.md").read_text()
    assert (
        "2 unreadable pictures were left out"
        in read_card(tmp_path / "run/model.onnx").training_data
    )


def test_usage_errors_name_the_thing(tmp_path, recipe, make_dataset):
    data = [make_dataset("one")]
    assert "optimise.epochs" in refused(tmp_path, recipe, data, "--set", "optimise.epoch=3")
    assert "no such folder" in refused(tmp_path, recipe, [tmp_path / "none"])
    assert "no such recipe" in refused(tmp_path, tmp_path / "none.toml", data)
    teacher = ["--set", "distil.share=0.5", "--set", "distil.teacher=gone.onnx"]
    assert "distil.teacher: gone.onnx: no model" in refused(tmp_path, recipe, data, *teacher)
    assert not (tmp_path / "run").exists()  # so that the next try needs no other folder
    shutil.rmtree(data[0] / "train/fake")
    assert "no fake pictures in train" in refused(tmp_path, recipe, data)


def test_the_same_file_in_train_and_validation_is_left_out_and_named(
    tmp_path, recipe, make_dataset
):
    data = make_dataset("one")
    shutil.copy(data / "validation/real/00.jpg", data / "train/real/same.jpg")
    arguments = ["--set", "optimise.epochs=1"]
    code, text = train(*arguments, out=tmp_path / "run", recipe=recipe, data=[data])
    assert code == 0, text
    assert "same.jpg" in text
    assert (
        "1 pictures that validation holds too"
        in read_card(tmp_path / "run/model.onnx").training_data
    )


@pytest.mark.timeout(600)
def test_two_processes_train_together(tmp_path, recipe, make_dataset):
    """As several GPUs or machines would, here on the CPU through torchrun."""
    torchrun = Path(sys.executable).with_name("torchrun")
    if not torchrun.exists():
        pytest.skip("torchrun is not beside this Python")
    data = make_dataset("one", train=12, validation=5)
    command = [str(torchrun), "--standalone", "--nproc-per-node", "2", "-m", "mesoscope"]
    command += ["train", str(data), "--recipe", str(recipe), "--out", str(tmp_path / "run")]
    command += ["--accelerator", "cpu", "--devices", "2", "--set", "optimise.epochs=2"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(history(tmp_path / "run")) == 2
    assert json.loads((tmp_path / "run/metrics.json").read_text())["n"] == 10


# The second process looks into the run folder late: the first must not have written to it.
LATE = """
import os, sys, time
from mesoscope.cli.main import main
from mesoscope.training import run

at_once = run.refuse_run

def late(*folder, **more):
    time.sleep(3 * int(os.environ.get("LOCAL_RANK", "0")))
    at_once(*folder, **more)

run.refuse_run = late
main(sys.argv[1:])
"""


@pytest.mark.timeout(900)
def test_a_process_that_is_killed_ends_the_run_in_one_line(tmp_path, recipe, make_dataset):
    if not Path("/proc/self/task").exists():
        pytest.skip("this system does not say which processes a process has started")
    data = [make_dataset("one", train=12, validation=5)]
    more = ("--accelerator", "cpu", "--set", "data.images_per_epoch=128")
    program = tmp_path / "late.py"
    program.write_text(LATE)
    where = {"out": tmp_path / "run", "recipe": recipe, "data": data}
    process = start(*more, "--devices", "2", program=[program], **where)
    log = tmp_path / "run/log.jsonl"
    while not log.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    below = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(below[0]), signal.SIGKILL)
    text = process.communicate(timeout=300)[0]
    assert process.returncode == 1, text
    assert "another process of the run has ended, or cannot be reached: see what" in text
    assert text.splitlines()[-1].endswith("then go on with --resume; finished epochs are kept")
    assert "Traceback" not in text
    kept = history(tmp_path / "run")
    assert 1 <= len(kept) < 4
    code, text = train(*more, "--resume", out=tmp_path / "run", recipe=recipe, data=data)
    assert code == 0, text
    assert history(tmp_path / "run")[: len(kept)] == kept
    assert len(history(tmp_path / "run")) == 4
