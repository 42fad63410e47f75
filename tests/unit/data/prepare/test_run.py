"""Sets become data sets: faces where they lie, nothing lost in silence, gone on with, in order."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from mesoscope.data.layouts.item import Item
from mesoscope.data.manifest import read_dataset, require_both_classes
from mesoscope.data.prepare import PrepareOptions, prepare
from mesoscope.data.prepare.work import stamp_of
from mesoscope.errors import DatasetError, OutputError
from mesoscope.faces.crop import crop
from mesoscope.media.image import open_image
from mesoscope.media.video import frames_at

QUICK = PrepareOptions(frames=3, size_px=64)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(out):
    """Every file's digest by its path; the ledger, whose bytes differ by the order of work."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name != "prepare.sqlite"
    }


def test_clips_become_a_data_set(tmp_path, make_ffpp, hopper):
    """The bystander is as large as the forged person and never taken, from reals and fakes."""
    root, out = make_ffpp(beside=cv2.resize(hopper, (130, 130))), tmp_path / "out"
    counted = []
    prepared = prepare(root, out, options=QUICK, jobs=2, watch=counted.append)
    assert counted == list(range(13))
    assert prepared.census.total == 36
    assert prepared.census.warnings() == []
    assert prepared.census.rows() == [
        (split, label, method, 2, 6)
        for split in ("train", "validation", "test")
        for label, method in (("real", ""), ("fake", "Deepfakes"))
    ]
    samples = read_dataset(out)
    assert len(samples) == len({s.path for s in samples}) == 36
    for split in ("train", "validation", "test"):
        require_both_classes(samples, split, "out")
    groups = {}
    for sample in samples:
        groups.setdefault(sample.group, set()).add(sample.split)
    assert groups == {"000_001": {"train"}, "002_003": {"validation"}, "004_005": {"test"}}
    for sample, row in zip(samples, rows(out / "manifest.csv"), strict=True):
        data = sample.path.read_bytes()
        assert hashlib.sha256(data).hexdigest() == sample.sha256
        assert sample.method == ("Deepfakes" if sample.label else "")
        assert sample.source == "ffpp"
        assert row["finder"] == "mtcnn"
        assert float(row["confidence"]) > 0.8
        box = tuple(float(row[c]) for c in ("x1", "y1", "x2", "y2"))
        assert box[0] < 100, "the bystander was taken"
        (frame,) = frames_at(root / row["parent"], [float(row["time_s"])])
        assert frame.index == int(row["frame"])
        again = crop(frame.pixels, box, margin=1.3, size_px=64)
        apart = np.abs(again.astype(int) - open_image(sample.path).pixels).mean()
        assert apart < 1  # the manifest's box is rounded
    assert not (out / "unfinished").exists()
    assert rows(out / "left_out.csv") == []
    about = json.loads((out / "prepare.json").read_text())
    assert about["set"] == "FaceForensics++"
    assert about["options"]["frames"] == 3
    assert str(tmp_path) not in "".join(
        (out / name).read_text() for name in ("manifest.csv", "left_out.csv", "prepare.json")
    )


def test_a_pair_without_masks_shows_the_forged_person(tmp_path, pair):
    out = tmp_path / "out"
    options = replace(QUICK, split="group", shares=(1, 0, 0))
    prepared = prepare(pair, out, options=options)
    assert prepared.census.total == 6
    assert all(float(row["x2"]) < 160 for row in rows(out / "manifest.csv"))
    (pair / "real/0000.mp4").unlink()  # nothing to compare with: the larger face
    prepare(pair, tmp_path / "alone", options=options)
    assert all(float(row["x1"]) > 160 for row in rows(tmp_path / "alone/manifest.csv"))


