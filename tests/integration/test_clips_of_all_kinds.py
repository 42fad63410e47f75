"""Clips as people have them through scan, prepare, explain and report: every one opens."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

import clip_makers as makers
from command_line import mesoscope

ROOT = Path(__file__).parents[3]
SHARED = ROOT / "shared/clips"
SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".m4v"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    few = {"count": 8, "size": (96, 128)}
    makers.write(folder / "sound.mp4", sound="aac", **few)
    makers.write(folder / "two tracks.mkv", sound="aac", sounds=2, second=True, **few)
    makers.write(folder / "turned.mov", sound="aac", rotate=90, **few)
    makers.write(folder / "cover.mp4", sound="aac", cover=True, **few)
    makers.write(folder / "ten bits.mkv", pix_fmt="yuv422p10le", **few)
    makers.write(folder / "old.avi", codec="mpeg4", sound="mp2", **few)
    makers.write(folder / "broadcast.ts", sound="mp2", options={"bf": "2"}, **few)
    makers.write(folder / "alpha.webm", codec="libvpx-vp9", pix_fmt="yuva420p", **few)
    return folder


@pytest.fixture(params=["made", "shared"])
def clips(request, made):
    if request.param == "made":
        return made
    if not SHARED.is_dir():
        pytest.skip("the real clips of shared/clips are not here")
    return SHARED


def files_of(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def test_scan_opens_all_and_report_and_explain_show_them(clips, tmp_path):
    out = tmp_path / "scan.jsonl"
    done = mesoscope("scan", clips, "--frames", "4", "--out", out)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len([row for row in rows if row["kind"] == "clip"]) == len(files_of(clips))
    assert [row["error"] for row in rows if row["error"]] == []
    assert all(row["frames_read"] for row in rows)

    page = tmp_path / "report.html"
    done = mesoscope("report", out, "-o", page)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert all(path.name in text for path in files_of(clips)[:5])

    shown = files_of(clips)[:8]
    done = mesoscope("explain", *shown, "--frames", "3", "-o", tmp_path / "shown")
    assert done.returncode == 0, done.stderr
    pictures = sorted((tmp_path / "shown").iterdir())
    assert len(pictures) == len(shown)
    for path in pictures:
        with Image.open(path) as picture:
            assert min(picture.size) > 100


def test_prepare_reads_all(clips, tmp_path):
    for label in ("real", "fake"):
        (tmp_path / "set" / label).mkdir(parents=True)
    for at, path in enumerate(files_of(clips)):
        (tmp_path / "set" / ("real", "fake")[at % 2] / path.name).symlink_to(path)
    done = mesoscope(
        "prepare", "plain", tmp_path / "set", "--frames", "2", "--faces", "whole",
        "--shares", "1,0,0", "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out/manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = [f"{('real', 'fake')[at % 2]}/{p.name}" for at, p in enumerate(files_of(clips))]
    assert sorted({row["parent"] for row in rows}) == sorted(wanted)
    assert all((tmp_path / "out" / row["path"]).is_file() for row in rows)
