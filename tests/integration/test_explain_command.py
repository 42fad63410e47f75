"""``mesoscope explain`` as it is installed, on files of every kind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from command_line import mesoscope


def run(*arguments, cwd):
    return mesoscope("explain", *arguments, cwd=cwd)


@pytest.fixture
def photo(tmp_path, astronaut_face):
    path = tmp_path / "été face.jpg"
    Image.fromarray(astronaut_face).save(path, quality=92)
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_photo_becomes_a_picture(photo, tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    done = run(photo, "-o", out, "--faces", "whole", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(photo))
    assert "p_fake 0." in done.stdout
    with Image.open(out) as picture:
        assert picture.format == {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[suffix]
        assert picture.width == 1200
        assert not picture.getexif()


def test_json_holds_the_verdict_the_hash_and_the_maps(photo, tmp_path):
    done = run(photo, "--json", "--faces", "whole", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["picture"] is None
    assert told["sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert told["verdict"]["schema"] == 2
    assert len(told["evidence"]) == len(told["verdict"]["faces"]) == 1
    heat = np.array(told["evidence"][0]["heat"])
    assert heat.ndim == 2
    assert heat.min() >= 0
    assert told["evidence"][0]["square"][2] >= 224
    assert [path.name for path in tmp_path.iterdir()] == [photo.name]


def test_scores_are_those_of_a_scan(photo, tmp_path):
    explained = json.loads(run(photo, "--json", cwd=tmp_path).stdout)["verdict"]
    scan = mesoscope("scan", photo, "--no-table", cwd=tmp_path)
    assert scan.returncode == 0, scan.stderr
    scanned = json.loads(scan.stdout)
    for verdict in (explained, scanned):
        verdict.pop("elapsed_s")
    assert explained == scanned


def test_several_files_of_one_name_do_not_meet(tmp_path, astronaut_face):
    for folder in ("x", "y/deep"):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(astronaut_face).save(tmp_path / folder / "a.jpg")
    done = run("x/a.jpg", "y/deep/a.jpg", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = {path.relative_to(tmp_path / "out") for path in tmp_path.glob("out/**/*.png")}
    assert written == {Path("x/a.jpg.png"), Path("y/deep/a.jpg.png")}


def test_what_cannot_be_read_is_told_and_the_rest_done(photo, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    done = run("broken.jpg", "gone.jpg", photo, "-o", "out/", cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert "gone.jpg: no such file: check the path" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{photo.name}.png"]


def test_the_source_is_never_overwritten(photo, tmp_path):
    before = photo.read_bytes()
    (tmp_path / "link.jpg").symlink_to(photo)
    for out in (photo, tmp_path / "link.jpg"):
        done = run(photo, "-o", out, "--force", cwd=tmp_path)
        assert done.returncode == 2
        assert "the file to explain is at this path: choose another name" in done.stderr
    assert photo.read_bytes() == before


def test_pictures_that_exist_are_replaced_only_by_force(photo, tmp_path):
    out = tmp_path / "out.png"
    out.write_bytes(b"mine")
    done = run(photo, "-o", out, cwd=tmp_path)
    assert (done.returncode, out.read_bytes()) == (2, b"mine")
    assert "replace it with --force" in done.stderr
    assert run(photo, "-o", out, "--force", cwd=tmp_path).returncode == 0
    with Image.open(out) as picture:
        picture.verify()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the picture to write, as in -o out.png, or --json"),
        (["-o", "out.tiff"], "out.tiff: name the picture .png, .jpg, .jpeg, .webp"),
        (["second.jpg", "-o", "out.png"], "out.png: 2 pictures need a folder"),
    ],
)
def test_usage_is_refused_before_the_work(photo, tmp_path, arguments, message):
    done = run(photo, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_clip_becomes_a_strip_and_a_timeline(tmp_path, astronaut_face):
    """An animated GIF is a clip; no decoder of videos is needed for it."""
    large = cv2.resize(astronaut_face, (320, 320))
    pictures = [Image.fromarray(np.roll(large, 4 * n, axis=1)) for n in range(8)]
    pictures[0].save(
        tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=250, loop=0
    )
    done = run("a.gif", "-o", "clip.png", "--faces", "whole", "--frames", "8", "--json", cwd=tmp_path)  # fmt: skip  # noqa: E501
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"]["kind"] == "clip"
    assert len(told["evidence"]) == len(told["verdict"]["faces"]) == 8
    with Image.open(tmp_path / "clip.png") as picture:
        assert picture.height > picture.width


def test_a_disk_that_refuses_is_one_line(photo, tmp_path):
    (tmp_path / "file").write_text("in the way", "utf-8")
    done = run(photo, "-o", "file/out.png", "--faces", "whole", cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "file/out.png: cannot be written" in done.stderr


def test_a_video_is_explained_with_its_persons(tmp_path):
    clip = Path(__file__).parents[2] / "samples/clips/two_people.mp4"
    done = run(clip, "-o", "clip.webp", "--frames", "6", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ", of 2 persons" in done.stdout
    with Image.open(tmp_path / "clip.webp") as picture:
        assert picture.height > picture.width
