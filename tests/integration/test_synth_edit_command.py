"""``mesoscope synth edit`` as a user runs it: end to end, resumed, with wrong words; its pages."""

import dataclasses
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from command_line import mesoscope
from mesoscope.data.manifest import read_dataset
from mesoscope.synth.edits import EDITS, EditRecipe, read_edit_recipe

ROOT = Path(__file__).parents[2]
FACES = ("collins.jpg", "hopper.jpg", "hopper_400px.jpg")


def synth_edit(*arguments):
    done = mesoscope("synth", "edit", *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


def records(out):
    return [json.loads(line) for line in (out / "forgeries.jsonl").read_text().splitlines()]


def contents(out):
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != "synth.json"
    }


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Two people in three pictures, and one that shows nobody."""
    root = tmp_path_factory.mktemp("people") / "reals"
    root.mkdir()
    for name in FACES:
        (root / name).write_bytes((ROOT / "samples/real" / name).read_bytes())
    cv2.imwrite(str(root / "wall.png"), np.full((300, 300, 3), 180, np.uint8))
    return root


@pytest.fixture(scope="module")
def made(people, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "edited"
    sheet = out.parent / "sheet.webp"
    code, said = synth_edit(
        people, "--out", out, "--per-picture", 3, "--validation", 0, "--format", "png",
        "--sheet", sheet, "--jobs", 2,
    )  # fmt: skip
    assert code == 0, said
    return out, said


def test_pairs_are_equal_outside_their_mask(made):
    out, said = made
    assert "9 forgeries and their twins made" in said
    assert "1 picture left out (1 × no face was found)" in said
    assert cv2.imread(str(out.parent / "sheet.webp")) is not None
    samples = read_dataset(out)
    assert [s.label for s in samples].count(1) == [s.label for s in samples].count(0) == 9
    for record in records(out):
        forged, twin, mask = (
            np.asarray(Image.open(out / record["files"][what])) for what in ("fake", "real", "mask")
        )
        differ = (forged != twin).any(2)
        assert differ.any()
        assert not differ[mask == 0].any()
        numbers = record["numbers"]
        assert set(numbers["edits"]) <= set(EDITS)
        assert set(numbers) == {*numbers["edits"], "edits", "change"}


def test_a_run_that_was_broken_off_ends_as_a_whole_one(people, made, tmp_path):
    out, _ = made
    again = tmp_path / "edited"
    options = ("--validation", 0, "--format", "png", "--jobs", 1)
    synth_edit(people, "--out", again, "--per-picture", 2, *options)
    lines = (again / "forgeries.jsonl").read_bytes().splitlines(keepends=True)
    (again / "forgeries.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:40])
    code, said = synth_edit(people, "--out", again, "--per-picture", 3, *options)
    assert code == 0
    assert "6 forgeries and their twins made" in said
    assert "3 existed already" in said
    whole, resumed = contents(out), contents(again)
    for name in ("forgeries.jsonl", "manifest.csv"):  # in another order
        assert sorted(whole.pop(name).splitlines()) == sorted(resumed.pop(name).splitlines())
    assert whole == resumed


def test_donors_and_only_and_strength(people, tmp_path):
    donors = tmp_path / "strangers"
    donors.mkdir()
    (donors / "one.jpg").write_bytes((people / "collins.jpg").read_bytes())
    out = tmp_path / "spliced"
    code, _ = synth_edit(
        people, "--out", out, "--only", "splice,dodge-burn", "--donors", donors, "--strength",
        "low", "--per-picture", 4,
    )  # fmt: skip
    assert code == 0
    every = [record["numbers"] for record in records(out)]
    assert {name for numbers in every for name in numbers["edits"]} == {"splice", "dodge_burn"}
    given = {numbers["splice"]["donor"] for numbers in every if "splice" in numbers}
    assert given == {str(donors / "one.jpg")}
    stops = [
        abs(stroke["stops"])
        for numbers in every
        for stroke in numbers.get("dodge_burn", {}).get("strokes", [])
    ]
    assert 0.12 <= min(stops) <= max(stops) <= 0.12 + 0.43 / 3 + 1e-4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--only", "splise"), "edits: 'splise' is no edit: did you mean 'splice'?"),
        (("--only", ","), "edits: nothing is no edit"),
        (("--strength", "hi"), "strength 'hi' must be low, medium, high"),
        (("--recipe", "none.toml"), "none.toml: no such recipe of edits"),
        (("--donors", "nowhere"), "nowhere: no such folder"),
        (("--quality", "90-60"), "quality must be LOW-HIGH"),
        (("--sheet", "sheet.pdf"), "sheet.pdf"),
    ],
)
def test_wrong_words_cost_nothing(people, tmp_path, options, said):
    out = tmp_path / "out"
    code, error = synth_edit(people, "--out", out, *options)
    assert code == 2
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_another_recipe_does_not_go_on_in_the_folder(people, tmp_path):
    out, recipe = tmp_path / "out", tmp_path / "mine.toml"
    recipe.write_text("[splice]\nchance = 0.0\n")
    assert synth_edit(people, "--out", out, "--recipe", recipe)[0] == 0
    before = contents(out)
    recipe.write_text("[splice]\nchance = 0.0\n[clone]\nchance = 0.9\n")
    code, error = synth_edit(people, "--out", out, "--recipe", recipe)
    assert code == 2
    assert "was started with clone.chance 0.2, and now it is 0.9" in error
    assert contents(out) == before


def test_the_pages_recipe_is_sound(tmp_path):
    page = (ROOT / "docs/how-to/imitate-photoshop.md").read_text("utf-8")
    (block,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "mine.toml"
    path.write_text(block, "utf-8")
    recipe = read_edit_recipe(path)
    assert recipe.splice.chance == 1
    assert recipe.retouch.chance == 0


def test_the_reference_names_every_key_with_its_default():
    page = (ROOT / "docs/reference/edit-recipe.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", page, re.MULTILINE))
    known = {}
    for key, value in dataclasses.asdict(EditRecipe()).items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        known.update({f"{key}.{name}".rstrip("."): one for name, one in inner})
    assert rows.keys() == known.keys()
    for key, value in known.items():
        assert json.loads(rows[key]) == (list(value) if isinstance(value, tuple) else value)
