"""Forging a folder from Python: blends and edits, resumed, watched."""

import csv
import json

import cv2
import numpy as np
import pytest

from mesoscope.data.manifest import read_dataset
from mesoscope.errors import DatasetError, OptionError
from mesoscope.synth.edits import read_edit_recipe
from mesoscope.synth.forge_folder import ForgingOptions, blend_folder, edit_folder
from mesoscope.synth.forgery import Encoding
from mesoscope.synth.reals import Framing

FIVE = [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]]


@pytest.fixture
def people(tmp_path, astronaut_face):
    """Three pictures of one face and a broken one, with landmarks of two of them."""
    root = tmp_path / "people"
    root.mkdir()
    for number in range(3):
        shifted = np.clip(astronaut_face.astype(int) + 12 * number, 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"{number}.png"), shifted[:, :, ::-1])
    (root / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 broken")
    return root


@pytest.fixture
def options(tmp_path):
    rows = (f'{{"path": "{number}.png", "landmarks": {FIVE}}}\n' for number in range(2))
    (tmp_path / "landmarks.jsonl").write_text("".join(rows))
    return ForgingOptions(
        Encoding("png"), Framing(128), landmarks=tmp_path / "landmarks.jsonl", jobs=1
    )


def test_blends_with_twins_and_what_is_left_out(people, options, tmp_path):
    seen = []
    out = tmp_path / "out"
    summary = blend_folder(
        people, out, method="self", options=options, watch=lambda *told: seen.append(told)
    )
    assert (summary.forged, summary.existing, summary.total, summary.unreadable) == (2, 0, 2, 1)
    assert sorted(s.label for s in read_dataset(out)) == [0, 0, 1, 1]
    with (out / "left_out.csv").open() as file:
        assert {row["path"] for row in csv.DictReader(file)} == {"2.png", "broken.jpg"}
    assert seen == [("forging", done, 4) for done in range(5)]
    again = blend_folder(people, out, method="self", options=options)
    assert (again.forged, again.existing, again.total) == (0, 2, 2)
    with pytest.raises(OptionError, match="was started with strength"):
        blend_folder(people, out, strength=2.0, options=options)


def test_edits_by_a_recipe(people, options, tmp_path):
    (tmp_path / "mine.toml").write_text("[whiten]\nchance = 1\n")
    recipe = read_edit_recipe(tmp_path / "mine.toml").only(("liquify",))
    summary = edit_folder(people, tmp_path / "out", recipe=recipe, options=options)
    assert summary.forged == 2
    records = map(json.loads, (tmp_path / "out/forgeries.jsonl").read_text().splitlines())
    assert [list(record["numbers"]["edits"]) for record in records] == [["liquify"]] * 2


def test_faces_are_found_where_no_landmarks_are_given(people, tmp_path):
    seen = []
    edit_folder(
        people, tmp_path / "out", donors=people, options=ForgingOptions(jobs=1),
        watch=lambda *told: seen.append(told),
    )  # fmt: skip
    stages = list(dict.fromkeys(what for what, _, _ in seen))
    assert stages == ["finding faces", "finding donors' faces", "forging"]
    assert {told for told in seen if told[1] == told[2]} == {(what, 4, 4) for what in stages}


def test_what_cannot_be_forged_is_named_before_the_work(people, options, tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        blend_folder(tmp_path / "none", tmp_path / "out", options=options)
    with pytest.raises(OptionError, match="method must be one of"):
        blend_folder(people, tmp_path / "out", method="magic", options=options)
    chosen = ForgingOptions(sheet=tmp_path / "sheet.pdf")
    with pytest.raises(OptionError, match="a sheet must be named"):
        blend_folder(people, tmp_path / "other", options=chosen)
    assert not (tmp_path / "other").exists()
