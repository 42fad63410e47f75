"""What holds for all edits, alone and together."""

import dataclasses
import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.synth.edits import EDITS, Donor, EditRecipe, edit, twin
from mesoscope.synth.outline import mesh

SEEDS = range(6)
LIGHT = [name for name in EDITS if name not in ("liquify", "splice")]


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_changes_its_mask_alone(astronaut, forge, check, name):
    for seed in SEEDS:
        before = astronaut.pixels.copy()
        forgery = check(forge(astronaut, name, seed), astronaut.pixels)
        assert (astronaut.pixels == before).all()
        assert forgery.maker == "edit"
        assert forgery.numbers["edits"] == [name]
        assert 0 < (forgery.mask > 0).mean() < 0.8
        changed = (forgery.pixels != forgery.twin).any(2)
        assert changed[forgery.mask > 0.5].mean() > 0.3
        assert forgery.numbers["change"] > 0


@pytest.mark.parametrize("name", EDITS)
def test_the_seed_decides(astronaut, forge, name):
    one, again, other = (forge(astronaut, name, seed) for seed in (7, 7, 8))
    assert (one.pixels == again.pixels).all()
    assert (one.mask == again.mask).all()
    assert one.numbers == again.numbers
    assert (one.pixels != other.pixels).any()


@pytest.mark.parametrize("name", EDITS)
def test_numbers_are_json(astronaut, forge, name):
    numbers = forge(astronaut, name, 3).numbers
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers


@pytest.mark.parametrize("name", [n for n in EDITS if n != "liquify"])
def test_the_twin_is_the_picture(astronaut, forge, name):
    assert (forge(astronaut, name).twin == astronaut.pixels).all()


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("size", [(0.5, 0.5), (2.3, 2.3), (0.6, 1.3), (1.5, 0.9)])
def test_any_size_and_aspect(astronaut, forge, check, name, size):
    face = astronaut.scaled(*size)
    forgery = check(forge(face, name, 2), face.pixels)
    assert forgery.mask.any()


# Left, top, right and bottom of what is left of the picture: landmarks leave it on each side.
CUTS = [(92, 0, 224, 224), (0, 101, 224, 224), (0, 0, 133, 224), (0, 0, 224, 139),
        (100, 104, 128, 138)]  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("box", CUTS)
def test_landmarks_near_and_beyond_the_border(astronaut, forge, check, name, box):
    face = astronaut.cut(*box)
    for seed in range(3):
        check(forge(face, name, seed), face.pixels)


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures(astronaut, forge, check, name, value):
    face = astronaut.filled(value)
    for seed in range(3):
        forgery = check(forge(face, name, seed), face.pixels)
        assert forgery.mask.any()


