"""Autoencoders of real faces: trained by seed, kept, and what their reconstructions change."""

import logging

import cv2
import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from mesoscope.data.sample import Sample
from mesoscope.errors import DatasetError, RecipeError
from mesoscope.training.data.dataset import Survey
from mesoscope.training.data.reconstruct import (
    AUTOENCODERS,
    Reconstructor,
    _through,
    load,
    packed,
    prepare_reconstructing,
    train_autoencoders,
)
from mesoscope.training.nets.autoencoder import KINDS, Autoencoder
from mesoscope.training.recipe.keys import AugmentKeys
from mesoscope.training.recipe.recipe import Recipe

FIVE = np.array(
    [[91.5, 100], [134.2, 102.6], [113.3, 126.4], [89.9, 138.5], [132.2, 140.4]], np.float32
)


class Quiet:
    def count(self, items, total, what):
        return items


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Six real pictures of smooth waves, one fake and one picture that is too small."""
    folder = tmp_path_factory.mktemp("reals")
    y, x = np.mgrid[:96, :120]
    found = []
    for n in range(8):
        waves = np.sin(x / (7 + n)) * np.cos(y / (9 + n)) * 60
        picture = np.stack([120 + waves, 100 + waves / 2 + 5 * n, 90 - waves / 3], -1)
        picture = picture[:32] if n == 7 else picture
        cv2.imwrite(str(folder / f"{n}.png"), picture.clip(0, 255).astype(np.uint8))
        found.append(Sample(folder / f"{n}.png", int(n == 6), "a", str(n), "train"))
    return found


@pytest.fixture(scope="module")
def nets(samples):
    return train_autoencoders(samples, 1, Quiet(), steps=2)


def weights(nets):
    return [value for net in nets for value in net.state_dict().values()]


def test_kinds_differ_in_upsampling_and_depth():
    assert {keys.upsampling for keys in KINDS} == {"nearest", "bilinear", "transposed", "shuffle"}
    assert {keys.shrink for keys in KINDS} == {2, 4, 8}
    assert len({keys.name for keys in KINDS}) == len(KINDS)


@pytest.mark.parametrize("keys", KINDS, ids=lambda keys: keys.name)
def test_a_code_is_smaller_and_a_picture_keeps_its_size(keys):
    net = Autoencoder(keys).eval()
    x = torch.rand(2, 3, 48, 64)
    with torch.inference_mode():
        code, made = net.encoder(x), net(x)
    assert code.shape == (2, keys.code, 48 // keys.shrink, 64 // keys.shrink)
    assert code.numel() < x.numel()
    assert made.shape == x.shape


def test_the_seed_decides_the_weights(samples, nets):
    again = train_autoencoders(samples, 1, Quiet(), steps=2)
    other = train_autoencoders(samples, 2, Quiet(), steps=2)
    assert all(torch.equal(a, b) for a, b in zip(weights(nets), weights(again), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(nets), weights(other), strict=True))


def test_training_improves_the_reconstruction_and_logs_it(samples, caplog, monkeypatch):
    monkeypatch.setattr("mesoscope.training.data.reconstruct.KINDS", KINDS[:1])
    pixels = cv2.cvtColor(cv2.imread(samples[0].file), cv2.COLOR_BGR2RGB)
    errors = []
    for steps in (1, 40):
        with caplog.at_level(logging.INFO, "mesoscope"):
            (net,) = train_autoencoders(samples, 1, Quiet(), steps=steps)
        errors.append(np.abs(_through(net, pixels).astype(int) - pixels).mean())
    assert errors[1] < 0.8 * errors[0]
    assert "nearest4" in caplog.text
    assert "PSNR in dB" in caplog.text


def test_training_leaves_torchs_threads_and_random_numbers(samples):
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    train_autoencoders(samples, 1, Quiet(), steps=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_pictures_smaller_than_a_crop_cannot_train(samples):
    with pytest.raises(DatasetError, match="64 pixels on each side"):
        train_autoencoders([samples[6], samples[7]], 1, Quiet(), steps=1)


@pytest.mark.parametrize("landmarks", [None, FIVE], ids=["ellipse", "landmarks"])
def test_only_what_lies_in_the_mask_changes_and_the_seed_decides_it(
    nets, astronaut_face, landmarks
):
    maker, before = Reconstructor(nets), astronaut_face.copy()
    hulls = set()
    for seed in range(12):
        made, again = (
            maker.reconstruct(astronaut_face, np.random.default_rng(seed), landmarks)
            for _ in range(2)
        )
        outside = made.mask == 0
        assert np.array_equal(made.pixels[outside], before[outside])
        assert not np.array_equal(made.pixels, before)
        assert np.array_equal(made.twin, before)
        assert np.array_equal(made.pixels, again.pixels)
        hulls.add(made.numbers["hull"])
        assert outside.any() == (made.numbers["hull"] != "picture")
    assert np.array_equal(astronaut_face, before)
    assert len(hulls) > 1
    assert "picture" in hulls


def test_large_pictures_are_reconstructed_in_tiles_without_seams(nets):
    rng = np.random.default_rng(0)
    large = cv2.GaussianBlur(rng.integers(0, 256, (530, 470, 3), dtype=np.uint8), (0, 0), 2)
    for net in nets:
        made = _through(net.eval(), large)
        assert made.shape == large.shape
        # The rows about the seam, from a tile that has it in its middle.
        middle = _through(net, np.ascontiguousarray(large[288:, :256]))
        assert np.abs(made[376:472, :128].astype(int) - middle[88:184, :128]).max() <= 1


def test_a_reconstruction_has_the_colours_of_its_picture(nets, astronaut_face):
    for net in nets:  # hardly trained
        made = cv2.blur(_through(net.eval(), astronaut_face).astype(np.float32), (65, 65))
        assert np.abs(made - cv2.blur(astronaut_face.astype(np.float32), (65, 65))).mean() < 10


def test_weights_are_kept_and_read_again(nets, tmp_path):
    (tmp_path / AUTOENCODERS).write_bytes(packed(nets))
    held = load(tmp_path / AUTOENCODERS)
    assert all(torch.equal(a, b) for a, b in zip(weights(nets), weights(held), strict=True))


def test_a_run_takes_the_autoencoders_of_another(nets, tmp_path, samples):
    given, run = tmp_path / "given", tmp_path / "run"
    given.mkdir()
    (given / AUTOENCODERS).write_bytes(packed(nets))
    recipe = Recipe(augment=AugmentKeys(reconstructed=0.1, autoencoders=str(given)))
    fabric = Fabric(accelerator="cpu", devices=1)
    data = Survey(train=tuple(samples), validation=())
    prepare_reconstructing(data, recipe, run, fabric, Quiet())
    assert (run / AUTOENCODERS).read_bytes() == (given / AUTOENCODERS).read_bytes()
    Reconstructor.of_run(run)
    prepare_reconstructing(data, Recipe(), tmp_path / "without", fabric, Quiet())
    assert not (tmp_path / "without").exists()


@pytest.mark.parametrize("content", [None, b"", b"nonsense", "others"])
def test_other_files_are_refused_in_one_line(tmp_path, nets, content):
    path = tmp_path / "given.safetensors"
    if content == "others":
        content = packed(nets[:3])
    if content is not None:
        path.write_bytes(content)
    recipe = Recipe(augment=AugmentKeys(reconstructed=0.1, autoencoders=str(path)))
    fabric = Fabric(accelerator="cpu", devices=1)
    with pytest.raises(RecipeError, match=r"given\.safetensors: .*give a run folder") as caught:
        prepare_reconstructing(
            Survey(train=(), validation=()), recipe, tmp_path / "run", fabric, Quiet()
        )  # fmt: skip
    assert "\n" not in str(caught.value)
