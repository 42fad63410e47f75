"""``mesoscope scan`` on clips, with the shipped model and the shipped finder."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import mesoscope

SAMPLE = Path(__file__).parents[2] / "samples/clips/two_people.mp4"


def scan(*arguments):
    return mesoscope("scan", *arguments)


def test_two_people_are_two_persons_with_a_timeline():
    done = scan(SAMPLE, "--frames", 8, "--no-table")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    verdict = json.loads(line)
    assert (verdict["schema"], verdict["kind"], verdict["finder"]) == (2, "clip", "mtcnn")
    assert [person["frames"] for person in verdict["persons"]] == [8, 8]
    assert verdict["duration_s"] == pytest.approx(4.0, abs=0.1)
    left = {face["person"] for face in verdict["faces"] if face["box"][2] < 320}
    right = {face["person"] for face in verdict["faces"] if face["box"][0] > 320}
    assert len(left) == len(right) == 1
    assert left != right
    assert verdict["p_fake"] == max(person["p_fake"] for person in verdict["persons"])
    times = [face["time_s"] for face in verdict["faces"] if face["person"] == 0]
    assert times == pytest.approx([0.25 + n * 0.5 for n in range(8)], abs=0.06)
    assert all(len(face["landmarks"]) == 5 for face in verdict["faces"])


def test_the_table_shows_each_person_below_its_clip():
    done = scan(SAMPLE, "--every", 1, "--table")
    assert done.returncode == 0, done.stderr
    _, clip, first, second = done.stdout.splitlines()
    assert clip.endswith("two_people.mp4")
    assert "person 1: 5 frames, 0.0–4.0 s" in first
    assert "person 2: 5 frames, 0.0–4.0 s" in second


def test_a_folder_of_pictures_clips_and_damage(tmp_path, make_face):
    Image.fromarray(make_face(1, 96)).save(tmp_path / "a.png")
    moving = [Image.fromarray(make_face(1, 96)) for _ in range(4)]
    for n, picture in enumerate(moving):
        picture.putpixel((0, 0), (n, n, n))  # Pillow joins pictures that are alike
    moving[0].save(tmp_path / "b.webp", save_all=True, append_images=moving[1:], lossless=True)
    (tmp_path / "c.mp4").write_bytes(SAMPLE.read_bytes()[:5000])
    (tmp_path / "d.mkv").write_bytes(b"")
    (tmp_path / "e.mp4").write_bytes(np.random.default_rng(0).bytes(4000))
    done = scan(tmp_path, "--no-table", "--faces", "whole")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    verdicts = {Path(v["source"]).name: v for v in map(json.loads, done.stdout.splitlines())}
    assert list(verdicts) == ["a.png", "b.webp", "c.mp4", "d.mkv", "e.mp4"]
    assert [v["kind"] for v in verdicts.values()] == ["image", "clip", "clip", "clip", "clip"]
    assert [v["error"] is None for v in verdicts.values()] == [True, True, False, False, False]
    assert verdicts["b.webp"]["frames_read"] == 4
    assert "its index cannot be read" in verdicts["c.mp4"]["error"]["message"]


def test_options_out_of_range_are_refused():
    for option in (["--frames", 0], ["--every", 0], ["--every", -1]):
        assert scan(SAMPLE, *option).returncode == 2
