"""Forgeries made of reals while training: which, how many, and the reals beside them."""

from collections import Counter

import cv2
import numpy as np
import pytest

from mesoscope.data.sample import Sample
from mesoscope.errors import SourceUnsuitable
from mesoscope.media.image import open_image
from mesoscope.training.data.augment import follows_its_real, pair_forgeries
from mesoscope.training.data.dataset import draw_epoch, training_crop
from mesoscope.training.data.forging import ForgeryMaker
from mesoscope.training.recipe.keys import AugmentKeys, DataKeys, SynthKeys
from mesoscope.training.recipe.recipe import Recipe

EYES_NOSE_MOUTH = np.array([[66, 85], [122, 82], [96, 120], [72, 150], [122, 147]], np.float32)
STILL = AugmentKeys(crop_scale_min=1.0, flip=0, colour=0, rescale=0, blur=0, noise=0, jpeg=0)


@pytest.fixture
def faces(tmp_path):
    """``faces(reals, fakes=0, source="a")`` → samples of smooth faces, told apart by colour."""

    def make(reals, fakes=0, source="a"):
        y, x = np.mgrid[:192, :192]
        found = []
        for n in range(reals + fakes):
            waves = np.sin(x / (9 + n)) * np.cos(y / (11 + n)) * 40
            picture = np.stack([120 + waves, 100 + waves / 2 + n, 90 + waves / 3], -1)
            path = tmp_path / f"{source}{n}.png"
            cv2.imwrite(str(path), picture.astype(np.uint8))
            found.append(Sample(path, int(n >= reals), source, f"{source}{n}", "train"))
        return found

    return make


def forge(samples, blend=0.0, edit=0.0, points=None):
    if points is None:
        points = np.stack([EYES_NOSE_MOUTH] * len(samples))
    return ForgeryMaker(SynthKeys(blend=blend, edit=edit), samples, points)


def shown(maker, sample, keys, behind=None):
    return [maker.picture(sample, (1, 0, key), behind=behind) for key in keys]


def test_half_of_what_reals_alone_show_is_forged(faces):
    maker = forge(faces(6), blend=0.3, edit=0.2)
    assert Counter(s.label for s in maker.samples) == {0: 6, 1: 6}
    order = draw_epoch(maker.samples, DataKeys(images_per_epoch=40), np.random.default_rng(0))
    assert Counter(maker.samples[i].label for i in order) == {0: 20, 1: 20}


def test_each_forgery_yet_to_be_made_is_of_its_own_real(faces):
    samples = faces(2)
    maker = forge(samples, blend=0.5)
    forgery = next(s for s in maker.samples if s.label == 1 and s.file == samples[0].file)
    plain, other = (open_image(s.path).pixels.astype(int) for s in samples)
    for picture in shown(maker, forgery, range(5)):
        assert picture is not None
        away = [np.abs(picture - one).mean() for one in (plain, other)]
        assert 0 < away[0] < away[1]


def test_shares_are_of_all_that_is_shown(faces):
    *_, fake = samples = faces(4, fakes=4)
    maker = forge(samples, blend=0.1, edit=0.05)
    assert maker.samples == tuple(samples)
    made = sum(p is not None for p in shown(maker, fake, range(300)))
    # Three of ten fakes, as half of what is shown is fake: 90 of 300, four standard deviations.
    assert abs(made - 90) < 32


def test_reals_are_changed_as_a_whole_as_often_as_forgeries_are(faces):
    real, *_ = samples = faces(3)
    for blend, edit in ((0.5, 0.0), (0.0, 0.5)):
        maker = forge(samples, blend, edit)
        forgery = next(s for s in maker.samples if s.label == 1 and s.file == real.file)
        plain = open_image(real.path).pixels
        changed = [(one != plain).any() for one in shown(maker, real, range(60))]
        assert 5 < sum(changed) < 55
        # The corner is never forged: a forgery's says what its twin's does.
        for one, other in zip(
            shown(maker, real, range(20)), shown(maker, forgery, range(20)), strict=True
        ):
            assert (one != other).any()
            if blend:
                assert (one[:8, :8] == other[:8, :8]).all()


def test_pairs_are_a_real_and_its_own_forgery(faces):
    samples = faces(5)
    maker = forge(samples, blend=0.3, edit=0.2)
    chance = np.random.default_rng(2)
    order = pair_forgeries(
        draw_epoch(maker.samples, DataKeys(images_per_epoch=20), chance), maker.samples, chance
    )
    twins = follows_its_real(order, maker.samples)
    assert twins.sum() == 10
    for place in np.flatnonzero(twins):
        real, forgery = maker.samples[order[place - 1]], maker.samples[order[place]]
        assert real.file == forgery.file


def test_a_forgery_in_a_pair_with_fakes_is_of_the_real_before(faces):
    real, other, fake = samples = faces(2, fakes=1)
    maker = forge(samples, blend=0.5)
    plain, third = (open_image(s.path).pixels.astype(int) for s in (other, real))
    for picture in shown(maker, fake, range(5), behind=other):
        assert np.abs(picture - plain).mean() < np.abs(picture - third).mean()


def test_reals_without_landmarks_are_never_forged(faces):
    samples = faces(3)
    points = np.full((3, 5, 2), np.nan, np.float32)
    points[1] = EYES_NOSE_MOUTH
    maker = forge(samples, blend=0.5, points=points)
    assert [s.file for s in maker.samples if s.label == 1] == [samples[1].file]
    bare = forge(samples, blend=0.5, points=np.full((3, 5, 2), np.nan, np.float32))
    assert bare.samples == tuple(samples)


def test_splices_come_from_another_group_or_not_at_all(faces):
    samples = faces(2)
    alone = [Sample(s.path, 0, s.source, "one", "train") for s in samples]
    maker = forge(alone, edit=0.5)
    forgery = next(s for s in maker.samples if s.label == 1)
    assert all(p is not None for p in shown(maker, forgery, range(10)))


def test_the_same_key_shows_the_same(faces):
    samples = faces(3)
    recipe = Recipe(augment=STILL, synth=SynthKeys(blend=0.3, edit=0.2))
    crops = []
    for _ in range(2):
        maker = forge(samples, blend=0.3, edit=0.2)
        crops.append([training_crop(s, recipe, (1, 2, 3), forge=maker) for s in maker.samples])
    for one, other in zip(*crops, strict=True):
        assert one.shape == (256, 256, 3)
        assert (one == other).all()


def test_a_face_too_small_gives_way_to_another(faces):
    samples = faces(3)
    points = np.stack([EYES_NOSE_MOUTH] * 3)
    points[0] = points[0] / 40 + 90
    maker = forge(samples, blend=0.5, points=points)
    tiny = next(s for s in maker.samples if s.label == 1 and s.file == samples[0].file)
    assert all(p is not None for p in shown(maker, tiny, range(6)))
    with pytest.raises(SourceUnsuitable, match="too small"):
        shown(forge(samples[:1], blend=0.5, points=points[:1]), tiny, range(1))
    with_fakes = faces(1, fakes=1, source="b")
    kept = forge(with_fakes, blend=0.5, points=np.stack([points[0]] * 2))
    assert shown(kept, with_fakes[1], range(3)) == [None] * 3
