"""The samples are what their script makes, small, and what their README says."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from mesoscope.media.video import open_clip

SAMPLES = Path(__file__).parents[2] / "samples"
FILES = sorted(path.relative_to(SAMPLES).as_posix() for path in SAMPLES.glob("*/*.*"))
BYTES_MAX = 400_000
GREY_LEVELS_MAX = 2.0  # mean difference that another version of an encoder may make


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image, np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    script = str(SAMPLES / "make_samples.py")
    subprocess.run([sys.executable, script, str(folder)], check=True, timeout=120)
    return folder


def test_script_makes_these_files_and_no_others(made: Path) -> None:
    assert sorted(p.relative_to(made).as_posix() for p in made.glob("*/*.*")) == FILES
    assert len(FILES) == 15


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith((".jpg", ".png"))])
def test_picture_is_what_the_script_makes(name: str, made: Path) -> None:
    if "cut_short" in name:
        whole = (SAMPLES / "real/hopper.jpg").read_bytes()
        cut = (SAMPLES / name).read_bytes()
        assert whole.startswith(cut)
        with pytest.raises((OSError, UnidentifiedImageError)), Image.open(SAMPLES / name) as image:
            image.load()
        return
    with Image.open(SAMPLES / name) as committed, Image.open(made / name) as fresh:
        assert committed.size == fresh.size
        assert committed.mode == fresh.mode
    difference = np.abs(pixels(SAMPLES / name) - pixels(made / name)).mean()
    assert difference < GREY_LEVELS_MAX


def test_clip_is_what_the_script_makes(made: Path) -> None:
    for path in (SAMPLES / "clips/two_people.mp4", made / "clips/two_people.mp4"):
        with open_clip(path, frames=1000) as clip:
            frames = list(clip.frames())
            assert clip.duration_s == pytest.approx(4.0, abs=0.1)
            assert clip.notes == ()
        steps = {round(b.time_s - a.time_s, 3) for a, b in itertools.pairwise(frames)}
        assert steps == {0.03, 0.055}
        if path.is_relative_to(SAMPLES):
            committed = frames
    assert len(committed) == len(frames)
    for old, new in zip(committed[::20], frames[::20], strict=True):
        difference = np.abs(old.pixels.astype(int) - new.pixels).mean()
        assert difference < GREY_LEVELS_MAX


def test_one_clip_has_a_sound_track_which_is_passed_over(made: Path) -> None:
    for path in (SAMPLES / "clips/with_sound.mp4", made / "clips/with_sound.mp4"):
        with av.open(str(path)) as file:
            assert sorted(stream.type for stream in file.streams) == ["audio", "video"]
        with open_clip(path, frames=1000) as clip:
            assert len(list(clip.frames())) == 50
            assert clip.notes == ()


def test_odd_ones_are_odd() -> None:
    with Image.open(SAMPLES / "odd/grey.jpg") as image:
        assert image.mode == "L"
    with Image.open(SAMPLES / "odd/stored_sideways.jpg") as image:
        assert image.getexif()[0x0112] == 6
    with Image.open(SAMPLES / "odd/transparent.png") as image:
        assert image.mode == "RGBA"
        assert image.getchannel("A").getextrema() == (0, 255)


def test_forged_ones_differ_from_what_they_were_made_of() -> None:
    for name, origin in (
        ("face_swapped", "collins"),
        ("mouth_swapped", "hopper"),
        ("eyes_and_mouth_enlarged", "collins"),
        ("skin_smoothed", "hopper"),
    ):
        forged = pixels(SAMPLES / f"forged/{name}.jpg")
        real = pixels(SAMPLES / f"real/{origin}.jpg")
        changed = np.abs(forged - real).mean(2) > 12
        assert 0.01 < changed.mean() < 0.5, name


def test_readme_names_every_file() -> None:
    text = (SAMPLES / "README.md").read_text("utf-8")
    named = set(re.findall(r"`((?:real|forged|odd|clips)/[\w.]+)`", text))
    assert named == set(FILES)


def test_all_are_small() -> None:
    assert sum((SAMPLES / name).stat().st_size for name in FILES) < BYTES_MAX
