"""Output that cannot be written is one line and an exit code, whatever the command."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full on this system")


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_face):
    folder = tmp_path_factory.mktemp("outputs")
    for split in ("train", "validation", "test"):
        for label in ("real", "fake"):
            (folder / "set" / split / label).mkdir(parents=True)
            for n in range(4):
                face = Image.fromarray(make_face(n, 64))
                face.save(folder / "set" / split / label / f"{split}{label}{n}.png")
    (folder / "file").write_text("a file where a folder is wanted")
    (folder / "folder.html").mkdir()
    (folder / "folder.json").mkdir()
    (folder / "folder.csv").mkdir()
    (folder / "folder.png").mkdir()
    job = run(folder, "scan", "set/test", "--faces", "whole", "--out", "job/")
    assert job.returncode == 0, job.stderr
    return folder


def run(folder, *words, **more):
    command = [sys.executable, "-m", "mesoscope", *map(str, words)]
    more = {"stdout": subprocess.PIPE, **more}
    return subprocess.run(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, timeout=200, check=False, **more
    )


LONG = "x" * 300
PICTURE = "set/test/real/testreal0.png"
FILES = [
    ("scan", PICTURE, "--faces", "whole", "--out", "file/x.jsonl"),
    ("scan", PICTURE, "--faces", "whole", "--out", f"{LONG}.jsonl"),
    ("scan", PICTURE, "--faces", "whole", "--out", "file/"),
    ("scan", PICTURE, "--faces", "whole", "--out", f"{LONG}/"),
    ("scan", PICTURE, "--faces", "whole", "--report", "folder.html"),
    ("watch", "set", "--faces", "whole", "--out", "file"),
    ("export", "job", "-o", "file/x.csv"),
    ("export", "job", "-o", "folder.csv"),
    ("export", "job", "-o", f"{LONG}.csv"),
    ("report", PICTURE, "-o", "folder.html"),
    ("report", PICTURE, "-o", "file/x.html"),
    ("report", PICTURE, "-o", f"{LONG}.html"),
    ("explain", PICTURE, "-o", "folder.png/x/y.txt"),
    ("explain", PICTURE, "-o", "file/x.png"),
    ("explain", PICTURE, "-o", f"{LONG}.png"),
    ("audit", "set", "--no-suspects", "--json", "folder.json"),
    ("audit", "set", "--no-suspects", "--json", f"{LONG}.json"),
    ("audit", "set", "--no-suspects", "--report", "file/x.html"),
    ("prepare", "plain", "set", "--out", "file"),
    ("prepare", "plain", "set", "--out", f"{LONG}"),
    ("shards", "set", "--out", "file"),
    ("synth", "blend", "set", "--out", "file"),
    ("synth", "edit", "set", "--out", f"{LONG}"),
    ("quantize", "mesoscope", "-o", "file/x.onnx"),
    ("report", "keygen", "file/x.pem"),
]


@pytest.mark.parametrize("words", FILES, ids=lambda w: " ".join(w).replace(LONG, "LONG"))
def test_files_that_cannot_be_written(place, words):
    done = run(place, *words)
    assert done.returncode in (1, 2, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert "a fault of mesoscope" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mesoscope: ")]
    assert len(lines) == 1


PRINT = [
    ("scan", PICTURE, "--faces", "whole"),
    ("scan", PICTURE, "--faces", "whole", "--table"),
    ("scan", PICTURE, "--faces", "whole", "--out", "-"),
    ("explain", PICTURE, "--json"),
    ("export", "job", "-o", "-"),
    ("audit", "set", "--no-suspects"),
    ("provenance", PICTURE),
    ("models", "list"),
    ("--help",),
    ("scan", "--help"),
]


@pytest.mark.parametrize("words", PRINT, ids=" ".join)
@pytest.mark.parametrize("kind", ["full", "closed", "reader_gone"])
def test_standard_output_that_cannot_be_written(place, words, kind):
    if kind == "full":
        with FULL.open("w") as full:
            done = run(place, *words, stdout=full)
        assert done.returncode == 1
    else:
        end = ">&-" if kind == "closed" else "| true"
        shell = f'"$0" -m mesoscope "$@" {end}'
        done = subprocess.run(
            ["/bin/sh", "-c", shell, sys.executable, *words],
            cwd=place, capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "a fault of mesoscope" not in done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("mesoscope: ")]
    assert len(told) == (0 if kind == "reader_gone" else 1)


def test_slips_of_newcomers_get_the_line_that_works(place):
    for words, said in (
        ((PICTURE,), f"mesoscope scan {PICTURE}"),
        (("scna", PICTURE), "did you mean scan?"),
        (("scan", "--tabel", PICTURE), "--table"),
        (("scan", "nowhere.png", "--table"), "check the path"),
        (("explain", PICTURE, "-o", "-"), "standard output"),
    ):
        done = run(place, *words)
        assert said in done.stderr + done.stdout
        assert done.returncode in (1, 2)
    (place / "empty").mkdir(exist_ok=True)
    assert "no picture or clip was found" in run(place, "scan", "empty").stderr


def test_a_name_with_escape_sequences_does_not_act(place):
    done = run(place, "scan", "no\x1b[31m\nhere.png", "--table")
    assert "\x1b" not in done.stdout + done.stderr
    assert "no\\x1b[31m" in done.stdout
    done = run(place, "report", "x.png", "-o", "a\x1b]0;title\x07.txt")
    assert "\x1b" not in done.stderr
