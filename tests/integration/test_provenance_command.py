"""``mesoscope provenance``: text and JSON lines, exit codes, what reaches the terminal."""

import json

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from command_line import mesoscope
from mesoscope.media.provenance import Provenance, read_provenance

SETTINGS = "a castle\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"


def provenance(*arguments, cwd=None):
    return mesoscope("provenance", *arguments, cwd=cwd)


@pytest.fixture
def pictures(tmp_path):
    """One of a generator, one that says nothing."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    info = PngInfo()
    info.add_text("parameters", SETTINGS)
    Image.fromarray(pixels).save(tmp_path / "made.png", pnginfo=info)
    Image.fromarray(pixels).save(tmp_path / "bare.png")
    return tmp_path


def test_text_for_people(pictures):
    done = provenance("made.png", "bare.png", cwd=pictures)
    assert done.returncode == 0
    assert done.stdout.startswith("made.png (png)\n  ! Generator, parameters: a castle Steps: 20")
    assert "\n\nbare.png (png)\n    Metadata, EXIF, XMP, IPTC, C2PA: none [file]\n" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    assert "none of this is a verdict" in " ".join(done.stderr.split())


def test_a_meaning_is_told_once(pictures):
    done = provenance("bare.png", "bare.png", cwd=pictures)
    assert done.stdout.count("The file says nothing") == 1
    assert done.stdout.count("Metadata, EXIF") == 2


def test_json_lines_are_the_librarys(pictures):
    done = provenance("--json", "made.png", "bare.png", cwd=pictures)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["source"] for line in lines] == ["made.png", "bare.png"]
    told = read_provenance(pictures / "made.png")
    assert Provenance.from_dict(lines[0]).findings == told.findings


def test_a_file_that_cannot_be_read_is_a_line_and_the_exit_code(pictures):
    (pictures / "text.jpg").write_text("not a picture")
    done = provenance("--json", "text.jpg", "gone.jpg", "made.png", cwd=pictures)
    assert done.returncode == 1
    codes = [json.loads(line)["error"] for line in done.stdout.splitlines()]
    assert [error and error["code"] for error in codes] == [
        "source.unreadable", "source.missing", None,
    ]  # fmt: skip
    done = provenance("gone.jpg", "made.png", cwd=pictures)
    assert done.returncode == 1
    assert done.stdout.startswith("gone.jpg: no such file: check the path\n\nmade.png")


def test_usage():
    assert provenance().returncode == 2
    done = provenance("a.jpg", "--trust", "gone.pem")
    assert (done.returncode, done.stderr) == (
        2, "mesoscope: --trust gone.pem: cannot be opened: No such file or directory\n",
    )  # fmt: skip


def test_a_list_without_certificates_is_refused(pictures):
    (pictures / "notes.pem").write_text("my friends")
    done = provenance("made.png", "--trust", "notes.pem", cwd=pictures)
    assert done.returncode == 2
    assert "holds no certificate in PEM" in done.stderr
    assert "\n" not in done.stderr.strip()


def test_nothing_of_a_file_moves_the_cursor(pictures):
    info = PngInfo()
    info.add_text("Software", "\x1b[2J\x1b]0;owned\x07 editor")
    Image.new("RGB", (8, 8)).save(pictures / "nasty.png", pnginfo=info)
    done = provenance("nasty.png", cwd=pictures)
    assert "\x1b" not in done.stdout
    assert "[2J ]0;owned editor" in done.stdout


def test_a_damaged_preview_writes_nothing_of_its_own(pictures, tmp_path):
    """Decoders like to complain on the terminal."""
    face = Image.fromarray(np.random.default_rng(1).integers(0, 256, (96, 96, 3), np.uint8))
    face.save(tmp_path / "face.jpg")
    data = (tmp_path / "face.jpg").read_bytes()
    preview = data[: len(data) // 2] + b"\xff\xd9"
    exif = b"MM\0\x2a\0\0\0\x08\0\0\0\0\0\x0e\0\2\2\1\0\4\0\0\0\1" + (44).to_bytes(4, "big")
    exif += b"\2\2\0\4\0\0\0\1" + len(preview).to_bytes(4, "big") + bytes(4)
    body = b"Exif\0\0" + exif + preview
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    (tmp_path / "odd.jpg").write_bytes(data[:2] + segment + data[2:])
    done = provenance("--json", "odd.jpg", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
