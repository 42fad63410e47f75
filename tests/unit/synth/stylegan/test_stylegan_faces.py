"""Folders of generated faces: what is written, what stands beside them, going on."""

import csv
import json

import cv2
import numpy as np
import pytest

from mesoscope.data.manifest import read_dataset
from mesoscope.errors import ModelError, OptionError
from mesoscope.media.image import open_image
from mesoscope.synth.folder import ForgeryFolder
from mesoscope.synth.forgery import Encoding
from mesoscope.synth.reals import centre_square, read_reals
from mesoscope.synth.stylegan.faces import (
    GenerationOptions,
    device_of,
    face_folder,
    sheet_of,
    write_faces,
)
from mesoscope.synth.stylegan.loading import save_generator
from mesoscope.synth.stylegan.sampling import SamplingSettings, generate, grid


@pytest.fixture
def reals(tmp_path, make_face):
    folder = tmp_path / "reals"
    folder.mkdir()
    for seed in range(3):
        cv2.imwrite(str(folder / f"{seed}.png"), make_face(seed, 64)[4:60, :, ::-1])
    return folder


def write(out, generator, seeds, *, found=(), size_px=None, seed=0):
    encoding = Encoding("png")
    with ForgeryFolder(out, options={"maker": "stylegan"}, encoding=encoding, seed=seed) as folder:
        return write_faces(
            folder, generator, seeds, settings=SamplingSettings(), reals=found, size_px=size_px
        )


def records(out):
    return [json.loads(line) for line in (out / "forgeries.jsonl").read_text().splitlines()]


def test_faces_alone(small_generator, tmp_path):
    generator, out = small_generator(size=16), tmp_path / "out"
    summary = write(out, generator, range(12))
    assert (summary.generated, summary.existing, summary.unpaired) == (12, 0, 0)
    made = {one.seed: one for one in generate(generator, range(12))}
    for record in records(out):
        seed = record["numbers"]["seed"]
        pixels = open_image(out / record["files"]["fake"]).pixels
        assert np.array_equal(pixels, made[seed].pixels)
        assert record["group"] == f"seed {seed}"
        assert record["numbers"] == made[seed].numbers
        assert "real" not in record["files"]
    samples = read_dataset(out)
    assert {s.label for s in samples} == {1}
    assert {s.split for s in samples} == {"train", "validation"}


def test_going_on_makes_what_is_missing(small_generator, tmp_path):
    generator = small_generator(size=8)
    once, twice = tmp_path / "once", tmp_path / "twice"
    write(once, generator, range(8))
    write(twice, generator, range(3))
    summary = write(twice, generator, range(8))
    assert (summary.generated, summary.existing) == (5, 3)
    assert records(once) == records(twice)
    for path in once.rglob("*.png"):
        assert path.read_bytes() == (twice / path.relative_to(once)).read_bytes()


def test_reals_stand_beside_fakes_in_the_same_size_and_group(small_generator, tmp_path, reals):
    out = tmp_path / "out"
    found = read_reals(reals, validation=0)
    summary = write(out, small_generator(size=16), range(5), found=found, size_px=12)
    assert (summary.generated, summary.unpaired, summary.left_out) == (5, 2, {})
    with (out / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["label"] for r in rows].count("real") == 3
    for real, record in zip(found, records(out), strict=False):
        assert record["group"] == real.group
        assert record["split"] == real.split
        wanted = centre_square(centre_square(open_image(real.path).pixels, 16), 12)
        assert np.array_equal(open_image(out / record["files"]["real"]).pixels, wanted)
        assert open_image(out / record["files"]["fake"]).pixels.shape == (12, 12, 3)


def test_reals_that_do_not_do_cost_no_face(small_generator, tmp_path, reals):
    (reals / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    cv2.imwrite(str(reals / "2.png"), np.zeros((9, 40, 3), np.uint8))
    found = read_reals(reals, validation=0)
    summary = write(tmp_path / "out", small_generator(size=16), range(3), found=found)
    assert summary.generated == 3
    assert list(summary.left_out) == ["1.png", "2.png"]
    assert "smaller than the generated faces, 16 pixels" in summary.left_out["2.png"]
    assert [list(r["files"]) for r in records(tmp_path / "out")] == [
        ["fake", "real", "mask"], ["fake", "mask"], ["fake", "mask"],
    ]  # fmt: skip


def test_sheet(small_generator, tmp_path):
    with pytest.raises(OptionError, match="nothing to draw"):
        sheet_of(tmp_path)
    write(tmp_path / "out", small_generator(size=8), range(5))
    assert sheet_of(tmp_path / "out").shape == (2 * 130 - 2, 3 * 130 - 2, 3)


def test_grid_fills_rows():
    pictures = [np.full((2, 2, 3), level, np.uint8) for level in (10, 20, 30)]
    sheet = grid(pictures, gap_px=1)
    assert sheet.shape == (5, 5, 3)
    assert sheet[:, :, 0].tolist() == [
        [10, 10, 255, 20, 20], [10, 10, 255, 20, 20], [255] * 5,
        [30, 30, 255, 255, 255], [30, 30, 255, 255, 255],
    ]  # fmt: skip


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert device_of("auto").type == "cpu"
    with pytest.raises(OptionError, match="torch sees no GPU"):
        device_of("cuda")


def test_a_file_of_weights_is_all_that_a_folder_of_faces_takes(small_generator, tmp_path, reals):
    model, out = tmp_path / "g.safetensors", tmp_path / "out"
    save_generator(model, small_generator(size=16), {})
    seen = []
    summary = face_folder(
        model, out, range(4),
        GenerationOptions(
            reals=reals, encoding=Encoding("png"), device="cpu", sheet=tmp_path / "sheet.png"
        ),
        watch=lambda: seen.append(1),
    )  # fmt: skip
    assert (summary.generated, summary.unpaired, len(seen)) == (4, 1, 4)
    assert sorted(s.label for s in read_dataset(out)) == [0, 0, 0, 1, 1, 1, 1]
    assert (tmp_path / "sheet.png").is_file()
    same = GenerationOptions(reals=reals, encoding=Encoding("png"))
    assert face_folder(model, out, range(5), same).generated == 1
    mixed = GenerationOptions(SamplingSettings(mixing=True), reals=reals)
    with pytest.raises(OptionError, match="was started with mixing"):
        face_folder(model, out, [0], mixed)
    with pytest.raises(ModelError, match="none"):
        face_folder(tmp_path / "none.safetensors", tmp_path / "other", [0])
