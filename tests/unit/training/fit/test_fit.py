"""The parts of the training loop that can be seen alone; the whole runs in tests/integration."""

from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image

from mesoscope.data.manifest import Sample
from mesoscope.detection.detector import Detector
from mesoscope.errors import RunError
from mesoscope.models.file import find_model, read_card
from mesoscope.training.data.dataset import Survey
from mesoscope.training.fit.distil import auc_by_source, scores_of, some_inputs, to_input
from mesoscope.training.fit.loop import (
    train_epoch,
)
from mesoscope.training.fit.position import EpochPosition, average, loss_of
from mesoscope.training.recipe.keys import OptimiseKeys
from mesoscope.training.recipe.recipe import Recipe, read_recipe

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def fabric():
    return Fabric(accelerator="cpu", devices=1)


def test_norms_know_their_statistics_after_one_step_and_keep_the_momentum_later(fabric):
    at = EpochPosition(Recipe(), fabric)
    norm = at.net.block1.norm
    x = torch.rand(4, 3, 256, 256)
    at.net.train()
    at.update_norm_momentum(0)
    a = at.net.block1.activation(x)
    at.net(x)
    torch.testing.assert_close(norm.running_mean, a.mean((0, 2, 3)))
    at.update_norm_momentum(50)
    assert norm.momentum == pytest.approx(1 / 51)
    at.update_norm_momentum(10_000)
    assert norm.momentum == 0.01


def test_norms_learn_no_statistics_of_mixed_pictures(fabric):
    at = EpochPosition(Recipe(), fabric)
    norm = at.net.block1.norm
    before = norm.running_mean.clone()
    at.net.train()
    at.update_norm_momentum(0, mixed=True)
    at.net(torch.rand(4, 3, 256, 256))
    assert torch.equal(norm.running_mean, before)


def test_weights_of_a_model_file_begin_with_its_answers_and_its_pictures_statistics(
    fabric, tmp_path
):
    rng = np.random.default_rng(3)
    samples = []
    for i in range(6):
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        path = tmp_path / f"{i}.png"
        small.resize((256, 256), Image.Resampling.BICUBIC).save(path)
        samples.append(Sample(path, i % 2, "made", str(i), "train"))
    recipe = read_recipe(ROOT / "recipes/fine-tune.toml")
    at = EpochPosition(recipe, fabric)
    assert float(at.net.stem_norm.running_mean.abs().sum()) == 0
    before = scores_of(at.mean, samples, 1.0, fabric)
    at.restore_norms(some_inputs(recipe, samples, fabric))
    assert float(at.net.stem_norm.running_mean.abs().sum()) > 0
    assert scores_of(at.mean, samples, 1.0, fabric) == pytest.approx(before, abs=2e-3)
    # The recipe describes the first network of the default model, which is also shipped alone.
    card = read_card(find_model("mesoscope-medium"))
    verdicts = Detector("mesoscope-medium", faces="whole").check_many([s.path for s in samples])
    odds = np.array([v.p_fake / (1 - v.p_fake) for v in verdicts])
    logits = card.calibration.scale * before + card.calibration.shift
    assert np.log(odds) == pytest.approx(logits, abs=5e-3)


def test_a_position_comes_back_whole(fabric):
    recipe = Recipe()
    one, other = EpochPosition(recipe, fabric), EpochPosition(recipe, fabric)
    one.net.train()
    one.net(torch.rand(2, 3, 256, 256)).sum().backward()
    one.optimiser.step()
    average(one.mean, one.net, 0.5)
    other.restore(one.tensors())
    for key, value in one.tensors().items():
        assert torch.equal(value, other.tensors()[key]), key


def test_the_mean_of_weights_moves_by_its_decay(fabric):
    at = EpochPosition(Recipe(), fabric)
    before = at.mean.dense2.weight.clone()
    with torch.no_grad():
        at.net.dense2.weight += 1
    average(at.mean, at.net, 0.9)
    torch.testing.assert_close(at.mean.dense2.weight, before + 0.1)


def test_pictures_become_rgb_in_0_to_1():
    pixels = torch.zeros(1, 4, 4, 3, dtype=torch.uint8)
    pixels[0, 1, 2] = torch.tensor([255, 51, 0], dtype=torch.uint8)
    x = to_input(pixels)
    assert x.shape == (1, 3, 4, 4)
    torch.testing.assert_close(x[0, :, 1, 2], torch.tensor([1.0, 0.2, 0.0]))


def test_losses_are_those_of_the_smoothed_labels():
    logits, labels = torch.tensor([2.0, -1.0]), torch.tensor([1.0, 0.0])
    p = torch.sigmoid(logits)
    soft = torch.tensor([0.95, 0.05])
    keys = OptimiseKeys(label_smoothing=0.1)
    expected = -(soft * p.log() + (1 - soft) * (1 - p).log()).mean()
    torch.testing.assert_close(loss_of(logits, labels, keys), expected)
    squared = OptimiseKeys(loss="mse", label_smoothing=0.0)
    torch.testing.assert_close(loss_of(logits, labels, squared), ((p - labels) ** 2).mean())


def test_auc_by_source_leaves_out_what_lacks_a_class(tmp_path):
    samples = [
        Sample(tmp_path, label, source, "g", "validation")
        for source, label in (("a", 0), ("a", 1), ("b", 1), ("b", 1))
    ]
    assert auc_by_source(samples, np.array([0.1, 0.2, 0.3, 0.4])) == {"a": 1.0}


class Devices:
    """As much of Fabric as an epoch asks for, of one device among several; nothing is exchanged."""

    def __init__(self, rank, world):
        self.global_rank, self.world_size = rank, world

    def to_device(self, x):
        return x

    def backward(self, loss):
        loss.backward()


class Quiet:
    def step(self, **_what):
        pass


def keys_of_crops(monkeypatch, fabric, rank, world):
    """The seeds of all crops that one device of several makes in an epoch."""
    seen = []

    def crop(sample, _recipe, key, *_, **_view):
        seen.append((sample.path, key))
        return np.zeros((256, 256, 3), np.uint8)

    monkeypatch.setattr("mesoscope.training.fit.loop.training_crop", crop)
    recipe = Recipe(optimise=OptimiseKeys(batch_size=2 * world))
    samples = tuple(Sample(f"{i}.png", i % 2, "a", str(i), "train") for i in range(8))
    data = Survey(train=samples, validation=())
    at = EpochPosition(recipe, fabric)
    train_epoch(at, recipe, data, Devices(rank, world), Quiet(), epoch=0)
    return seen


def test_devices_do_not_draw_the_same_changes(monkeypatch, fabric):
    alone = dict(keys_of_crops(monkeypatch, fabric, 0, 1))
    halves = [dict(keys_of_crops(monkeypatch, fabric, rank, 2)) for rank in (0, 1)]
    assert len(halves[0]) == len(halves[1]) == 4
    assert halves[0] | halves[1] == alone, "several devices train on what one would"
    assert len(set(alone.values())) == 8


def test_more_devices_than_pictures_are_refused(monkeypatch, fabric):
    with pytest.raises(RunError, match="9 devices for 8 pictures"):
        keys_of_crops(monkeypatch, fabric, 0, 9)
