"""The folder of forgeries: pairs saved alike, resumed, never mixed."""

import csv
import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from mesoscope.data.manifest import read_dataset
from mesoscope.errors import OptionError, OutputError
from mesoscope.files.atomic import write_bytes
from mesoscope.media.image import open_image
from mesoscope.synth.folder import ForgeryFolder, Parent, rng_for
from mesoscope.synth.forgery import Encoding, Forgery, Saving, encode_mask


@pytest.fixture
def forgery(astronaut_face):
    pixels = astronaut_face.copy()
    pixels[60:120, 60:120] = 255 - pixels[60:120, 60:120]
    mask = np.zeros(pixels.shape[:2], np.float32)
    mask[60:120, 60:120] = 0.5
    return Forgery(pixels, astronaut_face, mask, "test", {"amount": 3})


def fill(root, forgery, keys, **options):
    with ForgeryFolder(root, options={"maker": "test"}, **options) as folder:
        for key in keys:
            if not folder.has(key):
                parent = Parent(key, f"group of {key}", "train", "people", key, "00")
                folder.add(folder.save(forgery, parent))
        return len(folder)


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("seed", range(6))
def test_a_pair_is_saved_in_the_same_way(tmp_path, forgery, seed):
    fill(tmp_path / "out", forgery, ["a"], seed=seed)
    (real,), (fake,) = ((tmp_path / f"out/train/{s}").iterdir() for s in ("real", "fake"))
    assert real.name == fake.name
    with Image.open(real) as one, Image.open(fake) as other:
        assert one.format == other.format == "JPEG"
        assert one.quantization == other.quantization
        assert [c[1:3] for c in one.layer] == [c[1:3] for c in other.layer]  # subsampling
        assert not one.getexif()
        assert not other.getexif()
        assert (
            set(one.info)
            == set(other.info)
            <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        )


def test_qualities_and_samplings_vary_between_pairs():
    drawn = [Encoding().draw(rng_for(0, str(i), stream=1)) for i in range(200)]
    assert {s.sampling for s in drawn} == {"4:2:0", "4:4:4"}
    assert {s.quality for s in drawn} <= set(range(60, 96))
    assert len({s.quality for s in drawn}) > 25
    assert Encoding("png").draw(rng_for(0, "a")) == Saving("png")


def test_png_keeps_every_pixel_and_masks_their_levels(tmp_path, forgery):
    fill(tmp_path, forgery, ["a"], encoding=Encoding("png"))
    record = json.loads((tmp_path / "forgeries.jsonl").read_text())
    kept = {what: open_image(tmp_path / path).pixels for what, path in record["files"].items()}
    assert np.array_equal(kept["fake"], forgery.pixels)
    assert np.array_equal(kept["real"], forgery.twin)
    assert np.array_equal(kept["mask"][:, :, 0], np.rint(forgery.mask * 255))
    assert encode_mask(forgery.mask) == (tmp_path / record["files"]["mask"]).read_bytes()


