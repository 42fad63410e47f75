"""Whose parts go into whose face, and what is left out."""

import cv2
import numpy as np
import pytest

from mesoscope.errors import SourceUnsuitable
from mesoscope.synth.edits import EditRecipe
from mesoscope.synth.edits.maker import DonorBook, edit_maker
from mesoscope.synth.reals import Framing, Real, RealFace

SPLICES = EditRecipe().only(("splice",))


@pytest.fixture
def people(tmp_path, astronaut, hopper):
    """Four pictures with landmarks: two of the astronaut, two of Hopper, one of them dark."""

    def real(name, pixels, group, split="train"):
        path = tmp_path / name
        cv2.imwrite(str(path), pixels[:, :, ::-1])
        return Real(path, name, "set", group, split)

    reals = [
        real("a0.png", astronaut.pixels, "collins"),
        real("a1.png", astronaut.pixels, "collins"),
        real("h0.png", hopper.pixels, "hopper"),
        real("h1.png", hopper.pixels // 8, "hopper"),
        real("v0.png", hopper.pixels, "another", "validation"),
    ]
    points = {one.name: astronaut.landmarks for one in reals[:2]}
    points |= {one.name: hopper.landmarks for one in reals[2:]}
    return reals, points


def face_of(real, points):
    pixels = cv2.imread(str(real.path), cv2.IMREAD_COLOR_RGB)
    return RealFace(pixels, points[real.name], real)


def donors_of(book, face, count=12):
    found = [book.donor_for(face, np.random.default_rng(seed)) for seed in range(count)]
    return {None if one is None else one.name.rpartition("/")[2] for one in found}


def test_donors_are_other_people_of_the_split_and_lit_alike(people):
    reals, points = people
    book = DonorBook(reals, points, Framing())
    # Of the two pictures of Hopper the light one is like it; the dark one may come alone.
    found = donors_of(book, face_of(reals[0], points))
    assert found <= {"h0.png", "h1.png"}
    assert "h0.png" in found
    assert donors_of(book, face_of(reals[2], points)) <= {"a0.png", "a1.png"}
    assert donors_of(book, face_of(reals[4], points)) == {None}  # alone in its split


def test_of_several_donors_the_one_with_like_light_is_taken(people):
    reals, points = people
    book = DonorBook(reals, points, Framing())
    bright, dark = (face_of(one, points) for one in (reals[0], reals[1]))
    dark = RealFace(dark.pixels // 8, dark.landmarks, dark.real)
    counts = {}
    for what, face in (("bright", bright), ("dark", dark)):
        names = [book.donor_for(face, np.random.default_rng(seed)).name for seed in range(40)]
        counts[what] = sum(name.endswith("h1.png") for name in names)
    assert counts["dark"] > 25 > 15 > counts["bright"]


def test_donors_of_another_folder_give_to_anybody_but_themselves(people):
    reals, points = people
    book = DonorBook(reals[2:3], points, Framing(), separate=True)
    assert donors_of(book, face_of(reals[0], points)) == {"h0.png"}
    assert donors_of(book, face_of(reals[4], points)) == {"h0.png"}
    assert donors_of(book, face_of(reals[2], points)) == {None}


def test_a_donor_that_cannot_be_read_is_passed_over(people):
    reals, points = people
    reals[2].path.write_bytes(b"\x89PNG broken")
    book = DonorBook(reals, points, Framing())
    assert donors_of(book, face_of(reals[0], points)) <= {"h1.png", None}


def test_the_maker_splices_where_it_can_and_says_why_not(people):
    reals, points = people
    book = DonorBook(reals, points, Framing())
    face = face_of(reals[0], points)
    forgery = edit_maker(SPLICES, book)(face, np.random.default_rng(1))
    assert forgery.numbers["edits"] == ["splice"]
    assert forgery.numbers["splice"]["donor"].endswith(("h0.png", "h1.png"))
    alone = face_of(reals[4], points)
    with pytest.raises(SourceUnsuitable, match=r"v0\.png: no face of another person has similar"):
        edit_maker(SPLICES, book)(alone, np.random.default_rng(1))
    other = edit_maker(EditRecipe(), book)(alone, np.random.default_rng(1))
    assert "splice" not in other.numbers["edits"]
    nobody = RealFace(face.pixels, None, face.real)
    with pytest.raises(SourceUnsuitable, match=r"a0\.png: no face was found"):
        edit_maker(SPLICES, book)(nobody, np.random.default_rng(1))


def test_what_nothing_can_change_is_left_out(people):
    reals, points = people
    flat = RealFace(np.full((224, 224, 3), 90, np.uint8), points["a0.png"], reals[0])
    recipe = EditRecipe().only(("clone",))
    with pytest.raises(SourceUnsuitable, match=r"a0\.png: the edits change nothing"):
        edit_maker(recipe, DonorBook([], {}, Framing()))(flat, np.random.default_rng(0))


def test_a_face_that_is_too_small_is_named(people):
    reals, points = people
    face = face_of(reals[0], points)
    tiny = RealFace(face.pixels, np.float32(face.landmarks * 0.1), face.real)
    with pytest.raises(SourceUnsuitable, match=r"a0\.png: the face is narrower than 16"):
        edit_maker(EditRecipe(), DonorBook([], {}, Framing()))(tiny, np.random.default_rng(0))
