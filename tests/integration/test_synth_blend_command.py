"""``mesoscope synth blend`` as a user runs it, with wrong words, too."""

import csv
import json
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from command_line import mesoscope
from mesoscope.data.manifest import read_dataset


def synth(*arguments):
    done = mesoscope("synth", *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def people(tmp_path_factory, astronaut_face):
    """Two portraits as they are, three variations, a blank picture and a broken one."""
    from matplotlib import cbook
    from skimage import data

    root = tmp_path_factory.mktemp("people") / "reals"
    root.mkdir()
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as hopper:
        hopper.save(root / "hopper.jpg", quality=92)
    cv2.imwrite(str(root / "astronaut.png"), data.astronaut()[:, :, ::-1])
    for number in range(3):
        face = np.clip(astronaut_face.astype(int) + 9 * number, 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"face{number}.jpg"), face[:, :, ::-1])
    cv2.imwrite(str(root / "wall.png"), np.full((300, 300, 3), 180, np.uint8))
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    return root


@pytest.fixture(scope="module")
def made(people, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "forgeries"
    code, said = synth(
        "blend", people, "--out", out, "--method", "both", "--per-picture", 2, "--size", 224,
        "--quality", "70-90", "--sheet", out.parent / "sheet.png", "--jobs", 2,
    )  # fmt: skip
    return out, code, said


def test_pairs_manifest_masks_and_sheet(made):
    out, code, said = made
    assert code == 1  # one file could not be read
    assert "10 forgeries and their twins made" in said
    assert "2 pictures left out (" in said
    assert "1 × no face was found" in said
    samples = read_dataset(out)
    assert len(samples) == 20
    assert sum(s.label for s in samples) == 10
    assert len({s.group for s in samples}) == 5
    by_group = {(s.group, s.split) for s in samples}
    assert len(by_group) == 5  # no group in two splits
    assert len(list(out.glob("masks/*/*.png"))) == 10
    for record in map(json.loads, (out / "forgeries.jsonl").read_text().splitlines()):
        with Image.open(out / record["files"]["real"]) as real, \
                Image.open(out / record["files"]["fake"]) as fake:  # fmt: skip
            assert real.size == fake.size == (224, 224)
            assert real.quantization == fake.quantization
            apart = np.abs(np.asarray(real, int) - np.asarray(fake))
        with Image.open(out / record["files"]["mask"]) as mask:
            inside = np.asarray(mask) > 0
        assert apart[inside].mean() > apart[~inside].mean()
        assert 70 <= record["saving"]["quality"] <= 90
    with (out / "left_out.csv").open() as file:
        assert {row["path"] for row in csv.DictReader(file)} == {"wall.png", "broken.jpg"}
    assert cv2.imread(str(out.parent / "sheet.png")) is not None
    assert not [p for p in out.rglob(".*") if p.is_file()]


def test_a_second_run_goes_on_and_other_options_are_refused(made, people):
    out, _, _ = made
    again = ("blend", people, "--out", out, "--method", "both", "--size", 224, "--quality", "70-90")
    before = (out / "forgeries.jsonl").read_bytes()
    code, said = synth(*again, "--per-picture", 3)
    assert "5 forgeries and their twins made" in said
    assert "10 existed already" in said
    assert (out / "forgeries.jsonl").read_bytes().startswith(before)
    assert len(read_dataset(out)) == 30
    code, said = synth(*again, "--seed", 7)
    assert code == 2
    assert "was started with seed 0, and now it is 7" in said
    assert len(read_dataset(out)) == 30


def test_given_landmarks_are_used(people, tmp_path):
    rows = tmp_path / "landmarks.jsonl"
    five = [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]]
    rows.write_text(json.dumps({"path": "face0.jpg", "landmarks": five}) + "\n")
    code, said = synth(
        "blend", people, "--out", tmp_path / "out", "--landmarks", rows, "--format", "png"
    )
    assert code == 1
    assert "1 forgery and its twin made" in said
    (forged,) = tmp_path.glob("out/*/fake/*.png")
    twin = forged.parents[1] / "real" / forged.name
    mask = cv2.imread(str(next(tmp_path.glob("out/masks/*/*.png"))), cv2.IMREAD_GRAYSCALE)
    pixels = [cv2.imread(str(path)) for path in (forged, twin)]
    assert np.array_equal(pixels[0][mask == 0], pixels[1][mask == 0])
    assert not np.array_equal(*pixels)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nowhere",), 2, "nowhere: no such folder"),
        (("{people}", "--quality", "high"), 2, "neither a number nor a range"),
        (("{people}", "--quality", "95-60"), 2, "quality must be LOW-HIGH"),
        (("{people}", "--size", "small"), 2, "neither a number of pixels nor keep"),
        (("{people}", "--size", "10"), 2, "size must be at least 64"),
        (("{people}", "--sheet", "sheet.pdf"), 2, "a sheet must be named"),
        (("{people}", "--landmarks", "none.npz"), 2, "none.npz"),
        (("{people}", "--method", "magic"), 2, "magic"),
    ],
)
def test_wrong_words_are_named(people, tmp_path, arguments, code, said):
    words = [word.format(people=people) for word in arguments]
    ended, told = synth("blend", *words, "--out", tmp_path / "out")
    assert ended == code
    assert said in told
    assert not list(tmp_path.rglob("*.jpg"))


def test_a_killed_run_ends_as_an_unbroken_one(people, tmp_path):
    words = ("blend", people, "--per-picture", 20, "--size", 128, "--seed", 3)
    command = [sys.executable, "-m", "mesoscope", "synth", *map(str, words)]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with subprocess.Popen(
        [*command, "--out", str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        records = killed / "forgeries.jsonl"
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if records.exists() and records.read_bytes().count(b"\n") >= 5:
                break
            time.sleep(0.005)
        process.kill()
    begun = records.read_bytes().count(b"\n")
    assert begun >= 5
    assert not (killed / "manifest.csv").exists() or begun == 100
    synth(*words, "--out", killed)
    synth(*words, "--out", whole)
    assert len(read_dataset(killed)) == 200
    same = [p.relative_to(whole) for p in whole.rglob("*") if p.is_file()]
    assert sorted(same) == sorted(p.relative_to(killed) for p in killed.rglob("*") if p.is_file())
    for path in same:
        assert (killed / path).read_bytes() == (whole / path).read_bytes(), path