def test_records_and_manifest_tell_all(tmp_path, forgery):
    fill(tmp_path, forgery, ["a", "b"], seed=4)
    lines = (tmp_path / "forgeries.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [r["key"] for r in records] == ["a", "b"]
    for record in records:
        assert record["maker"] == "test"
        assert record["seed"] == 4
        assert record["numbers"] == {"amount": 3}
        assert record["parent"] == {"path": record["key"], "sha256": "00"}
        assert record["saving"]["format"] == "jpg"
        assert {"mesoscope", "numpy", "opencv"} == record["versions"].keys()
        for what, path in record["files"].items():
            digest = hashlib.sha256((tmp_path / path).read_bytes()).hexdigest()
            assert record["sha256"][what] == digest
    rows = list(csv.DictReader(io.StringIO((tmp_path / "manifest.csv").read_text())))
    assert [r["label"] for r in rows] == ["real", "fake"] * 2
    assert [r["method"] for r in rows] == ["", "test"] * 2
    assert {r["parent_sha256"] for r in rows} == {"00"}
    samples = read_dataset(tmp_path)
    assert len(samples) == 4
    assert {s.group for s in samples} == {"group of a", "group of b"}
    assert {(s.source, s.split) for s in samples} == {("people", "train")}


def test_names_tell_neither_class_nor_parent(tmp_path, forgery):
    fill(tmp_path, forgery, ["secret name.jpg#0"])
    names = [p.name for p in tmp_path.rglob("*.*") if p.parent.name in ("real", "fake")]
    assert len(set(names)) == 1
    assert "secret" not in names[0]
    assert "real" not in names[0]
    assert "fake" not in names[0]


def test_a_second_run_goes_on_and_ends_as_one_run_would(tmp_path, forgery):
    assert fill(tmp_path / "twice", forgery, ["a", "b"]) == 2
    assert fill(tmp_path / "twice", forgery, ["a", "b", "c"]) == 3
    fill(tmp_path / "once", forgery, ["a", "b", "c"])
    assert contents(tmp_path / "twice") == contents(tmp_path / "once")


def test_a_torn_line_of_a_killed_run_is_made_again(tmp_path, forgery):
    fill(tmp_path / "once", forgery, ["a", "b"])
    fill(tmp_path / "killed", forgery, ["a", "b"])
    records = tmp_path / "killed/forgeries.jsonl"
    records.write_bytes(records.read_bytes()[:-20])
    (tmp_path / "killed/manifest.csv").unlink()
    assert fill(tmp_path / "killed", forgery, ["a", "b"]) == 2
    assert contents(tmp_path / "killed") == contents(tmp_path / "once")


def test_the_manifest_is_written_however_a_run_ends(tmp_path, forgery):
    def interrupted():
        with ForgeryFolder(tmp_path, options={}) as folder:
            folder.add(folder.save(forgery, Parent("a", "a")))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(read_dataset(tmp_path)) == 2


def test_what_a_killed_run_left_half_written_goes(tmp_path, forgery):
    fill(tmp_path, forgery, ["a"])
    before = contents(tmp_path)
    (tmp_path / "train/fake/.0123.jpg.99-7.part").write_bytes(b"half")
    fill(tmp_path, forgery, ["a"])
    assert contents(tmp_path) == before


def test_two_runs_at_once_are_kept_apart(tmp_path):
    pytest.importorskip("fcntl", reason="there are no such locks on this system")
    with ForgeryFolder(tmp_path, options={}):
        other = ForgeryFolder(tmp_path, options={})
        with pytest.raises(OptionError, match="another run is writing into it"), other:
            pass
    with other:
        assert len(other) == 0


def test_forgeries_without_a_twin_stand_alone(tmp_path, forgery):
    with ForgeryFolder(tmp_path, options={}) as folder:
        folder.add(folder.save(forgery, Parent("1", "1"), twin=False))
    assert [s.label for s in read_dataset(tmp_path)] == [1]
    assert not (tmp_path / "train/real").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 1}, "started with seed 0, and now it is 1"),
        ({"encoding": Encoding("png")}, 'started with format "jpg"'),
        ({"encoding": Encoding(quality=(90, 90))}, r"started with quality \[60, 95\]"),
    ],
)
def test_options_are_not_mixed_in_one_folder(tmp_path, forgery, options, said):
    fill(tmp_path, forgery, ["a"])
    before = contents(tmp_path)
    with pytest.raises(OptionError, match=said):
        fill(tmp_path, forgery, ["b"], **options)
    assert contents(tmp_path) == before
    with pytest.raises(OptionError, match='started with maker "test", and now it is null'):
        ForgeryFolder(tmp_path, options={})


def test_a_folder_without_a_forgery_may_be_begun_anew(tmp_path, forgery):
    ForgeryFolder(tmp_path, options={"maker": "another"}, seed=3)
    (tmp_path / "landmarks.jsonl").write_text("of other reals")
    assert fill(tmp_path, forgery, ["a"]) == 1
    assert not (tmp_path / "landmarks.jsonl").exists()
    assert json.loads((tmp_path / "synth.json").read_text())["seed"] == 0


def test_other_folders_are_refused(tmp_path, forgery):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/diary.txt").write_text("dear diary")
    (tmp_path / "file").write_text("")
    for name in ("mine", "file"):
        with pytest.raises(OptionError, match="is not empty"):
            ForgeryFolder(tmp_path / name, options={})
    assert contents(tmp_path) == {"mine/diary.txt": b"dear diary", "file": b""}
    fill(tmp_path / "out", forgery, ["a"])
    records = tmp_path / "out/forgeries.jsonl"
    records.write_bytes(b"{damaged\n" + records.read_bytes())
    with pytest.raises(OptionError, match="damaged at byte 0"):
        fill(tmp_path / "out", forgery, ["b"])
    (tmp_path / "out/synth.json").write_text("{")
    with pytest.raises(OptionError, match="cannot be read"):
        fill(tmp_path / "out", forgery, ["b"])


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    (tmp_path / "there").write_text("a file, not a folder")
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / "there/x.png", b"data", parents=True)
    (tmp_path / "x.png").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_bytes(tmp_path / "x.png", b"data")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["there", "x.png"]


def test_random_numbers_depend_on_seed_key_and_stream():
    drawn = {
        (seed, key, stream): rng_for(seed, key, stream=stream).random()
        for seed in (0, 1)
        for key in ("a", "b", "bild\udcff")
        for stream in (0, 1)
    }
    assert len(set(drawn.values())) == len(drawn)
    assert rng_for(0, "a").random() == drawn[0, "a", 0]


@pytest.mark.parametrize(
    "options",
    [{"format": "gif"}, {"quality": (95, 60)}, {"quality": (0, 50)}, {"quality": (50, 101)}],
)
def test_encodings_have_bounds(options):
    with pytest.raises(OptionError, match="must be"):
        Encoding(**options)
