"""Recipes: what is read, what is refused, and what is written back."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import RecipeError
from mesoscope.training.recipe.keys import AugmentKeys, OptimiseKeys
from mesoscope.training.recipe.recipe import Recipe, read_recipe
from mesoscope.types.names import ARCHITECTURES

RECIPES = sorted((Path(__file__).parents[4] / "recipes").glob("*.toml"))


@pytest.fixture
def read(tmp_path):
    def read(text="", *overrides):
        path = tmp_path / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        return read_recipe(path, overrides)

    return read


def refused(read, *args):
    with pytest.raises(RecipeError) as caught:
        read(*args)
    assert "\n" not in str(caught.value)
    assert "recipe.toml" in str(caught.value) or "`overrides`" in str(caught.value)
    return str(caught.value)


def test_an_empty_recipe_is_the_defaults(read):
    assert read() == Recipe()


def test_keys_are_taken_and_the_others_keep_their_defaults(read):
    recipe = read(
        'seed = 7\n[optimise]\nepochs = 3\nloss = "mse"\n[data]\nbalance_classes = false\n'
    )
    assert recipe == dataclasses.replace(
        Recipe(seed=7),
        optimise=OptimiseKeys(epochs=3, loss="mse"),
        data=dataclasses.replace(Recipe().data, balance_classes=False),
    )


@pytest.mark.parametrize(
    ("text", "unknown", "nearest"),
    [
        ("[optimise]\nepoch = 3", "optimise.epoch", "optimise.epochs"),
        ("[optimise]\nlearning_rat = 3", "optimise.learning_rat", "optimise.learning_rate"),
        ("[augment]\ncolor = 0.3", "augment.color", "augment.colour"),
        ("[optimize]\nepochs = 3", "optimize", "optimise"),
        ("epochs = 3", "epochs", "optimise.epochs"),
        ("sed = 3", "sed", "seed"),
        ("[data]\ndropout = 0.5", "data.dropout", "network.dropout"),
    ],
)
def test_an_unknown_key_and_the_nearest_right_one(read, text, unknown, nearest):
    assert f"unknown key {unknown!r}: did you mean {nearest!r}?" in refused(read, text)


def test_an_unknown_key_like_none_lists_all(read):
    message = refused(read, "zzqq = 1")
    assert "known are name, seed" in message
    assert "optimise.ema_decay" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('seed = "1"', "seed must be int, got str '1'"),
        ("seed = 1.5", "seed must be int, got float 1.5"),
        ("seed = true", "seed must be int, got bool True"),
        ("precision = 32", "precision must be str, got int 32"),
        ("[augment]\nflip = true", "augment.flip must be float, got bool True"),
        ("[augment]\nflip = [0.5]", "augment.flip must be float, got list [0.5]"),
        ("[data]\nbalance_classes = 1", "data.balance_classes must be bool, got int 1"),
        ("optimise = 3", "optimise must be a section, got 3"),
        ("[name]\nx = 1", "name must be str, got dict"),
    ],
)
def test_a_wrong_type_names_key_and_value(read, text, message):
    assert message in refused(read, text)


def test_a_whole_number_stands_for_a_float(read):
    flip = read("[augment]\nflip = 1").augment.flip
    assert (flip, type(flip)) == (1.0, float)
    assert read("[augment]\nflip = 1").sha256() == read("[augment]\nflip = 1.0").sha256()


@pytest.mark.parametrize(
    ("section", "key", "bad"),
    [
        ("", "name", ["''", "'a b'", "'../x'", "'a/b'", "'é'"]),
        ("", "precision", ["'16'", "'fp32'"]),
        ("network", "architecture", ["'xception'", "''"]),
        ("network", "dropout", [-0.1, 1.0, "nan"]),
        ("data", "images_per_epoch", [-1]),
        ("data", "source_power", [-0.1, 1.1]),
        ("data", "crop_margin", [0.9, 3.1, "inf"]),
        ("data", "face_margin", [0.9, 4.1, "nan"]),
        ("data", "further_margins", [[0.9], [1.5, 4.1], [1.5] * 9]),
        ("data", "read", ["'disk'"]),
        ("data", "buffer", [0]),
        ("augment", "flip", [-0.1, 1.1, "nan"]),
        ("augment", "reframe", [-0.1, 1.1]),
        ("augment", "reframe_margin_min", [0.4, 4.1]),
        ("augment", "reframe_margin_max", [0.9, 4.1]),
        ("augment", "crop_scale_min", [0, 1.01]),
        ("augment", "crop_scale_max", [0.99, 2.01]),
        ("augment", "jpeg_quality_min", [0, 101]),
        ("augment", "rescale_min", [0, 2]),
        ("augment", "blur_sigma_max_px", [0, 21]),
        ("augment", "noise_sigma_max", [-1, 101]),
        ("optimise", "epochs", [0, -1]),
        ("optimise", "batch_size", [1]),
        ("optimise", "learning_rate", [0, -1, "inf", "nan"]),
        ("optimise", "weight_decay", [-1e-9, "inf"]),
        ("optimise", "warmup_epochs", [-1, "inf"]),
        ("optimise", "loss", ["'hinge'"]),
        ("optimise", "label_smoothing", [-0.1, 0.5]),
        ("optimise", "ema_decay", [-0.1, 1]),
        ("optimise", "patience", [-1]),
        ("decide", "target_error", [0, 0.51]),
        ("decide", "calibration", ["'isotonic'"]),
        ("decide", "rule", ["'none'"]),
        ("decide", "least_decided", [0, 1.1]),
    ],
)
def test_values_out_of_range_are_refused(read, section, key, bad):
    for value in bad:
        message = refused(read, f"[{section}]\n{key} = {value}" if section else f"{key} = {value}")
        assert f"{section}.{key}".strip(".") in message
        assert "must" in message


def test_the_default_recipe_stands_within_its_own_rules(read):
    assert read(Recipe().to_toml()) == Recipe()


# --- --set


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("optimise.epochs=3", "optimise", "epochs", 3),
        ("augment.flip = 0.25", "augment", "flip", 0.25),
        ("optimise.loss=mse", "optimise", "loss", "mse"),
        ("optimise.loss='mse'", "optimise", "loss", "mse"),
        ("data.balance_classes=false", "data", "balance_classes", False),
        ("optimise.learning_rate=1e-4", "optimise", "learning_rate", 1e-4),
    ],
)
def test_set_overrides_the_file(read, override, section, key, value):
    recipe = read("[optimise]\nepochs = 99\n", override)
    assert getattr(getattr(recipe, section), key) == value


def test_set_reaches_the_top_and_the_last_one_counts(read):
    assert read("", "seed=5", "name=mine", "seed=6") == Recipe(name="mine", seed=6)
    assert read("", "notes=a = b").notes == "a = b"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "write key=value"),
        ("=3", "write key=value"),
        ("seed.x=3", "seed is a value, not a section"),
        ("optimise.epoch=3", "did you mean 'optimise.epochs'"),
        ("optimise.epochs=many", "must be int, got str 'many'"),
        ("optimise.epochs=0", "must lie in 1..100000, got 0"),
        ("optimise=3", "must be a section"),
    ],
)
def test_a_bad_set_is_refused(read, override, message):
    assert message in refused(read, "seed = 1", override)


# --- files


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(RecipeError, match="no such recipe: recipes/ holds"):
        read_recipe(tmp_path / "gone.toml")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path)
    (tmp_path / "bad.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_text("name = \n")
    with pytest.raises(RecipeError, match=r"not TOML: .*line 1"):
        read_recipe(tmp_path / "bad.toml")


def test_a_byte_order_mark_is_no_obstacle(tmp_path):
    (tmp_path / "r.toml").write_text("\ufeffseed = 3", encoding="utf-8")
    assert read_recipe(tmp_path / "r.toml").seed == 3


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_the_committed_recipes(path, tmp_path):
    recipe = read_recipe(path)
    model = path.stem
    for later in ("-framed", "-shared", "-long"):  # trainings of a model
        model = model.removesuffix(later)
    assert recipe.name == ("mine" if model == "fine-tune" else model)
    (tmp_path / "resolved.toml").write_text(recipe.to_toml(), encoding="utf-8")
    again = read_recipe(tmp_path / "resolved.toml")
    assert again == recipe
    assert again.sha256() == recipe.sha256()


@pytest.mark.parametrize(
    ("recipe", "model"),
    [
        ("mesoscope-small", "mesoscope-small"),
        ("meso4-framed", "meso4"),
        ("mesoinception4-framed", "mesoinception4"),
    ],
)
def test_keys_that_came_later_leave_digests_of_recipes_as_they_were(recipe, model):
    """Else an unchanged recipe would be another one to ``--resume``."""
    from mesoscope.models.file import find_model, read_card

    path = next(p for p in RECIPES if p.stem == recipe)
    assert read_recipe(path).sha256() == read_card(find_model(model)).recipe_sha256


def test_the_networks_are_those_that_can_be_built():
    from mesoscope.training.nets import NETWORKS

    assert set(ARCHITECTURES) == set(NETWORKS)


def test_there_are_committed_recipes():
    assert {"meso4", "mesoinception4"} <= {path.stem for path in RECIPES}


# --- written back

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
chances = st.floats(0, 1)


@given(texts, texts, st.integers(0, 2**31 - 1), chances, st.floats(1e-9, 10), st.booleans())
def test_what_is_written_is_read_back_the_same(notes, licence, seed, chance, rate, balance):
    from tempfile import TemporaryDirectory

    recipe = Recipe(
        notes=f'first line\nsecond \\ line "quoted"\r\n\t{notes}',
        licence=licence,
        seed=seed,
        augment=AugmentKeys(flip=chance),
        optimise=OptimiseKeys(learning_rate=rate),
        data=dataclasses.replace(Recipe().data, balance_classes=balance),
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "r.toml"
        path.write_bytes(recipe.to_toml().encode())
        again = read_recipe(path)
    assert again == recipe
    assert again.sha256() == recipe.sha256()


def test_pairs_are_not_streamed(read):
    text = "[data]\npairs = true\nread = 'stream'"
    assert "data.pairs and data.read = 'stream' both make the order" in refused(read, text)


def test_how_pictures_are_read_changes_the_digest_of_a_stream_alone(read):
    plain = read("").sha256()
    assert plain == read("[data]\nbuffer = 9").sha256()
    streamed = {read(f"[data]\nread = 'stream'\nbuffer = {n}").sha256() for n in (8, 9)}
    assert len(streamed) == 2
    assert plain not in streamed


def test_margins_may_be_whole_numbers(read):
    assert read("[data]\nfurther_margins = [1, 1.5]").data.further_margins == (1.0, 1.5)
    assert "list of numbers" in refused(read, "[data]\nfurther_margins = ['wide']")


def test_what_reframing_could_do_changes_the_digest_of_reframing_alone(read):
    plain = read("").sha256()
    assert plain == read("[augment]\nreframe_margin_max = 1.5").sha256()
    assert plain == read("[data]\nface_margin = 1.3").sha256()
    others = {"[data]\nface_margin = 1.5", "[augment]\nreframe = 0.5"}
    others |= {"[augment]\nreframe = 0.5\nreframe_margin_max = 1.5"}
    assert len({plain, *(read(text).sha256() for text in others)}) == 4


def test_the_digest_tells_recipes_apart():
    assert Recipe().sha256() == Recipe().sha256()
    assert len(Recipe().sha256()) == 64
    others = [Recipe(seed=2), Recipe(notes="x"), Recipe(augment=AugmentKeys(flip=0.4))]
    assert len({r.sha256() for r in [Recipe(), *others]}) == 4


# --- every key, with values that nobody means

KEYS = [
    f"{top}.{name}" if name else top
    for top, value in Recipe().to_dict().items()
    for name in (value if isinstance(value, dict) else [""])
]
ODD = [
    "-1", "0", "1", "100000", "1000000000", "9223372036854775807", "99999999999999999999999999",
    "nan", "inf", "-inf", "1e400", "-0.5", "1.5", "''", "'x'", "'\\u001b[31m'", "true", "[]",
    "[-1]",
    "[0]", "[nan]", "[1, 2, 3]", "['a']", "{}", "{ a = -1 }", "{ a = 0 }", "1979-05-27", "[[1]]",
]  # fmt: skip


def test_every_number_has_a_range():
    from mesoscope.training.recipe.ranges import RANGES, numbers

    assert {key for key, _ in numbers(Recipe().to_dict())} <= set(RANGES)
    assert set(RANGES) <= set(KEYS)
    for key, value in numbers(Recipe().to_dict()):
        low, high = RANGES[key]
        assert low <= value <= high


@pytest.mark.parametrize("key", KEYS)
def test_no_value_of_any_key_ends_in_anything_but_a_recipe_or_one_line(read, key):
    from mesoscope.training.recipe.ranges import RANGES, numbers

    for value in ODD:
        try:
            recipe = read("", f"{key}={value}")
        except RecipeError:
            message = refused(read, "", f"{key}={value}")
            assert key.rpartition(".")[2] in message or "synth" in message
            continue
        for name, number in numbers(recipe.to_dict()):
            assert RANGES[name][0] <= number <= RANGES[name][1]


@given(st.sampled_from(KEYS), st.one_of(st.integers(), st.floats(), st.text(max_size=9)))
def test_any_value_of_any_key(tmp_path_factory, key, value):
    from mesoscope.files.recipe_file import to_toml

    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    section, _, name = key.rpartition(".")
    path.write_text(to_toml({section: {name: value}} if section else {name: value}), "utf-8")
    try:
        recipe = read_recipe(path)
    except RecipeError:
        with pytest.raises(RecipeError, match=r"\A[^\n]*\Z"):
            read_recipe(path)
        return
    assert read_recipe_again(recipe, path) == recipe


def read_recipe_again(recipe, path):
    path.write_text(recipe.to_toml(), "utf-8")
    return read_recipe(path)


def test_files_that_are_no_recipes_end_in_one_line(read, tmp_path):
    assert "larger than 1 MB" in refused(read, "#" * (2 << 20))
    assert "not TOML" in refused(read, "a = " + "[" * 5000)
    assert "not TOML" in refused(read, "seed = " + "9" * 10_000)
    assert len(refused(read, f"[network]\nwidths = [{'1, ' * 9000}]\nexpanded = ['a']")) < 400
