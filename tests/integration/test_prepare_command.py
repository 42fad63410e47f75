"""``mesoscope prepare`` as a user runs it: found, planned, done, interrupted, refused."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from mesoscope.cli.main import mesoscope
from mesoscope.data.manifest import read_dataset

ROOT = Path(__file__).parents[2]


def run(*arguments):
    """Exit code, output and error of a command; usage errors as the program shows them."""
    done = subprocess.run(
        [sys.executable, "-m", "mesoscope", "prepare", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def uadfv(tmp_path, make_clip, astronaut_face):
    """Two real clips and their forgeries; one of them broken."""
    root = tmp_path / "UADFV"
    for folder in ("real", "fake"):
        (root / folder).mkdir(parents=True)
    for number in range(2):
        pixels = np.full((180, 320, 3), 90, np.uint8)
        pixels[30:150, 30:150] = cv2.resize(astronaut_face, (120, 120))
        for name, shown in (
            (f"real/{number:04}.mp4", pixels), (f"fake/{number:04}_fake.mp4", pixels[:, :, ::-1])
        ):  # fmt: skip
            make_clip([np.ascontiguousarray(shown)] * 6, f"UADFV/{name}")
    broken = root / "fake/0001_fake.mp4"
    broken.write_bytes(broken.read_bytes()[:500])
    return root


def test_a_set_is_told_planned_and_prepared(tmp_path, uadfv):
    out = tmp_path / "faces"
    small = ("--out", out, "--frames", "2", "--size", "64", "--split", "group",
             "--shares", ".5,.5,0")  # fmt: skip
    code, planned, error = run(uadfv, *small, "--dry-run")
    assert (code, error) == (0, "")
    assert re.search(r"UADFV in .*: 2 of 49 real, 2 of 49 fake", planned)
    assert "terms: " in planned
    assert "4 items, 8 faces at most" in planned
    assert not out.exists()
    code, said, error = run("uadfv", uadfv, *small)
    assert code == 1  # a clip could not be read
    assert "left out: files or frames that cannot be read: 1" in said
    assert f"6 faces in {out}: manifest.csv lists them, left_out.csv what was left out" in said
    assert len(read_dataset(out)) == 6
    again = run("--set", "UADFV", uadfv, *small)
    assert again[0] == 1
    assert again[1] == said
    code, _, error = run("auto", uadfv, *small, "--margin", "1.5")
    assert code == 2
    assert error == (
        f"mesoscope: {out}: was begun with --margin 1.3, and this is 1.5: give the same options to "
        "go on, or choose another --out\n"
    )


def test_ctrl_c_says_how_to_go_on(tmp_path, uadfv):
    for number in range(2, 40):  # enough to be in the midst of it
        (uadfv / f"real/{number:04}.mp4").write_bytes((uadfv / "real/0000.mp4").read_bytes())
    out = tmp_path / "faces"
    command = ["--out", str(out), "--frames", "6", "--size", "64", "--jobs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mesoscope", "prepare", str(uadfv), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background lets them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not any(out.glob("*/*/*.png")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    found = re.search(r"interrupted: (\d+) of 42 items are done: the same command continues", error)
    assert found
    assert not (out / "manifest.csv").exists()
    code, said, _ = run(uadfv, *command)
    assert code == 1
    assert "manifest.csv lists them" in said


def test_the_tutorial_says_what_the_program_says(tmp_path, monkeypatch):
    """Its script is run as printed, and so are its commands."""
    text = (ROOT / "docs/bring-a-public-set.md").read_text("utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (script,) = (body for kind, body in blocks if kind == "python")
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=240)
    monkeypatch.chdir(tmp_path)
    shown = [body for kind, body in blocks if not kind]
    planned, done = shown[1], shown[2].removeprefix("…\n")
    few = ("FaceForensics++", "--out", "faces", "--frames", "8")
    code, said, error = run(*few, "--dry-run")
    assert (code, said, error) == (0, planned, "")
    code, said, error = run(*few)
    assert (code, error) == (1, "")
    assert said.endswith(done)
    code, _, error = run(*few[:-1], "32")
    assert (code, error) == (2, shown[3])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["ffpp"], "ffpp is the name of a set, not a folder"),
        (["ffpp", "a", "b"], "3 arguments, but one set is prepared at a time"),
        (["--set", "dfdc", "ffpp", "a"], "the set has two names, 'ffpp' and --set 'dfdc'"),
        (["uadfw", "."], "'uadfw' is no set that is read here: did you mean uadfv"),
        ([".", "--shares", "1,2"], "give three numbers separated by commas"),
        ([".", "--shares", "1,2,3"], "shares must be three numbers of 0 or more that add up to 1"),
        (["."], "holds no set that is known here, but is empty"),
    ],
)
def test_wrong_words_are_answered_in_a_line(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(mesoscope, ["prepare", *arguments, "--out", "out"])
    text = done.output if done.exception is None else f"{done.output}{done.exception}"
    assert said in text
    assert not (tmp_path / "out").exists()