def test_what_gives_no_face_is_listed(tmp_path, make_ffpp):
    root, out = make_ffpp(), tmp_path / "out"
    videos = root / "manipulated_sequences/Deepfakes/c23/videos"
    broken, masks = videos / "004_005.mp4", root / "manipulated_sequences/Deepfakes/masks/videos"
    broken.write_bytes(broken.read_bytes()[:900])
    real = root / "original_sequences/youtube/c23/videos"
    (real / "002.mp4").write_bytes((masks / "002_003.mp4").read_bytes())  # shows nobody
    (masks / "000_001.mp4").write_bytes(b"no clip")
    prepared = prepare(root, out, options=QUICK)
    left = rows(out / "left_out.csv")
    assert [(row["item"].rpartition("/")[2], row["reason"]) for row in left] == [
        ("002", "no_face"), ("002", "no_face"), ("002", "no_face"), ("004_005", "unreadable"),
    ]  # fmt: skip
    assert [float(row["time_s"]) for row in left[:3]] == pytest.approx([0.04, 0.16, 0.24])
    assert "source.unreadable" in left[3]["detail"]
    assert left[3]["path"] == "manipulated_sequences/Deepfakes/c23/videos/004_005.mp4"
    assert prepared.census.left_out == {"no_face": 3, "unreadable": 1}
    assert prepared.census.total == 36 - 6
    warnings = " | ".join(prepared.census.warnings())
    assert "000_001 (000_001.mp4): mask not used as it cannot be read" in warnings
    assert "17% of real and 0% of fake pictures are without a face that was found" in warnings


def test_a_clip_that_was_mended_is_done_again(tmp_path, make_ffpp):
    root, out = make_ffpp(), tmp_path / "out"
    clip = root / "manipulated_sequences/Deepfakes/c23/videos/004_005.mp4"
    whole = clip.read_bytes()
    clip.write_bytes(whole[:900])
    assert prepare(root, out, options=QUICK).census.total == 33
    assert prepare(root, out, options=QUICK).new == 0
    clip.write_bytes(whole)
    mended = prepare(root, out, options=QUICK)
    assert (mended.new, mended.census.total) == (1, 36)
    assert mended.census.left_out.total() == 0
    some = next((out / "train/fake").iterdir())
    some.unlink()
    assert prepare(root, out, options=QUICK).new == 1
    assert some.is_file()


def test_a_set_may_grow_and_may_not_lose(tmp_path, make_ffpp):
    root, out = make_ffpp(), tmp_path / "out"
    clip = root / "manipulated_sequences/Deepfakes/c23/videos/004_005.mp4"
    aside = clip.rename(tmp_path / "aside.mp4")
    assert prepare(root, out, options=QUICK).new == 11
    aside.rename(clip)
    assert prepare(root, out, options=QUICK).new == 1
    clip.unlink()
    with pytest.raises(DatasetError, match=r"the set has changed since .*004_005 is gone"):
        prepare(root, out, options=QUICK)
    with pytest.raises(DatasetError, match="was begun with `frames` 3, and this is 4"):
        prepare(root, out, options=replace(QUICK, frames=4))


KILLED = """
import os, pathlib, signal, sys
from mesoscope.data.prepare import PrepareOptions, prepare, run, work
root, out, where = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
def die():
    os.kill(os.getpid(), signal.SIGKILL)
if where == "half a file":
    count = 0
    def put(data, unfinished, path):
        global count
        count += 1
        if count == 8:
            (unfinished / path.name).write_bytes(data[:50])
            die()
        plain(data, unfinished, path)
    plain, work._put = work._put, put
elif where == "manifest":
    run.write_summary_files = lambda *_: die()
watch = (lambda done: done == 5 and die()) if where == "ledger" else None
prepare(root, out, options=PrepareOptions(frames=3, size_px=64), jobs=2, watch=watch)
"""


@pytest.mark.parametrize("where", ["half a file", "ledger", "manifest"])
def test_a_killed_run_goes_on_as_if_unbroken(tmp_path, make_ffpp, where):
    root = make_ffpp()
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    prepare(root, unbroken, options=QUICK)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(root), str(killed), where],
        timeout=240,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    assert not (killed / "manifest.csv").exists()
    counted = []
    prepared = prepare(root, killed, options=QUICK, watch=counted.append)
    assert prepared.new == 12 - counted[0]
    assert {
        "half a file": counted[0] <= 3,
        "ledger": counted[0] == 5,
        "manifest": counted[0] == 12,
    }[where]
    assert files(killed) == files(unbroken)


