"""Recipes of edits: read whole, written out again, and refused with a reason."""

import dataclasses

import numpy as np
import pytest

from mesoscope.errors import OptionError, RecipeError
from mesoscope.synth.edits import EDITS, STRENGTHS, EditRecipe, Span, read_edit_recipe
from mesoscope.synth.edits.recipe import strength_of


@pytest.fixture
def read(tmp_path):
    def reading(text):
        path = tmp_path / "edits.toml"
        path.write_text(text, "utf-8")
        return read_edit_recipe(path)

    return reading


def test_an_empty_recipe_is_the_default(read):
    assert read("") == EditRecipe()


def test_what_is_written_reads_the_same(read):
    recipe = dataclasses.replace(
        EditRecipe(strength_max=0.5),
        splice=dataclasses.replace(EditRecipe().splice, parts=("nose", "mouth"), chance=1.0),
    )
    assert read(recipe.to_toml()) == recipe


def test_whole_numbers_do_where_fractions_are_wanted(read):
    assert read("[liquify]\nchance = 1\n").liquify.chance == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[liquify]\nchanse = 1", "unknown key 'liquify.chanse': did you mean 'liquify.chance'?"),
        ("[liqify]\nchance = 1", "unknown key 'liqify': did you mean 'liquify'?"),
        ("stops_max = 1", "unknown key 'stops_max': did you mean 'dodge_burn.stops_max'?"),
        ("zzz = 1", "unknown key 'zzz': known are strength_min"),
        ("liquify = 3", "liquify must be a section, got 3"),
        ("[liquify]\nchance = 'often'", "liquify.chance must be float, got str 'often'"),
        ("[liquify]\nmoves_most = 2.5", "liquify.moves_most must be int, got float 2.5"),
        ("[liquify]\nchance = true", "liquify.chance must be float, got bool True"),
        ("[liquify]\nchance = 1.2", "liquify.chance must lie in 0..1, got 1.2"),
        ("[liquify]\nchance = nan", "liquify.chance must lie in 0..1, got nan"),
        ("[liquify]\ndisplacement_max = 0.4", "displacement_max must lie in 0..0.15"),
        ("[liquify]\ndisplacement_min = 0.1", "displacement_min is above liquify.displacement_max"),
        ("[liquify]\nmoves_most = 0", "liquify.moves_most must be 1 to 50, got 0"),
        ("[clone]\nsize_min = 0", "clone.size_min must be above 0"),
        ("[splice]\nparts = ['noze']", "splice.parts: 'noze' is no part: did you mean 'nose'?"),
        ("[splice]\nparts = []", "splice.parts must name at least one part"),
        ("[splice]\nparts = 'nose'", "splice.parts must be a list of strings, got 'nose'"),
        ("strength_min = 0.8\nstrength_max = 0.2", "in order, got 0.8 and 0.2"),
        ("edits_most = 0", "edits_most must lie in 1..7, got 0"),
        ("least_change = -1", "least_change must lie in 0..20, got -1"),
        ("[liquify", "not TOML"),
    ],
)
def test_what_does_not_belong_is_named(read, text, said):
    with pytest.raises(RecipeError) as caught:
        read(text)
    assert said in str(caught.value)
    assert "edits.toml: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_without_any_chance_is_refused(read):
    text = "".join(f"[{name}]\nchance = 0\n" for name in EDITS)
    with pytest.raises(RecipeError, match="no edit has a chance"):
        read(text)


def test_a_missing_recipe_and_one_that_is_no_text(tmp_path):
    with pytest.raises(RecipeError, match="no such recipe"):
        read_edit_recipe(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_edit_recipe(tmp_path / "bytes.toml")


def test_only_leaves_the_others_out():
    recipe = EditRecipe().only(("splice", "whiten"))
    assert {name for name, chance in recipe.chances().items() if chance} == {"splice", "whiten"}
    with pytest.raises(OptionError, match="'splise' is no edit: did you mean 'splice'"):
        recipe.only(("splise",))
    with pytest.raises(OptionError, match="nothing is no edit"):
        recipe.only(())
    with pytest.raises(OptionError, match="liquify have no chance"):
        recipe.only(("liquify",))


@pytest.mark.parametrize(
    ("text", "span"),
    [("low", STRENGTHS["low"]), ("0.5", Span(0.5, 0.5)), ("0.2-0.6", Span(0.2, 0.6))],
)
def test_strengths(text, span):
    assert strength_of(text) == span
    assert EditRecipe().stronger(span).strength == span


@pytest.mark.parametrize("text", ["", "hi", "2", "0.6-0.2", "-0.1", "0.1-0.2-0.3", "nan"])
def test_what_is_no_strength(text):
    with pytest.raises(OptionError, match="must be low, medium, high"):
        strength_of(text)


def test_a_span_draws_from_its_stretch():
    rng = np.random.default_rng(0)
    drawn = [Span(0.25, 0.5).draw(rng, 10, 20) for _ in range(200)]
    assert 12.5 <= min(drawn) < 12.8
    assert 14.7 < max(drawn) <= 15


KEYS = [
    f"{top}.{name}" if name else top
    for top, value in dataclasses.asdict(EditRecipe()).items()
    for name in (value if isinstance(value, dict) else [""])
]


@pytest.mark.parametrize("key", KEYS)
def test_no_value_of_any_key_ends_in_anything_but_a_recipe_or_one_line(tmp_path, key):
    path = tmp_path / "edits.toml"
    section, _, name = key.rpartition(".")
    odd = ["-1", "0", "1e9", "1000000000", "9" * 30, "nan", "inf", "-inf", "-0.5", "1.5", "''"]
    for value in [*odd, "'x'", "true", "[]", "['a']", "[1]", "{}"]:
        path.write_text(f"{f'[{section}]' if section else ''}\n{name} = {value}\n", "utf-8")
        try:
            recipe = read_edit_recipe(path)
        except RecipeError:
            with pytest.raises(RecipeError, match=rf"\A[^\n]*{name.rpartition('_')[0]}[^\n]*\Z"):
                read_edit_recipe(path)
            continue
        assert type(recipe) is EditRecipe
        kept = dataclasses.asdict(recipe)
        number = kept[section][name] if section else kept[name]
        assert isinstance(number, tuple) or 0 <= number <= 50
