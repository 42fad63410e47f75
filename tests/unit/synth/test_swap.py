"""One face in place of another, and who donates."""

import json

import cv2
import numpy as np
import pytest

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.media.image import open_image
from mesoscope.synth.outline import five_points, mesh
from mesoscope.synth.swap import HOWS, DonorIndex, swap_blend

ASTRONAUT = np.array(
    [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]], np.float32
)
HOPPER = np.array(
    [[221.2, 191.0], [308.7, 187.0], [266.2, 237.3], [232.3, 277.1], [302.4, 272.8]], np.float32
)


@pytest.fixture(scope="module")
def hopper():
    from matplotlib import cbook

    return open_image(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).pixels


@pytest.mark.parametrize("how", [*HOWS, None])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_changes_outside_of_the_mask(astronaut_face, hopper, how, seed):
    def make():
        rng = np.random.default_rng(seed)
        return swap_blend(astronaut_face, ASTRONAUT, hopper, HOPPER, rng, how=how)

    made = make()
    assert np.array_equal(made.twin, astronaut_face)
    outside = made.mask == 0
    assert np.array_equal(made.pixels[outside], astronaut_face[outside])
    inside = made.mask > 0.9
    changed = np.abs(made.pixels.astype(int) - astronaut_face)[inside]
    assert changed.mean() > 3
    assert how is None or made.numbers["how"] == how
    json.dumps(made.numbers, allow_nan=False)
    again = make()
    assert np.array_equal(again.pixels, made.pixels)
    assert again.numbers == made.numbers


def test_colours_are_those_of_the_picture(astronaut_face, hopper):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        made = swap_blend(astronaut_face, ASTRONAUT, hopper, HOPPER, rng, hulls=["face"])
        inside = made.mask > 0.9
        means = [p[inside].mean(axis=0) for p in (made.pixels, astronaut_face)]
        assert np.abs(means[0] - means[1]).max() < 20


def test_a_grey_picture_stays_grey(astronaut_face, hopper):
    grey = np.repeat(cv2.cvtColor(astronaut_face, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
    for seed in range(4):
        made = swap_blend(grey, ASTRONAUT, hopper, HOPPER, np.random.default_rng(seed))
        assert np.ptp(made.pixels.astype(int), axis=2).max() <= 3


def test_the_donors_eyes_come_to_lie_on_the_eyes(astronaut_face):
    """The same face larger and turned, with green eyes, whose landmarks are a little off."""
    turn = cv2.getRotationMatrix2D((112, 112), 12, 1.4)
    donor = cv2.warpAffine(astronaut_face, turn, (300, 280), borderMode=cv2.BORDER_REFLECT)
    landmarks = (ASTRONAUT @ turn[:, :2].T + turn[:, 2]).astype(np.float32)
    landmarks[0] += (6, -4)
    for x, y in landmarks[:2].round().astype(int):
        cv2.circle(donor, (int(x), int(y)), 6, (0, 255, 0), -1)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        made = swap_blend(
            astronaut_face, ASTRONAUT, donor, landmarks, rng, how="alpha", hulls=["face"],
            strength=0,
        )  # fmt: skip
        pixels = made.pixels.astype(int)
        green = (pixels[:, :, 1] - pixels[:, :, 0] > 60) & (made.mask > 0.9)
        middle = np.argwhere(green)[:, ::-1].mean(axis=0)
        assert middle == pytest.approx(ASTRONAUT[:2].mean(axis=0), abs=3.5)


def test_a_donor_that_does_not_cover_the_face_is_refused(astronaut_face, hopper):
    beside = HOPPER.copy()
    beside[:, 0] = HOPPER[:, 0] * 0.05 + 200  # a head seen from the side
    with pytest.raises(SourceUnsuitable, match=r"does not cover|differs too much"):
        swap_blend(astronaut_face, ASTRONAUT, hopper, beside, np.random.default_rng(0))


def test_a_donor_lit_from_elsewhere_is_refused(astronaut_face, hopper):
    across = np.linspace(-90, 90, hopper.shape[1])[None, :, None]
    lit = np.clip(hopper * 0.6 + 60 + across, 0, 255).astype(np.uint8)
    left = np.clip(astronaut_face * 0.6 + 60 - np.linspace(-90, 90, 224)[None, :, None], 0, 255)
    with pytest.raises(SourceUnsuitable, match="light"):
        swap_blend(
            left.astype(np.uint8), ASTRONAUT, lit, HOPPER, np.random.default_rng(0), hulls=["face"]
        )


def test_a_donor_in_the_dark_is_refused(astronaut_face, hopper):
    with pytest.raises(SourceUnsuitable, match="light"):
        swap_blend(astronaut_face, ASTRONAUT, hopper // 12, HOPPER, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"how": "glue"}, "how must be one of"), ({"strength": 9}, "strength must lie in")],
)
def test_wrong_options_are_refused(astronaut_face, hopper, options, said):
    rng = np.random.default_rng(0)
    with pytest.raises(OptionError, match=said):
        swap_blend(astronaut_face, ASTRONAUT, hopper, HOPPER, rng, **options)


def shapes(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (ASTRONAUT + rng.normal(0, 3, (5, 2))).astype(np.float32) * rng.uniform(0.5, 3)
        for _ in range(count)
    ]


def test_the_nearest_of_another_group_donates():
    others = shapes(40)
    turn = np.array([[0.9, -0.3], [0.3, 0.9]], np.float32)
    others[17] = ASTRONAUT @ turn.T * 2 + 100  # the very shape, turned
    index = DonorIndex(others, [f"person {i}" for i in range(40)])
    rng = np.random.default_rng(0)
    assert {index.near(ASTRONAUT, "me", rng, nearest=1) for _ in range(5)} == {17}
    own = {index.near(ASTRONAUT, "person 17", rng, nearest=5) for _ in range(50)}
    assert 17 not in own
    assert 1 < len(own) <= 5


def test_a_random_few_of_many_are_looked_at():
    index = DonorIndex(shapes(300), [str(i % 7) for i in range(300)])
    rng = np.random.default_rng(0)
    found = {index.near(ASTRONAUT, "3", rng, candidates=20, nearest=1) for _ in range(40)}
    assert len(found) > 5
    assert all(i % 7 != 3 for i in found)


def test_nobody_donates_to_their_own_group_or_from_far_away():
    rng = np.random.default_rng(0)
    with pytest.raises(SourceUnsuitable, match="no face of another person to take"):
        DonorIndex(shapes(3), ["a"] * 3).near(ASTRONAUT, "a", rng)
    profile = ASTRONAUT * (0.2, 1)
    with pytest.raises(SourceUnsuitable, match="has similar landmarks"):
        DonorIndex([profile], ["b"]).near(ASTRONAUT, "a", rng)


def test_an_index_takes_dense_meshes_and_one_group_a_face():
    index = DonorIndex([mesh(s) for s in shapes(5)], list("abcde"))
    assert len(index) == 5
    assert 0 <= index.near(five_points(mesh(ASTRONAUT)), "z", np.random.default_rng(0)) < 5
    with pytest.raises(OptionError, match="give one each"):
        DonorIndex(shapes(2), ["a"])
