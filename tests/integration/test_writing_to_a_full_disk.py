"""Each command that writes, on a full disk: one line, no half file, the earlier file as it was.

A limit on the size of files stands for a disk that fills up in the middle of a file, and works for
every user. Root also has a real full disk, a tmpfs.
"""

import hashlib
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest

from command_line import mesoscope

pytest.importorskip("torch", reason="training needs mesoscope[train]")
onnx = pytest.importorskip("onnx")

pytestmark = pytest.mark.usefixtures("quick_export")
EARLIER = b"an earlier file"
# Words, earlier files, the size in bytes at which files end, and the free KiB of the full disk.
COMMANDS = {
    "train": (["train", "{data}", "--recipe", "{recipe}", "--out", "{out}/run"], [], 50_000, 24),
    "train-first-file": (
        ["train", "{data}", "--recipe", "{recipe}", "--out", "{out}/run"], [], 100, 0,
    ),
    "prune": (
        ["prune", "{run}", "{data}", "--finetune", "0", "--out", "{out}/sparse"], [], 50_000, 24,
    ),
    "prune-plan": (
        ["prune", "{run}", "{data}", "--finetune", "0", "--out", "{out}/sparse"], [], 100, 4,
    ),
    "quantize": (
        ["quantize", "meso4", "{data}", "-o", "{out}/q.onnx", "--faces", "4", "--allow-loss",
         "--force"], ["q.onnx"], 20_000, 8,
    ),
    "models add": (
        ["models", "add", "{net}", "--card", "{card}", "--out", "{out}/m.onnx"], [], 500, 0,
    ),
    "shards write": (["shards", "write", "{data}", "--out", "{out}/shards"], [], 20_000, 24),
    "shards index": (["shards", "index", "{tars}"], [], 500, None),
    "prepare": (
        ["prepare", "plain", "{data}", "--faces", "whole", "--out", "{out}/set"], [], 30_000, 0,
    ),
    "export csv": (["export", "{job}", "-o", "{out}/x.csv"], ["x.csv"], None, 0),
    "export parquet": (["export", "{job}", "-o", "{out}/x.parquet"], ["x.parquet"], None, 4),
    "evaluate": (
        ["evaluate", "{data}", "--resamples", "20", "--out", "{out}/page"], [], 500, 8,
    ),
    "audit": (
        ["audit", "{data}", "--no-suspects", "--fail-on", "never", "--json", "{out}/a.json"],
        ["a.json"], 500, 0,
    ),
    "explain": (
        ["explain", "{picture}", "--faces", "whole", "-o", "{out}/e.png", "--force"], ["e.png"],
        5_000, 8,
    ),
    "report": (["report", "make", "{data}", "--faces", "whole", "-o", "{out}/r.html"], [], 900, 8),
    "keygen": (["report", "keygen", "{out}/k.pem"], [], 10, 4),
    "synth": (
        ["synth", "blend", "{data}", "--out", "{out}/blended", "--method", "self"], [], 10, 4,
    ),
}  # fmt: skip


def network(path):
    """A mean over grey levels as a classifier of others."""
    value, make = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [
            make("GlobalAveragePool", ["input"], ["mean"]),
            make("Flatten", ["mean"], ["row"]),
            make("MatMul", ["row", "dense"], ["output"]),
        ],
        "net",
        [value("input", onnx.TensorProto.FLOAT, ["n", 3, 24, 24])],
        [value("output", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.eye(3, 2, dtype=np.float32), "dense")],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, trained_once):
    folder = tmp_path_factory.mktemp("inputs")
    run, data = trained_once
    (folder / "card.toml").write_text('name = "other"\n[input]\nsize = 24\n')
    for words in (
        ["scan", data, "--faces", "whole", "--out", f"{folder}/job/"],
        ["shards", "write", data, "--out", folder / "tars"],
    ):
        done = mesoscope(*words)
        assert done.returncode == 0, done.stderr
    (folder / "tars/manifest.csv").unlink()
    return {
        "data": data, "run": run, "recipe": run / "recipe.toml", "job": folder / "job",
        "net": network(folder / "net.onnx"), "card": folder / "card.toml",
        "tars": folder / "tars", "picture": next(iter(sorted(data.rglob("*.jpg")))),
    }  # fmt: skip


@pytest.fixture
def disk(tmp_path):
    """``disk(free_kib)`` → the folder of a disk with so much space left."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    words = [mount or "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if mount is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a disk of one's own can only be had as root")

    def fill(free_kib):
        (place / "ballast").write_bytes(bytes(1024 * (1024 - free_kib - _used_kib(place))))
        return place

    yield fill
    subprocess.run(["umount", "-l", str(place)], check=True)


def _used_kib(place):
    return (shutil.disk_usage(place).used + 1023) // 1024


def contents(place):
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in place.rglob("*")
        if path.is_file() and path.name != "ballast"
    }


def check(name, done, place, before):
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert "a fault of mesoscope" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("mesoscope: ")]
    assert "cannot be written" in line or "temporary file" in line, line
    causes = (
        "No space left",
        "File too large",
        "disk is full",
        "I/O error",
        "Read-only file system",
    )
    assert any(cause in line for cause in causes), line
    assert ".part" not in line
    assert "rrno" not in line
    assert "os error" not in line
    after = contents(place)
    assert not [path for path in after if path.endswith((".part", ".tmp"))]
    for path, digest in before.items():
        assert after[path] == digest
    if name.startswith(("quantize", "models", "shards", "export", "report", "explain", "keygen")):
        assert after.keys() == before.keys()  # whole or not there


def words_of(name, inputs, out):
    return [word.format(out=out, **inputs) for word in COMMANDS[name][0]]


def write_earlier(name, place):
    for file in COMMANDS[name][1]:
        (place / file).write_bytes(EARLIER)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [n for n, (_, _, limit, _) in COMMANDS.items() if limit])
def test_a_disk_that_fills_up_in_the_middle_of_a_file(name, inputs, tmp_path):
    write_earlier(name, tmp_path)
    tars = shutil.copytree(inputs["tars"], tmp_path / "tars")
    before, limit = contents(tmp_path), COMMANDS[name][2]
    done = subprocess.run(
        [sys.executable, "-m", "mesoscope", *words_of(name, {**inputs, "tars": tars}, tmp_path)],
        capture_output=True, text=True, check=False, timeout=500, cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    check(name, done, tmp_path, before)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [n for n, (*_, free) in COMMANDS.items() if free is not None])
def test_a_full_disk(name, inputs, disk, tmp_path):
    write_earlier(name, tmp_path / "disk")
    place = disk(COMMANDS[name][3])
    before = contents(place)
    check(name, mesoscope(*words_of(name, inputs, place), cwd=tmp_path), place, before)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in ("shards index", "prune-plan")])
def test_a_disk_that_is_read_only(name, inputs, disk, tmp_path):
    write_earlier(name, tmp_path / "disk")
    place = disk(500)
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    before = contents(place)
    check(name, mesoscope(*words_of(name, inputs, place), cwd=tmp_path), place, before)
    assert contents(place) == before
