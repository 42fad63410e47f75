"""Many forgeries into a folder: what is left out, resuming, and threads."""

import csv
import json

import cv2
import numpy as np
import pytest

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.media.image import open_image
from mesoscope.synth.blend import self_blend
from mesoscope.synth.blending import blend_maker
from mesoscope.synth.folder import ForgeryFolder, rng_for
from mesoscope.synth.forgery import Encoding, Forgery
from mesoscope.synth.reals import Framing, read_reals
from mesoscope.synth.sheet import folder_sheet, write_sheet
from mesoscope.synth.writing import ForgingSummary, write_forgeries, write_left_out

FIVE = np.array(
    [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]], np.float32
)


@pytest.fixture
def people(tmp_path, astronaut_face):
    """Three pictures of one face, a blank one and a broken one."""
    root = tmp_path / "people"
    root.mkdir()
    for number in range(3):
        shifted = np.clip(astronaut_face.astype(int) + 12 * number, 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"{number}.png"), shifted[:, :, ::-1])
    cv2.imwrite(str(root / "blank.png"), np.full((90, 90, 3), 9, np.uint8))
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    return root


def landmarks():
    return {f"{number}.png": FIVE for number in range(3)}


def run(root, people, *, method="self", jobs=1, per_picture=2, make=None, watch=None):
    reals = read_reals(people, validation=0)
    make = make or blend_maker(reals, landmarks(), framing=Framing(), method=method)
    with ForgeryFolder(root, options={"method": method}, encoding=Encoding("png")) as folder:
        return write_forgeries(
            folder, reals, make,
            framing=Framing(), landmarks=landmarks(), per_picture=per_picture, jobs=jobs,
            watch=watch,
        )  # fmt: skip


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("method", ["self", "xray", "both", "warped", "averaged"])
def test_threads_write_what_one_writes(tmp_path, people, method):
    watched = []
    summary = run(tmp_path / "one", people, method=method, watch=watched.append)
    assert summary.forged == 6
    assert len(watched) == 10
    assert sum(one is not None for one in watched) == 6
    run(tmp_path / "four", people, method=method, jobs=4)
    assert contents(tmp_path / "one") == contents(tmp_path / "four")


def test_what_does_not_do_is_counted_and_named(tmp_path, people):
    summary = run(tmp_path / "out", people)
    assert summary.left_out.keys() == {"blank.png", "broken.jpg"}
    assert summary.left_out["blank.png"] == "no face was found"
    assert summary.unreadable == 1
    assert ("no face was found", 1) in summary.reasons()
    write_left_out(tmp_path / "out", summary)
    with (tmp_path / "out/left_out.csv").open() as file:
        assert [row["path"] for row in csv.DictReader(file)] == ["blank.png", "broken.jpg"]
    write_left_out(tmp_path / "out", ForgingSummary())
    assert not (tmp_path / "out/left_out.csv").exists()


def test_a_second_run_makes_only_what_is_not_there(tmp_path, people):
    first = run(tmp_path / "out", people, per_picture=1)
    assert (first.forged, first.existing) == (3, 0)
    second = run(tmp_path / "out", people, per_picture=3)
    assert (second.forged, second.existing) == (6, 3)
    third = run(tmp_path / "out", people, per_picture=3)
    assert (third.forged, third.existing) == (0, 9)


def test_a_maker_may_turn_a_picture_down(tmp_path, people):
    def make(face, rng):
        if face.real.name == "1.png":
            raise SourceUnsuitable(f"{face.real.path}: not this one")
        return Forgery(255 - face.pixels, face.pixels, np.ones(face.pixels.shape[:2], "f4"), "not")

    summary = run(tmp_path / "out", people, make=make)
    assert summary.left_out["1.png"] == "not this one"
    assert summary.forged == 4


def test_a_record_makes_its_forgery_again(tmp_path, people):
    run(tmp_path / "out", people)
    lines = (tmp_path / "out/forgeries.jsonl").read_text().splitlines()
    for record in map(json.loads, lines):
        pixels = open_image(record["parent"]["path"]).pixels
        made = self_blend(pixels, FIVE, rng_for(record["seed"], record["key"]))
        kept = open_image(tmp_path / "out" / record["files"]["fake"]).pixels
        assert np.array_equal(made.pixels, kept)
        assert made.numbers == record["numbers"]


def test_a_forgery_that_is_its_twin_is_left_out(tmp_path, people):
    def make(face, rng):
        return Forgery(face.pixels, face.pixels, np.ones(face.pixels.shape[:2], "f4"), "same")

    summary = run(tmp_path / "out", people, make=make)
    assert summary.forged == 0
    assert summary.left_out["1.png"] == "the forgery cannot be told from its twin"
    assert not (tmp_path / "out/train").exists()


def test_donors_are_named_and_of_the_same_split(tmp_path, people):
    reals = read_reals(people, validation=0)
    make = blend_maker(reals, landmarks(), framing=Framing(), method="xray")
    made = []
    with ForgeryFolder(tmp_path / "out", options={}) as folder:
        write_forgeries(
            folder, reals, make, framing=Framing(), landmarks=landmarks(), watch=made.append
        )
    donors = [one["numbers"]["donor"]["path"] for one in made if one is not None]
    assert len(donors) == 3
    assert all(str(people) in donor for donor in donors)
    alone = blend_maker(reals[:1], landmarks(), framing=Framing(), method="xray")
    with ForgeryFolder(tmp_path / "alone", options={}) as folder:
        summary = write_forgeries(
            folder, reals[:1], alone, framing=Framing(), landmarks=landmarks()
        )
    assert "no face of another person" in summary.left_out["0.png"]


def test_other_methods_are_refused():
    with pytest.raises(OptionError, match="method must be one of"):
        blend_maker([], {}, framing=Framing(), method="magic")


def test_a_sheet_shows_what_lies_in_the_folder(tmp_path, people):
    run(tmp_path / "out", people)
    sheet = folder_sheet(tmp_path / "out", count=4)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    assert folder_sheet(tmp_path / "out", count=6).shape[0] > sheet.shape[0]
    assert np.array_equal(sheet, folder_sheet(tmp_path / "out", count=4))
    write_sheet(tmp_path / "sheet.png", tmp_path / "out", count=4)
    assert np.array_equal(cv2.imread(str(tmp_path / "sheet.png"))[:, :, ::-1], sheet)
    real, forged, mask = (sheet[54:310, x : x + 256].astype(int) for x in (20, 282, 544))
    assert 0 < np.abs(real - forged).mean() < 30
    assert np.ptp(mask, axis=2).max() == 0
    with pytest.raises(OptionError, match="must be named"):
        write_sheet(tmp_path / "sheet.pdf", tmp_path / "out")
    (tmp_path / "none").mkdir()
    with pytest.raises(OptionError, match="has no forgeries"):
        folder_sheet(tmp_path / "none")


def test_a_picture_that_cannot_be_read_costs_its_tile_and_not_the_sheet(tmp_path, people):
    run(tmp_path / "out", people)
    fakes = sorted((tmp_path / "out").rglob("fake/*"))
    masks = sorted((tmp_path / "out/masks").rglob("*.png"))
    whole = folder_sheet(tmp_path / "out")
    fakes[0].write_bytes(b"")
    masks[-1].unlink()
    damaged = folder_sheet(tmp_path / "out")
    assert damaged.shape == whole.shape
    assert (damaged != whole).any()
    for path in (tmp_path / "out").rglob("*.*"):
        if path.suffix in (".jpg", ".png"):
            path.write_bytes(b"no picture")
    assert folder_sheet(tmp_path / "out").shape == whole.shape
