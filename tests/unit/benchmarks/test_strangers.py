"""Recipes screened by left-out kinds: which are trained, under which name, and what is refused."""

import argparse
import sys
from pathlib import Path

import pytest

from mesoscope.errors import RecipeError
from mesoscope.training.recipe.recipe import read_recipe

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def strangers(bench):
    return bench("strangers")


@pytest.fixture
def figures(strangers):
    assert strangers.figures.__module__ == "strangers_figures"
    return sys.modules["strangers_figures"]


@pytest.fixture
def entries(strangers, monkeypatch):
    monkeypatch.chdir(ROOT)

    def ask(**given):
        blank = {"recipes": None, "recipe": None, "set": [], "name": None}
        return strangers.entries(argparse.Namespace(**{**blank, **given}))

    return ask


def test_the_known_recipes_are_screened_unless_others_are_named(strangers, entries):
    assert [one.name for one in entries()] == list(strangers.RECIPES)
    assert [one.name for one in entries(recipes=["shipped"])] == ["shipped"]
    for one in entries():
        read_recipe(one.path, one.overrides)


def test_a_change_gives_the_recipe_a_name_of_its_own(entries):
    (one,) = entries(set=["augment.warped=0.2", "augment.self_blend=0"])
    assert one.name == "native augment.warped=0.2 augment.self_blend=0"
    assert read_recipe(one.path, one.overrides).augment.warped == 0.2
    (named,) = entries(recipes=["shipped"], set=["augment.warped=0.2"], name="soft")
    assert named.name == "soft"
    assert read_recipe(named.path, named.overrides).network.initial == "imagenet"


def test_a_recipe_file_is_screened_alone(tmp_path, entries):
    (tmp_path / "mine.toml").write_text("name = 'mine'\n")
    (one,) = entries(recipe=tmp_path / "mine.toml")
    assert (one.name, one.path, one.overrides) == ("mine", tmp_path / "mine.toml", [])


def test_wrong_changes_and_taken_names_are_refused_before_any_training(tmp_path, entries):
    with pytest.raises(RecipeError, match=r"did you mean 'augment\.warped'"):
        entries(set=["augment.warpd=0.2"])
    with pytest.raises(SystemExit, match="for one recipe"):
        entries(name="both")
    (tmp_path / "native.toml").write_text("name = 'mine'\n")
    with pytest.raises(SystemExit, match="add --name"):
        entries(recipe=tmp_path / "native.toml")


def test_the_command_of_a_recipe_is_told_by_its_name(figures):
    assert figures.command_of("native").endswith("../shared/data")
    changed = figures.command_of("native augment.warped=0.2")
    assert changed.endswith("--recipes native --set augment.warped=0.2")
    assert "--name 'mine'" in figures.command_of("mine")


def test_an_ensemble_scores_by_the_mean_logit_of_its_members(figures, monkeypatch):
    def rows(recipe, *p):
        of = {"recipe": recipe, "kind": "photoshop", "source": "photoshop", "spread": "2"}
        return [{**of, "group": i, "label": "fake", "p_fake": str(q)} for i, q in enumerate(p)]

    both = [*rows("shipped", 0.5, 0.9), *rows("native-lite", 0.9, 0.9)]
    monkeypatch.setattr(figures, "read_scores", lambda: both)
    first, second = figures.scores_of("shipped + native-lite")
    assert first.p_fake == pytest.approx(0.75)  # odds 1 and 9 have the geometric mean 3
    assert second.p_fake == pytest.approx(0.9)
    assert first.spread == 2