def test_pictures_are_found_cut_and_stored_alike(tmp_path, collins, hopper):
    """A plain set: reals as JPEG, fakes as PNG; same names in sub-folders; a crop; nobody."""
    root, out = tmp_path / "mine", tmp_path / "out"
    room = np.full((500, 700, 3), 120, np.uint8)
    for number in range(10):
        photo = room.copy()
        photo[100:320, 90:310] = cv2.resize(collins, (220, 220))
        (root / f"real/{number}").mkdir(parents=True)
        Image.fromarray(photo).save(root / f"real/{number}/face.jpg")
        photo[100:320, 90:310] = cv2.resize(hopper, (220, 220))
        photo[350:450, 500:600] = cv2.resize(collins, (100, 100))
        (root / f"fake/{number}").mkdir(parents=True)
        Image.fromarray(photo).save(root / f"fake/{number}/face.png")
    Image.fromarray(room).save(root / "real/room.jpg")
    Image.fromarray(hopper).save(root / "real/crop.jpg")
    (root / "fake/text.png").write_text("no picture")
    prepared = prepare(root, out, options=replace(QUICK, format="jpg", jpeg_quality=90))
    samples = read_dataset(out)
    assert len(samples) == len({s.path for s in samples}) == 21
    assert {s.source for s in samples} == {"mine"}  # the folder's name
    whole = [row for row in rows(out / "manifest.csv") if row["finder"] == "whole"]
    assert [row["parent"] for row in whole] == ["real/crop.jpg"]
    assert all(float(r["x2"]) < 400 for r in rows(out / "manifest.csv"))  # the largest face
    assert {row["frame"] + row["time_s"] for row in rows(out / "manifest.csv")} == {""}
    made = set()
    for sample in samples:
        with Image.open(sample.path) as image:
            made.add((image.format, image.size, str(image.quantization)))
    assert len(made) == 1
    assert next(iter(made))[:2] == ("JPEG", (64, 64))
    left = {(row["item"], row["reason"]) for row in rows(out / "left_out.csv")}
    assert left == {("real/room", "no_face"), ("fake/text", "unreadable")}
    warnings = " | ".join(prepared.census.warnings())
    assert "reals came as .jpg and fakes as .png" in warnings
    every = prepare(root, tmp_path / "all", options=replace(QUICK, all_faces=True))
    assert every.census.of_class(1) == 20
    small = prepare(root, tmp_path / "large", options=replace(QUICK, min_face_px=300))
    assert small.census.total == 0
    assert small.census.left_out["no_face"] + small.census.left_out["small_face"] == 22


def test_folders_of_frames_are_clips(tmp_path, collins):
    """UADFV as others publish it; a broken frame is one line, and the rest of it is taken."""
    root, out = tmp_path / "UADFV", tmp_path / "out"
    for number in range(3):
        for name in (f"real/frames/{number:04}", f"fake/frames/{number:04}_fake"):
            (root / name).mkdir(parents=True)
            for frame in range(6):
                pixels = np.full((180, 320, 3), 20 * number, np.uint8)
                pixels[30:150, 20 + frame : 140 + frame] = collins
                Image.fromarray(pixels).save(root / name / f"{frame:03}.png")
    (root / "real/frames/0001/003.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    prepared = prepare(root, out, options=replace(QUICK, split="group"))
    assert prepared.plan.reading.layout == "uadfv"
    assert prepared.census.total == 17
    read = [r for r in rows(out / "manifest.csv") if r["parent"].startswith("real/frames/0000")]
    assert [row["frame"] for row in read] == ["1", "3", "5"]
    assert {row["time_s"] for row in read} == {""}
    assert [row["path"] for row in rows(out / "left_out.csv")] == ["real/frames/0001/003.png"]


def test_a_set_is_not_prepared_into_itself(tmp_path, make_ffpp):
    root = make_ffpp()
    for out in (root, root / "faces", tmp_path / "FaceForensics++/a/b"):
        with pytest.raises(DatasetError, match="lies in the set itself"):
            prepare(root, out, options=QUICK)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path, make_ffpp):
    root, locked = make_ffpp(), tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        prepare(root, locked / "out", options=QUICK)


def test_the_dataset_can_be_trained_on(tmp_path, make_ffpp):
    """Training reads every picture once and refuses what it cannot take."""
    pytest.importorskip("torch", reason="training needs mesoscope[train]")
    from mesoscope.training.data.dataset import survey

    out = tmp_path / "out"
    prepare(make_ffpp(), out, options=QUICK)
    found = survey(
        read_dataset(out), where="out", skip_unreadable=False, watch=lambda items, total: items
    )
    assert len(found.train) == 12
    assert len(found.validation) == 12
    assert not found.repeated


def test_a_stamp_tells_of_any_frame_that_was_put_right(tmp_path):
    frames = tuple(tmp_path / f"{n}.png" for n in range(3))
    for frame in frames:
        frame.write_bytes(b"broken")
    item = Item(frames, 0, "a", "", "a", None)
    before = stamp_of(item)
    assert stamp_of(item) == before
    frames[1].write_bytes(b"a whole one")
    assert stamp_of(item) != before
