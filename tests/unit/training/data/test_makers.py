"""What replaces fakes during training: by which chance, of which real, and what stays as it was."""

import dataclasses
from collections import Counter

import cv2
import numpy as np
import pytest

from mesoscope.data.sample import Sample, open_sample
from mesoscope.errors import OptionError, RecipeError
from mesoscope.training.data.dataset import training_crop
from mesoscope.training.data.forging import self_blend
from mesoscope.training.data.makers import Makers
from mesoscope.training.data.reconstruct import Reconstructor
from mesoscope.training.nets.autoencoder import KINDS, Autoencoder
from mesoscope.training.recipe.keys import AugmentKeys
from mesoscope.training.recipe.recipe import Recipe, read_recipe

FIVE = np.array([[66, 85], [122, 82], [96, 120], [72, 150], [122, 147]], np.float32)
STILL = AugmentKeys(crop_scale_min=1.0, flip=0, colour=0, rescale=0, blur=0, noise=0, jpeg=0)


@pytest.fixture
def faces(tmp_path):
    """Four smooth real pictures, told apart by colour, and a black fake."""
    y, x = np.mgrid[:192, :192]
    found = []
    for n in range(5):
        waves = np.sin(x / (9 + n)) * np.cos(y / (11 + n)) * 40
        picture = np.stack([120 + waves, 100 + waves / 2 + n, 90 + waves / 3], -1)
        cv2.imwrite(str(tmp_path / f"{n}.png"), picture.astype(np.uint8) * (n < 4))
        found.append(Sample(tmp_path / f"{n}.png", int(n == 4), "a", f"a{n}", "train"))
    return found


@pytest.fixture(scope="module")
def reconstructor():
    return Reconstructor([Autoencoder(KINDS[0])])


def makers(samples, reconstructor=None, *, known=True, **chances):
    points = np.stack([FIVE if known else FIVE * np.nan] * len(samples))
    return Makers(dataclasses.replace(STILL, **chances), samples, points, reconstructor)


def made(maker, reals, keys=range(10)):
    return [maker.made(reals, np.random.default_rng(key)) for key in keys]


@pytest.mark.parametrize("name", ["warped", "reconstructed", "averaged", "swapped"])
def test_a_maker_forges_the_real_it_names_and_harms_no_file(faces, reconstructor, name):
    reals, before = faces[:4], [open_sample(s) for s in faces]
    maker = makers(faces, reconstructor, **{name: 1.0})
    found = [one for one in made(maker, reals) if one is not None]
    assert len(found) >= 5
    for pixels, real in found:
        away = [np.abs(pixels.astype(int) - plain).mean() for plain in before[:4]]
        assert real.label == 0
        assert away[reals.index(real)] > 0
    for sample, plain in zip(faces, before, strict=True):
        assert np.array_equal(open_sample(sample), plain)


def test_chances_are_those_of_the_recipe(faces, reconstructor):
    maker = makers(faces, reconstructor, self_blend=0.2, warped=0.3, reconstructed=0.1)
    drawn = Counter(maker._drawn(share) for share in np.arange(0.0005, 1, 0.001))
    assert drawn == Counter({"": 400, "warped": 300, "self_blend": 200, "reconstructed": 100})


def test_self_blends_are_drawn_as_ever_whatever_else_is_asked_for(faces):
    alone = makers(faces, self_blend=0.4)
    beside = makers(faces, self_blend=0.4, warped=0.6)
    for key in range(20):
        rng = np.random.default_rng(key)
        forged = rng.random() < 0.4
        real = faces[int(rng.integers(4))] if forged else None
        one, other = (m.made(faces[:4], np.random.default_rng(key)) for m in (alone, beside))
        if not forged:
            assert one is None
            continue
        expected = self_blend(open_sample(real), rng)
        for pixels, of in (one, other):
            assert of == real
            assert np.array_equal(pixels, expected)


def test_recipes_without_the_keys_draw_as_before(faces):
    recipe = Recipe(augment=AugmentKeys(self_blend=0.5))
    fake = faces[4]
    for key in range(6):
        rng = np.random.default_rng((7, key, 1))
        forged = rng.random() < 0.5
        crop = training_crop(fake, recipe, (7, key), faces[:4])
        assert (crop.mean() > 40) == forged, "the fake itself is black"


def test_a_pair_has_one_key_and_differs_in_the_forgery_alone(faces):
    real, fake = faces[0], faces[4]
    everything = AugmentKeys(
        colour=1.0, rescale=1.0, blur=1.0, noise=1.0, jpeg=0.0, warped=1.0, crop_scale_min=0.9
    )
    recipe = Recipe(augment=everything)
    maker = Makers(everything, faces, np.stack([FIVE] * 5))
    key = (1, 2, 3)
    plain = training_crop(real, recipe, key, [real], makers=maker)
    assert np.array_equal(plain, training_crop(real, recipe, key)), "reals stay as they are"
    forged = training_crop(fake, recipe, key, [real], makers=maker)
    apart = np.abs(plain.astype(int) - forged)
    assert apart.max() > 3
    assert apart[:12].max() == 0


def test_without_landmarks_warps_take_an_ellipse_and_no_other_face_is_taken(faces):
    assert all(made(makers(faces, known=False, warped=1.0), faces[:4]))
    for name in ("averaged", "swapped"):
        assert not any(made(makers(faces, known=False, **{name: 1.0}), faces[:4]))
    assert all(made(Makers(dataclasses.replace(STILL, warped=1.0)), faces[:4]))


@pytest.mark.parametrize("name", ["averaged", "swapped"])
def test_no_face_of_the_own_group_is_taken(faces, name):
    alone = [dataclasses.replace(s) for s in faces]
    one = [Sample(s.file, s.label, s.source, "one", s.split) for s in alone]
    assert not any(made(makers(one, **{name: 1.0}), one[:4]))


def test_reconstructions_need_autoencoders(faces):
    with pytest.raises(OptionError, match="trained autoencoders"):
        makers(faces, reconstructed=0.1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["augment.warped=1.5"], "augment.warped must lie in 0..1"),
        (["augment.averaged=-0.1"], "augment.averaged must lie in 0..1"),
        (["augment.swapped=1.1"], "augment.swapped must lie in 0..1"),
        (["augment.swapped=0.7", "augment.averaged=0.7"], "must be at most 1 together"),
        (["augment.warped=0.7", "augment.self_blend=0.7"], "must be at most 1 together"),
        (["augment.autoencoders='runs/a'"], "needs augment.reconstructed above 0"),
        (["augment.warpd=0.1"], "did you mean 'augment.warped'"),
    ],
)
def test_wrong_keys_are_refused_in_one_line(tmp_path, overrides, message):
    (tmp_path / "r.toml").write_text("name = 'r'\n")
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "r.toml", overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_keys_at_zero_leave_a_recipes_digest():
    plain = Recipe()
    for name in ("warped", "reconstructed", "averaged", "swapped"):
        for chance, same in ((0.0, True), (0.1, False)):
            other = dataclasses.replace(plain, augment=AugmentKeys(**{name: chance}))
            assert (other.sha256() == plain.sha256()) == same
