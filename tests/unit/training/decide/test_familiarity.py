"""The guard: what it sums up, what it takes as near, and that the model file answers as it does."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.data.manifest import read_datasets
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import OnnxScorer, check_pictures, self_check
from mesoscope.errors import DatasetError
from mesoscope.models.file import read_card
from mesoscope.training.data.dataset import Survey, plain_crop
from mesoscope.training.decide.familiarity import (
    Familiarity,
    cut_at,
    filters,
    fit,
    fit_normal,
    floors,
    summary,
    train_crops,
)
from mesoscope.training.export.onnx_export import ExportedNetwork, export, stamp
from mesoscope.training.nets import build
from mesoscope.training.recipe.keys import AugmentKeys
from mesoscope.training.recipe.recipe import Recipe
from mesoscope.types import Calibration, Guard, ModelCard

CALIBRATION = Calibration(1.5, 0.2, "Platt scaling", "drawn faces")


def noise(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 256, 256, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(3)
    return build(Recipe().network).eval()


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_face):
    import cv2

    root = tmp_path_factory.mktemp("drawn")
    for number in range(40):
        split, label = ("train", "validation")[number % 4 == 3], ("real", "fake")[number % 2]
        split = "validation" if number >= 28 else "train"
        folder = root / split / label
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{number:02}.jpg"), make_face(number)[:, :, ::-1])
    samples = read_datasets([root])
    return Survey(*(tuple(s for s in samples if s.split == n) for n in ("train", "validation")))


@pytest.fixture(scope="module")
def guard(net, data):
    return fit(net, data, Recipe())


@pytest.fixture(scope="module")
def model(net, data, guard, tmp_path_factory):
    out = tmp_path_factory.mktemp("guarded") / "model.onnx"
    card = ModelCard("guarded", "meso4")
    faces = np.stack([plain_crop(s, 1.0) for s in data.validation[:2]])
    export(net, out, card, CALIBRATION, check_crops=faces, guard=guard)
    return out


def test_filters_see_colour_or_one_frequency():
    kernels = filters().double()
    assert kernels.shape == (16, 3, 4, 4)
    grey = torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64)
    answers = torch.nn.functional.conv2d(grey, kernels)[0, :, 0, 0]
    assert answers[0] == pytest.approx(0.5)  # luma
    assert answers[1:].abs().max() < 1e-6
    luma = kernels[3:].sum(1).flatten(1)
    gram = luma @ luma.T
    assert (gram - torch.diag(torch.diag(gram))).abs().max() < 1e-6  # no two see the same


def test_summary_is_as_long_as_said_and_knows_flat_from_smooth():
    a = torch.rand(2, 5, 8, 8)
    x = torch.full((2, 3, 256, 256), 0.5)
    x[1] += torch.linspace(0, 0.2, 256)
    flat, smooth = summary(x, a, filters(), floors())
    assert flat.shape == (35 + 2 * 5,)
    assert torch.isfinite(flat).all()
    assert smooth[3 + 3] - flat[3 + 3] > 1  # the lowest frequency, in natural logarithms
    assert torch.allclose(flat[-10:-5], a[0].mean((1, 2)))
    assert torch.allclose(flat[-5:], a[0].square().mean((1, 2)).sqrt())


def test_distance_is_mahalanobis_where_there_are_many_rows():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6)) + 2 * np.eye(6)
    x = rng.normal(size=(20_000, 6)) @ root.T + 5
    normal = fit_normal(x)
    assert normal.shrinkage == 0.01
    spread = x.std(0)
    shrunk = 0.99 * np.corrcoef(x.T) + 0.01 * np.eye(6)
    for z in rng.normal(size=(5, 6)) * 20:
        d = (z - x.mean(0)) / spread
        wanted = np.sqrt(d @ np.linalg.solve(shrunk, d))
        found = np.linalg.norm((z - normal.mean) @ normal.whiten)
        assert found == pytest.approx(wanted, rel=1e-6)


def test_few_rows_and_a_column_that_never_changes():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(10, 60))
    x[:, 7] = 3.0
    normal = fit_normal(x)
    assert np.isfinite(normal.whiten).all()
    assert normal.shrinkage > 0.3
    usual = x[0] - normal.mean
    moved = usual.copy()
    moved[7] += 1
    assert np.linalg.norm(moved @ normal.whiten) > 3 * np.linalg.norm(usual @ normal.whiten)


@pytest.mark.parametrize("bad", [np.ones((1, 4)), np.full((5, 4), np.nan)])
def test_what_cannot_be_fitted_is_refused(bad):
    with pytest.raises(DatasetError, match="at least two training pictures"):
        fit_normal(bad)


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=40),
    st.floats(0, 0.5),
    st.integers(0, 1000),
)
def test_the_cut_is_the_lowest_that_keeps_its_promise(distances, share, seed):
    d = np.array(distances, float)
    w = np.random.default_rng(seed).uniform(0.1, 1, len(d))
    cut, beyond = cut_at(d, w, share)
    assert beyond <= share + 1e-9
    assert beyond == pytest.approx(w[d > cut].sum() / w.sum(), abs=1e-9)
    lower = d[d < cut].max(initial=-1)
    if lower > 0:  # a cut just under the next smaller distance would let too many out
        assert w[d >= lower].sum() / w.sum() > share


def test_fit_refuses_hardly_any_validation_face_and_says_so(guard, net, data):
    crops = np.stack([plain_crop(s, 1.0) for s in data.validation])
    x = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        far = guard(x, net.forward_features(x))
    assert far.shape == (12,)
    assert (far <= 1).all()  # of twelve, 1 % is none
    assert far.max() > 0.9
    assert guard.record.false_refusals == 0
    assert guard.record.unfamiliar_above == 1
    assert "56 crops" in guard.record.fitted_on
    assert "12 validation faces" in guard.record.fitted_on
    assert "67 statistics" in guard.record.rule


def test_fit_gives_the_same_again(guard, net, data):
    again = fit(net, data, Recipe())
    assert torch.equal(again.whiten, guard.whiten)
    assert again.record == guard.record


def test_a_network_trained_on_windows_knows_whole_crops(net, data):
    recipe = Recipe(augment=AugmentKeys(window_px=160, native=0.5))
    guard = fit(net, data, recipe)
    assert "56 crops" in guard.record.fitted_on
    assert {crop.shape for crop in train_crops(data, recipe)[1]} == {(256, 256, 3)}


def test_the_file_answers_as_torch_does(model, net, guard, data):
    faces = np.stack([plain_crop(s, 1.0) for s in data.validation[:3]])
    crops = np.concatenate([faces, check_pictures(), noise(1)])
    with torch.no_grad():
        *_, wanted = ExportedNetwork(net, CALIBRATION, guard).eval()(torch.from_numpy(crops))
    scorer = OnnxScorer(model)
    found = scorer.score(crops).unfamiliar
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-3)
    for n, crop in enumerate(crops):
        assert scorer.score(crop[None], heat=True).unfamiliar[0] == pytest.approx(
            found[n], rel=1e-3
        )
    assert (found[:3] <= 1).all()
    assert (found[3:] > 1).all()
    self_check(scorer)


def test_the_card_holds_the_record_and_stamping_keeps_it(model, guard, tmp_path):
    assert read_card(model).guard == guard.record
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(model.read_bytes())
    card = stamp(copy, dataclasses.replace(read_card(copy), name="other", guard=None))
    assert card.guard == guard.record
    assert read_card(copy).guard == guard.record


def test_a_verdict_on_noise_is_inconclusive_and_the_guard_can_be_left_out(model):
    verdict = Detector(model, faces="whole").check(noise(1)[0])
    assert (verdict.label, verdict.reason) == ("inconclusive", "unfamiliar")
    assert verdict.faces[0].unfamiliar > 1
    assert verdict.to_dict()["faces"][0]["unfamiliar"] > 1
    free = Detector(model, faces="whole", guard=False, threshold=0.5).check(noise(1)[0])
    assert free.label == ("fake" if free.p_fake >= 0.5 else "real")
    assert free.faces[0].unfamiliar == pytest.approx(verdict.faces[0].unfamiliar)


def test_a_file_without_a_guard_answers_as_before(net, tmp_path):
    out = tmp_path / "plain.onnx"
    card = ModelCard("plain", "meso4", guard=Guard())
    export(net, out, card, CALIBRATION, check_crops=noise(1))
    assert read_card(out).guard is None
    assert OnnxScorer(out).score(noise(1)).unfamiliar is None
    verdict = Detector(out, faces="whole").check(noise(1)[0])
    assert verdict.reason != "unfamiliar"
    assert "unfamiliar" not in verdict.to_dict()["faces"][0]


def test_the_guard_is_copied_and_not_changed(net, guard):
    before = guard.whiten.clone()
    judging = ExportedNetwork(net, CALIBRATION, guard)
    judging.guard.whiten.zero_()
    assert torch.equal(guard.whiten, before)
    assert isinstance(judging.guard, Familiarity)