@pytest.mark.parametrize("name", EDITS)
def test_dark_and_grey_pictures(astronaut, forge, check, name):
    dark = dataclasses.replace(astronaut, pixels=astronaut.pixels // 16)
    grey = np.repeat(astronaut.pixels.mean(2, keepdims=True).astype(np.uint8), 3, 2)
    for pixels in (dark.pixels, grey):
        face = dataclasses.replace(astronaut, pixels=pixels)
        assert check(forge(face, name, 1), pixels).mask.any()


def test_a_turned_face(astronaut, forge, check):
    upside_down = dataclasses.replace(
        astronaut,
        pixels=np.ascontiguousarray(astronaut.pixels[::-1, ::-1]),
        landmarks=np.float32(223 - astronaut.landmarks),
    )
    for name in EDITS:
        assert check(forge(upside_down, name, 4), upside_down.pixels).mask.any()


point = st.tuples(st.floats(-40, 264, width=32), st.floats(-40, 264, width=32))


@given(st.lists(point, min_size=5, max_size=5), st.integers(0, 2**32), st.sampled_from(EDITS))
def test_any_landmarks_give_a_forgery_or_a_reason(astronaut, forge, check, landmarks, seed, name):
    face = dataclasses.replace(astronaut, landmarks=np.float32(landmarks))
    try:
        forgery = forge(face, name, seed)
    except (OptionError, SourceUnsuitable):
        return  # the reasons have tests of their own
    check(forgery, face.pixels)


def test_meshes_do_as_well(astronaut, donor, check):
    for count in (68, 81):
        points = mesh(astronaut.landmarks)[:count]
        rng = np.random.default_rng(3)
        check(edit(astronaut.pixels, points, rng, donor=donor), astronaut.pixels)


def test_several_edits_in_their_order(astronaut, donor, check):
    recipe = EditRecipe(edits_most=len(EDITS))
    sure = {n: dataclasses.replace(getattr(recipe, n), chance=1.0) for n in EDITS}
    recipe = dataclasses.replace(recipe, **sure)
    rng = np.random.default_rng(5)
    forgery = edit(astronaut.pixels, astronaut.landmarks, rng, recipe=recipe, donor=donor)
    check(forgery, astronaut.pixels)
    assert forgery.numbers["edits"] == list(EDITS)
    assert set(EDITS) < set(forgery.numbers)
    assert (forgery.twin != astronaut.pixels).any()  # went through the neutral warp


def test_chances_are_met_and_the_number_of_edits_bounded(astronaut, donor):
    recipe = EditRecipe(edits_most=2, least_change=0)
    small = astronaut.scaled(0.4, 0.4)
    seen = [
        edit(
            small.pixels, small.landmarks, np.random.default_rng(seed), recipe=recipe, donor=donor
        ).numbers["edits"]
        for seed in range(150)
    ]
    assert {len(names) for names in seen} == {1, 2}
    share = np.mean(["splice" in names for names in seen])
    assert 0.3 < share < 0.65  # its chance is a half, less where the bound threw it out
    assert {name for names in seen for name in names} == set(EDITS)


def test_no_donor_no_splice(astronaut):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        forgery = edit(astronaut.pixels, astronaut.landmarks, rng)
        assert "splice" not in forgery.numbers["edits"]
    with pytest.raises(OptionError, match="no donor"):
        edit(
            astronaut.pixels, astronaut.landmarks, np.random.default_rng(0),
            recipe=EditRecipe().only(("splice",)),
        )  # fmt: skip


def test_a_picture_that_hardly_changed_is_edited_again(astronaut):
    recipe = EditRecipe(least_change=1.5).only(("inpaint", "retouch", "clone", "dodge_burn"))
    once = dataclasses.replace(recipe, edits_most=1, least_change=0.0)
    more = dataclasses.replace(recipe, edits_most=1)
    counts = []
    for seed in range(10):
        first, second = (
            edit(astronaut.pixels, astronaut.landmarks, np.random.default_rng(seed), recipe=one)
            for one in (once, more)
        )
        assert first.numbers["edits"][0] == second.numbers["edits"][0]
        enough = second.numbers["change"] >= 1.5 or len(second.numbers["edits"]) == 4
        assert enough
        counts.append(len(second.numbers["edits"]) - len(first.numbers["edits"]))
    assert max(counts) > 0


@pytest.mark.parametrize("name", LIGHT)
def test_stronger_changes_more(astronaut, forge, name):
    means = [
        np.mean([forge(astronaut, name, s, strength=span).numbers["change"] for s in range(12)])
        for span in ((0.0, 0.0), (1.0, 1.0))
    ]
    assert means[0] < means[1]


def test_threads_make_the_same(astronaut, donor):
    def make(seed):
        rng = np.random.default_rng(seed)
        return edit(astronaut.pixels, astronaut.landmarks, rng, donor=donor).pixels

    wanted = [make(seed) for seed in range(8)]
    found = [None] * 8

    def work(seed):
        found[seed] = make(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(wanted, found, strict=True):
        assert (one == other).all()


def test_a_real_is_resampled_as_often_as_twins_are(astronaut):
    pixels = astronaut.pixels
    recipe = dataclasses.replace(EditRecipe(), edits_most=1)
    moved = [
        (twin(pixels, np.random.default_rng(seed), recipe=recipe) != pixels).any()
        for seed in range(60)
    ]
    assert 0.05 < np.mean(moved) < 0.6
    never = EditRecipe().only(("retouch",))
    assert (twin(pixels, np.random.default_rng(0), recipe=never) == pixels).all()


@pytest.mark.parametrize(
    ("landmarks", "error", "said"),
    [
        (np.zeros((4, 2)), OptionError, "landmarks"),
        (np.full((5, 2), np.nan), OptionError, "finite"),
        (np.ones((5, 2)) * 50, (OptionError, SourceUnsuitable), None),
        ([[900, 900], [940, 900], [920, 920], [905, 940], [935, 940]], SourceUnsuitable, "outside"),
        ([[50, 50], [54, 50], [52, 52], [50, 54], [54, 54]], SourceUnsuitable, "narrower than 16"),
    ],
)
def test_landmarks_of_no_face(astronaut, landmarks, error, said):
    with pytest.raises(error, match=said):
        edit(astronaut.pixels, np.float32(landmarks), np.random.default_rng(0))


def test_a_donor_with_bad_landmarks_is_named(astronaut, hopper):
    away = Donor(hopper.pixels, hopper.landmarks + 2000, "hopper.jpg")
    with pytest.raises(SourceUnsuitable, match=r"donor hopper\.jpg: the landmarks lie about"):
        edit(
            astronaut.pixels, astronaut.landmarks, np.random.default_rng(0),
            recipe=EditRecipe().only(("splice",)), donor=away,
        )  # fmt: skip
