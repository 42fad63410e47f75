from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.data.manifest import Sample
from mesoscope.training.data.augment import follows_its_real, pair_forgeries, pair_sources
from mesoscope.training.data.dataset import training_crop
from mesoscope.training.recipe.keys import AugmentKeys
from mesoscope.training.recipe.recipe import Recipe


def sample(label, group, source="a", name=""):
    return Sample(Path(f"{source}{group}{label}{name}"), label, source, group, "train")


def paired(order, samples):
    return pair_forgeries(np.asarray(order), samples, np.random.default_rng(0)).tolist()


def test_a_forgery_comes_right_behind_its_real_and_nowhere_else():
    samples = [sample(1, "x"), sample(0, "y"), sample(0, "x"), sample(1, "alone"), sample(1, "y")]
    assert paired([0, 1, 2, 3, 4], samples) == [1, 4, 2, 0, 3]


def test_groups_of_two_sources_are_two_groups():
    samples = [sample(0, "x"), sample(1, "x", source="b")]
    assert paired([0, 1], samples) == [0, 1]
    assert follows_its_real(np.array([0, 1]), samples).tolist() == [False, False]


def test_one_of_several_forgeries_is_chosen_by_chance():
    samples = [sample(0, "x"), *(sample(1, "x", name=str(i)) for i in range(3))]
    found = {
        pair_forgeries(np.array([0, 0]), samples, np.random.default_rng(seed)).tolist()[1]
        for seed in range(30)
    }
    assert found == {1, 2, 3}


def test_each_other_real_has_a_fake_of_its_source_behind_it():
    samples = [sample(0, "x"), sample(1, "x"), sample(0, "y"), sample(1, "z"), sample(1, "w"),
               sample(1, "v", source="b"), sample(0, "u", source="b")]  # fmt: skip
    order = np.array([4, 5, 0, 1, 2, 3, 6])
    # The fake 4 comes first and stays: reals take those behind them.
    assert pair_sources(order, samples).tolist() == [4, 5, 0, 1, 2, 3, 6]
    order = np.array([6, 2, 0, 1, 5, 3, 4])
    result = pair_sources(order, samples)
    assert result.tolist() == [6, 5, 2, 3, 0, 1, 4]
    beside = follows_its_real(result, samples, any_group=True)
    assert beside.tolist() == [False, True, False, True, False, True, False]
    assert follows_its_real(result, samples).tolist() == [False] * 5 + [True, False]


samples_strategy = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("xyz"), st.sampled_from("ab")), min_size=1
)


@given(samples_strategy, st.data())
def test_any_order(rows, data):
    samples = [sample(label, group, source) for label, group, source in rows]
    order = data.draw(st.lists(st.integers(0, len(samples) - 1)))
    result = pair_forgeries(np.asarray(order, np.int64), samples, np.random.default_rng(1))
    assert len(result) <= len(order)
    twins = follows_its_real(result, samples)
    with_real = {(s.source, s.group) for s in samples if s.label == 0}
    for place, index in enumerate(result):
        one = samples[index]
        if one.label == 1 and (one.source, one.group) in with_real:
            assert twins[place]
    for place in np.flatnonzero(twins):
        real, fake = samples[result[place - 1]], samples[result[place]]
        assert (real.label, fake.label, real.group) == (0, 1, fake.group)
    by_source = pair_sources(result, samples)
    assert sorted(by_source) == sorted(result)
    kept = follows_its_real(by_source, samples)
    assert kept.sum() >= twins.sum()


def test_a_pair_is_changed_alike_and_its_self_blend_is_made_of_its_own_real(tmp_path):
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (256, 256, 3), np.uint8), (0, 0), 3)
    real, fake = (Sample(tmp_path / f"{i}.png", i, "a", "x", "train") for i in (0, 1))
    for one in (real, fake):
        cv2.imwrite(str(one.path), picture)
    everything = AugmentKeys(
        colour=1.0, rescale=1.0, blur=1.0, noise=1.0, jpeg=1.0, crop_scale_max=1.2
    )
    recipe = replace(Recipe(), augment=everything)
    key = (1, 2, 3)
    crop = training_crop(real, recipe, key)
    assert np.array_equal(crop, training_crop(fake, recipe, key, [real]))
    cv2.imwrite(str(fake.path), np.zeros_like(picture))
    always = replace(recipe, augment=replace(everything, self_blend=1.0))
    assert np.array_equal(crop, training_crop(real, always, key))
    assert training_crop(fake, always, key, [real]).mean() > 50  # and not the black fake
