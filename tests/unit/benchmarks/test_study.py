"""The rows of the study are recipes that can be trained, each one change from another."""

import json
from pathlib import Path

import pytest

from mesoscope.data.manifest import read_dataset
from mesoscope.models.file import shipped
from mesoscope.training.nets import build
from mesoscope.training.recipe.recipe import read_recipe

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def study(bench):
    return bench("study")


def resolve(study, entry):
    overrides = [f"{key}={json.dumps(value)}" for key, value in entry.overrides.items()]
    return read_recipe(study.RECIPE, overrides)


def test_every_row_is_a_recipe_with_a_network(study):
    rows = study.ablation(str(shipped()["meso4"]))
    assert len({row.name for row in rows}) == len(rows) >= 15
    recipes = [resolve(study, row) for row in rows]
    assert len({recipe.sha256() for recipe in recipes}) == len(rows), "no two rows are the same run"
    for recipe in recipes:
        build(recipe.network)


def test_every_row_says_which_row_it_changes(study):
    rows = study.ablation(str(shipped()["meso4"]))
    names = [row.name for row in rows]
    for place, row in enumerate(rows[1:], start=1):
        before = row.change.partition(",")[0]
        assert before in names[:place], row


def test_without_a_teacher_its_rows_are_left_out(study):
    rows = study.ablation("nowhere.onnx")
    assert not any("distil.teacher" in row.overrides for row in rows)


def test_transfer_leaves_out_each_source_once(study):
    rows = study.transfer(["a", "b"])
    assert [resolve(study, row).data.leave_out for row in rows] == [(), ("a",), ("b",)]


def test_rows_of_reals_alone_see_no_fake_and_make_half(study, make_dataset, tmp_path):
    rows = study.reals()
    alone = [row for row in rows if row.reals_alone]
    assert len(alone) == 4
    for row in alone:
        made = resolve(study, row).synth
        assert made.blend + made.edit == 0.5
    root = study.without_fakes(make_dataset(train=3, validation=2), tmp_path)
    seen = read_dataset(root)
    assert [sample.label for sample in seen] == [0] * 5
    assert all(sample.path.is_file() for sample in seen)
