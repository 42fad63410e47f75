"""``mesoscope scan`` as a user runs it: a process, its streams, its exit code."""

import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import mesoscope

SCAN = [sys.executable, "-m", "mesoscope", "scan"]


def run(*arguments):
    return mesoscope("scan", *arguments)


def run_apart(*arguments):
    """In a process of its own, whose output goes through a pipe."""
    return subprocess.run(
        [*SCAN, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def folder(tmp_path, make_face):
    """A folder with three good pictures and all that can be wrong with others."""
    root = tmp_path / "pictures"
    (root / "sub").mkdir(parents=True)
    for n, name in enumerate(["a.jpg", "sub/b.png", "sub/c.webp"]):
        Image.fromarray(make_face(n, 96)).save(root / name)
    whole = (root / "a.jpg").read_bytes()
    (root / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "empty.jpg").touch()
    (root / "text.jpg").write_text("no picture")
    (root / "link.jpg").symlink_to(root / "nowhere")
    (root / "sub/loop").symlink_to(root)
    (root / "notes.txt").write_text("not a picture, and nobody says so")
    header = b"IHDR" + (30_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    data = b"IDAT" + zlib.compress(bytes(64))
    (root / "huge.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
            for chunk in (header, data, b"IEND")
        )
    )
    return root


FAILED = {
    "cut.jpg": "source.unreadable",
    "empty.jpg": "source.unreadable",
    "text.jpg": "source.unreadable",
    "link.jpg": "source.missing",
    "sub/loop": "source.unreadable",
    "huge.png": "source.too_large",
}


def test_every_file_has_its_line_and_the_scan_goes_on(folder, tmp_path):
    out = tmp_path / "out/scan.jsonl"
    done = run(folder, "--out", out)
    assert done.returncode == 1, done.stderr
    rows = lines(out.read_text())
    names = [os.path.relpath(row["source"], folder) for row in rows]
    assert names == [
        "a.jpg", "cut.jpg", "empty.jpg", "huge.png", "link.jpg", "sub/b.png", "sub/c.webp",
        "sub/loop", "text.jpg",
    ]  # fmt: skip
    errors = {
        name: row["error"]["code"] for name, row in zip(names, rows, strict=True) if row["error"]
    }
    assert errors == FAILED
    for row in rows:
        assert set(row) == {
            "schema", "source", "kind", "label", "p_fake", "reason", "faces", "skipped", "persons",
            "duration_s", "frames_read", "finder", "notes", "model", "elapsed_s", "error",
        }  # fmt: skip
        if row["error"] is None:
            assert row["label"] in ("fake", "real", "inconclusive")
            assert 0 <= row["p_fake"] <= 1
            assert row["faces"][0]["box"] == [0.0, 0.0, 96.0, 96.0]
            assert row["model"].startswith("mesoscope@")
        else:
            assert row["label"] is None
            assert row["p_fake"] is None
            assert "\n" not in row["error"]["message"]
    assert "9 files" in done.stderr
    assert "6 could not be read" in done.stderr
    assert "1 other file skipped" in done.stderr
    assert "Traceback" not in done.stderr


def test_lines_go_to_a_pipe_and_a_table_where_asked(folder):
    piped = run_apart(folder / "a.jpg")
    assert piped.returncode == 0
    assert lines(piped.stdout)[0]["source"] == str(folder / "a.jpg")
    table = run_apart(folder / "a.jpg", folder / "cut.jpg", "--table").stdout.splitlines()
    assert table[0].split() == ["label", "p_fake", "source"]
    assert table[1].removesuffix("  (face_not_seen)").endswith("a.jpg")
    assert "truncated" in table[2]


def test_two_runs_agree_whatever_the_threads(folder):
    def answers(*options):
        return [(r["source"], r["p_fake"]) for r in lines(run(folder, *options).stdout)]

    first = answers("--jobs", 1)
    assert len(first) == 9
    other = answers("--jobs", 4, "--batch-size", 3)
    for (source, p), (same, q) in zip(first, other, strict=True):
        assert source == same
        assert (p is None) == (q is None)
        assert p is None or abs(p - q) < 1e-5


def test_exit_codes(folder):
    good = folder / "a.jpg"
    assert run(good).returncode == 0
    alarm = ("--faces", "whole", "--no-guard", "--fail-on", "fake", "--threshold")
    assert run(good, *alarm, 0).returncode == 10
    assert run(good, *alarm, 1).returncode == 0
    assert run(good, "--threshold", 2).returncode == 2
    assert run().returncode == 2
    assert run(good, "--model", "none").returncode == 3
    (folder / "model.onnx").write_bytes(b"\x08\x01 not a model")
    wrong = run(good, "--model", folder / "model.onnx")
    assert wrong.returncode == 3
    assert wrong.stderr.startswith("mesoscope: ")
    assert len(wrong.stderr.splitlines()) == 1


def test_a_pipe_closed_early_is_quiet(folder, make_face):
    for n in range(300):
        Image.fromarray(make_face(n, 48)).save(folder / f"many{n}.jpg")
    scan = subprocess.Popen(
        [*SCAN, str(folder), "--table"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert scan.stdout.readline()
    scan.stdout.close()
    stderr = scan.stderr.read()
    scan.stderr.close()
    assert scan.wait(60) in (0, 1)
    assert "Traceback" not in stderr
    assert "Broken" not in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_ends_with_one_line(folder):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*SCAN, str(folder / "a.jpg")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_not_utf8(folder):
    raw = os.fsencode(folder) + b"/caf\xe9.jpg"
    with open(raw, "wb") as file:  # noqa: PTH123
        file.write((folder / "a.jpg").read_bytes())
    row = lines(run_apart(os.fsdecode(raw)).stdout)[0]
    assert os.fsencode(row["source"]) == raw
    assert row["error"] is None
    assert "caf\\udce9.jpg" in run_apart(os.fsdecode(raw), "--table").stdout


def test_a_raised_limit_lets_a_large_picture_through(tmp_path):
    Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(tmp_path / "x.png")
    assert run(tmp_path / "x.png", "--max-pixels", 0.1).returncode == 1
    assert run(tmp_path / "x.png", "--max-pixels", 0.13).returncode == 0


def test_csv(folder, tmp_path):
    done = run(folder / "a.jpg", "--out", tmp_path / "x.csv")
    assert done.returncode == 0
    header, row = (tmp_path / "x.csv").read_text().splitlines()
    assert header.startswith("source,kind,label,p_fake")
    assert row.startswith(str(folder / "a.jpg"))


def test_version_and_help_load_nothing_heavy():
    code = (
        "import sys\nfrom mesoscope.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as e:\n    assert e.code == 0, e.code\n"
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'PIL', 'torch', 'matplotlib', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    for arguments in (["--version"], ["--help"], ["scan", "--help"], ["train", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_an_interrupt_ends_with_whole_lines_and_a_summary(folder, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for n in range(20_000):
        (many / f"{n:05d}.jpg").symlink_to(folder / "a.jpg")
    out = tmp_path / "scan.jsonl"
    scan = subprocess.Popen(
        [*SCAN, str(many), "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, Ctrl-C is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not out.exists() or out.stat().st_size < 10_000:
        assert scan.poll() is None
        time.sleep(0.01)
    scan.send_signal(signal.SIGINT)
    stderr = scan.communicate(timeout=60)[1]
    assert scan.returncode == 130
    rows = lines(out.read_text())
    assert 10 < len(rows) < 20_000
    counted = int(stderr.split(" files")[0].split()[-1])
    assert len(rows) - counted in (0, 1)  # the signal may fall between a line and its count
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--fpr", 0.123), "has no threshold for a false-positive rate of 0.123"),
        (("--fpr", 0.01, "--threshold", 0.5), "give one of them"),
        (("--fpr", 0), "--fpr"),
    ],
)
def test_a_rate_that_the_model_does_not_hold_is_refused(folder, options, says):
    done = run(folder, *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
