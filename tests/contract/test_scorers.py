"""What every ``Scorer`` keeps to."""

import numpy as np
import pytest

from mesoscope.detection.scorer import OnnxScorer, check_pictures, self_check
from mesoscope.errors import ModelError, ModelMismatch
from mesoscope.models.file import shipped


@pytest.fixture(params=sorted(shipped()), scope="module")
def scorer(request):
    return OnnxScorer(shipped()[request.param])


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(1).integers(0, 256, (5, 256, 256, 3), np.uint8)


def test_shapes_types_and_ranges(scorer, crops):
    scores = scorer.score(crops, heat=True)
    assert scores.p_fake.shape == scores.logit.shape == (5,)
    assert scores.p_fake.dtype == scores.logit.dtype == scores.heat.dtype == np.float32
    assert ((scores.p_fake >= 0) & (scores.p_fake <= 1)).all()
    assert (scores.heat >= 0).all()
    assert scores.heat.shape[0] == 5
    assert scorer.score(crops).heat is None


def test_p_fake_is_the_logistic_of_the_logit(scorer, crops):
    scores = scorer.score(crops)
    assert scores.p_fake == pytest.approx(1 / (1 + np.exp(-scores.logit)), abs=1e-5)


def test_a_batch_answers_as_its_crops_do_alone(scorer, crops):
    together = scorer.score(crops, heat=True)
    for n, crop in enumerate(crops):
        alone = scorer.score(crop[None], heat=True)
        assert alone.logit[0] == pytest.approx(together.logit[n], abs=1e-4)
        assert alone.heat[0] == pytest.approx(together.heat[n], abs=1e-4)


def test_many_threads_may_ask_at_once(scorer, crops):
    from concurrent.futures import ThreadPoolExecutor

    expected = scorer.score(crops).p_fake
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: scorer.score(crops).p_fake, range(8)):
            assert answer == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 255, 256, 3), np.uint8),
        np.zeros((256, 256, 3), np.uint8),
        np.zeros((1, 3, 256, 256), np.uint8),
        np.zeros((1, 256, 256, 3), np.float32),
    ],
)
def test_other_shapes_and_types_are_refused(scorer, wrong):
    with pytest.raises(ModelError, match=r"takes \(n, 256, 256, 3\) uint8"):
        scorer.score(wrong)


def test_it_answers_as_its_card_says(scorer):
    assert self_check(scorer) < 1e-4
    assert scorer.model_id.startswith(f"{scorer.card.name}@")
    assert scorer.card.label_convention == "p_fake: fake = 1, real = 0"


def test_a_card_of_another_model_is_found_out(scorer):
    import dataclasses

    class Other:
        card = dataclasses.replace(scorer.card, self_check=(0.1, 0.2, 0.3, 0.4))
        model_id = scorer.model_id
        score = staticmethod(scorer.score)

    with pytest.raises(ModelMismatch, match="differ from its card"):
        self_check(Other())


def test_the_check_pictures_are_those_of_the_formula():
    pictures = check_pictures()
    assert pictures.shape == (4, 256, 256, 3)
    assert pictures.dtype == np.uint8
    n, i, j, c = 2, 100, 37, 1
    wave = np.sin((n + 1) * (0.031 * i + 0.017 * j * (c + 1)) + c)
    assert pictures[n, i, j, c] == np.rint(255 * (0.5 + 0.5 * wave))
