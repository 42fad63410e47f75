"""Training: losses and penalties by their formulas, a toy set learnt, runs that go on exactly."""

import contextlib
import json
import logging
import os
import pickle

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mesoscope.errors import DatasetError, ModelError, OptionError, RunError
from mesoscope.media.image import open_image
from mesoscope.synth.stylegan import training_set
from mesoscope.synth.stylegan.distance import Cloud, Features, cloud_of, frechet
from mesoscope.synth.stylegan.fit import CHECKPOINT, fit
from mesoscope.synth.stylegan.layers import Discriminator, batch_deviation
from mesoscope.synth.stylegan.loading import load_generator
from mesoscope.synth.stylegan.sampling import generate
from mesoscope.synth.stylegan.training_step import (
    StepPosition,
    TrainSettings,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    path_lengths,
    path_penalty,
)

CPU = torch.device("cpu")
TINY = {
    "size": 8, "style_dim": 8, "mapping_layers": 2, "channels_max": 8, "batch": 4,
    "channel_multiplier": 0.01,
}  # fmt: skip


class Quiet:
    def __init__(self):
        self.lines, self.records, self.steps = [], [], 0

    def step(self, *, shown, total, losses):
        self.steps += 1

    def snapshot(self, record):
        self.records.append(record)

    def count(self, items, total):
        return items


@pytest.fixture
def folder(tmp_path):
    """40 pictures of 12 px, all of about one orange."""
    root = tmp_path / "reals"
    root.mkdir()
    rng = np.random.default_rng(0)
    for number in range(40):
        pixels = np.clip(rng.normal((200, 90, 30), 6, (12, 12, 3)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(root / f"{number:02}.png"), pixels[:, :, ::-1])
    return root


def train(root, run, *, kimg, resume=False, snapshot=0.02, distance=0, watcher=None, **changes):
    watcher = watcher or Quiet()
    with heard(watcher.lines):
        fit(
            root, run, TrainSettings(**TINY | changes), watcher, kimg=kimg, snapshot_kimg=snapshot,
            device=CPU, resume=resume, distance_pictures=distance,
        )  # fmt: skip
    return watcher


@contextlib.contextmanager
def heard(lines):
    """What the library logs, as lines."""

    class Lines(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    handler, logger = Lines(), logging.getLogger("mesoscope")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_without_a_watcher_snapshots_are_lines_of_the_log(folder, tmp_path):
    lines = []
    with heard(lines):
        fit(
            folder, tmp_path / "run", TrainSettings(**TINY), kimg=0.008, snapshot_kimg=0.004,
            device=CPU, distance_pictures=0,
        )  # fmt: skip
    assert [line.partition(":")[0] for line in lines[-2:]] == [
        "0.004 thousand pictures", "0.008 thousand pictures",
    ]  # fmt: skip


def test_losses():
    real, fake = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0])
    softplus = lambda x: np.log1p(np.exp(x))  # noqa: E731 - a formula
    wanted = softplus(-real.numpy()).mean() + softplus(fake.numpy()).mean()
    assert discriminator_loss(real, fake).item() == pytest.approx(wanted, rel=1e-5)
    assert generator_loss(fake).item() == pytest.approx(softplus(-fake.numpy()).mean(), rel=1e-5)


def test_gradient_penalty_of_a_plane():
    slope = torch.randn(3, 2, 2)
    pictures = torch.randn(5, 3, 2, 2, requires_grad=True)
    logits = (pictures * slope).sum((1, 2, 3))
    assert gradient_penalty(logits, pictures).item() == pytest.approx(
        float(slope.square().sum()), rel=1e-5
    )


def test_path_lengths_of_a_linear_generator():
    matrix = torch.randn(4, 3 * 2 * 2)
    styles = torch.randn(5, 2, 4, requires_grad=True)
    pictures = (styles.sum(1) @ matrix).reshape(5, 3, 2, 2)
    noise = torch.randn_like(pictures)
    wanted = (noise.flatten(1) / 2 @ matrix.T).norm(dim=1)
    lengths = path_lengths(pictures, styles, noise)
    torch.testing.assert_close(lengths, wanted)
    penalty, mean = path_penalty(lengths, torch.tensor(1.0))
    assert mean.item() == pytest.approx(1 + 0.01 * (float(wanted.mean()) - 1))
    assert penalty.item() == pytest.approx(float((wanted - mean).square().mean()), rel=1e-5)


def test_batch_deviation():
    x = torch.randn(6, 3, 2, 2, dtype=torch.float64)
    out = batch_deviation(x).numpy()  # 6 is divided by 3 and not by 4: two groups of three
    assert out.shape == (6, 1, 2, 2)
    groups = x.numpy().reshape(3, 2, 3, 2, 2)
    wanted = np.sqrt(groups.var(0) + 1e-8).mean((1, 2, 3))
    np.testing.assert_allclose(out[:, 0, 0, 0], np.tile(wanted, 3))
    assert batch_deviation(torch.ones(4, 3, 2, 2)).max() < 1e-3


def test_discriminator_is_the_papers(reference):
    torch.manual_seed(0)
    net = Discriminator(TrainSettings(**TINY).config()).double()
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    t = {name: value.numpy() for name, value in net.state_dict().items()}
    lrelu = lambda v: np.sqrt(2) * reference.lrelu(v)  # noqa: E731 - a formula

    def conv(v, name, *, down=False):
        weight = t[f"{name}.weight"]
        k = weight.shape[2]
        weight = weight / np.sqrt(weight[0].size)
        bias = t[f"{name}.bias"][:, None, None] if f"{name}.bias" in t else 0
        if down:
            v = reference.fir(v, reference.SMOOTH, 1 + k // 2, 1 + k // 2)
            return reference.conv(v, weight, pad=0, stride=2) + bias
        return reference.conv(v, weight, pad=k // 2) + bias

    v = lrelu(conv(x.numpy()[0], "from_rgb"))
    through = lrelu(conv(lrelu(conv(v, "blocks.0.first")), "blocks.0.second", down=True))
    v = (through + conv(v, "blocks.0.skip", down=True)) / np.sqrt(2)
    v = np.concatenate([v, np.full((1, 4, 4), 1e-4)])  # one picture: no deviation but the epsilon
    v = lrelu(conv(v, "conv")).ravel()
    v = lrelu(reference.linear(v, t["hidden.weight"], t["hidden.bias"]))
    wanted = reference.linear(v, t["out.weight"], t["out.bias"])
    np.testing.assert_allclose(net(x).detach().numpy(), wanted, rtol=1e-9)


def test_frechet_distance_of_known_clouds():
    one = Cloud(np.zeros(2), np.diag([4.0, 1.0]), 10)
    two = Cloud(np.array([3.0, 0.0]), np.diag([1.0, 9.0]), 10)
    assert frechet(one, two) == pytest.approx(9 + (2 - 1) ** 2 + (1 - 3) ** 2)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = Cloud(turn @ two.mean, turn @ two.covariance @ turn.T, 10)
    assert frechet(Cloud(one.mean, turn @ one.covariance @ turn.T, 10), turned) == pytest.approx(14)


def test_cloud_is_the_mean_and_covariance():
    rows = torch.randn(50, 4) + 2
    cloud = cloud_of(rows.split(7))
    np.testing.assert_allclose(cloud.mean, rows.numpy().mean(0), rtol=1e-5)
    np.testing.assert_allclose(cloud.covariance, np.cov(rows.numpy().T), rtol=1e-4, atol=1e-6)


def test_features_are_those_of_imagenet(astronaut_face):
    """They tell pictures of one thing from noise, and hardly mind a small shift."""
    features = Features(CPU)
    face = training_set.to_tensor(astronaut_face[None])
    noise = torch.rand(1, 3, 224, 224) * 2 - 1
    shifted = torch.roll(face, (4, 4), (2, 3))
    of_face, of_shifted, of_noise = (features.of(x)[0] for x in (face, shifted, noise))
    assert of_face.shape == (320,)
    near, far = (F.cosine_similarity(of_face, other, 0) for other in (of_shifted, of_noise))
    assert near > 0.9 > 0.6 > far


def test_a_toy_set_is_learnt(folder, tmp_path):
    """All reals are orange: after a few hundred steps fakes are, too, and they were not before."""
    settings = {"batch": 8, "learning_rate": 0.01, "ema_kimg": 0.2, "r1": 0.1, "path_length": 0.0}
    watcher = train(folder, tmp_path / "run", kimg=1.6, snapshot=1.6, **settings)
    orange = np.array([200, 90, 30])
    before = StepPosition(TrainSettings(**TINY | settings), CPU).averaged
    after = load_generator(tmp_path / "run/generator.safetensors")
    off = [
        np.abs(np.mean([m.pixels for m in generate(g, range(16))], (0, 1, 2)) - orange).mean()
        for g in (before, after)
    ]
    assert off[1] < 25 < off[0]
    assert watcher.steps == 200
    assert watcher.records[0]["kimg"] == 1.6


def state_of(run):
    from safetensors.torch import load_file

    return load_file(run / CHECKPOINT)


def test_a_run_that_goes_on_ends_as_an_unbroken_one(folder, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(folder, whole, kimg=0.12)
    first = train(folder, broken, kimg=0.06)
    assert first.steps == 15
    second = train(folder, broken, kimg=0.12, resume=True)
    assert second.steps == 15
    assert "resumed at 0.1" in second.lines[0]
    one, two = state_of(whole), state_of(broken)
    assert one.keys() == two.keys()
    assert [k for k in one if not torch.equal(one[k], two[k])] == []
    a, b = (
        [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        for run in (whole, broken)
    )
    for record in (*a, *b):
        del record["images_per_s"]
    assert a == b
    assert [record["kimg"] for record in a] == [0.02, 0.04, 0.06, 0.08, 0.1, 0.12]
    for name in ("generator.safetensors", "samples/000000120.png"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes()


def test_a_run_folder_holds_what_is_said(folder, tmp_path):
    run = tmp_path / "run"
    watcher = train(folder, run, kimg=0.04, snapshot=0.02, distance=8, path_length=2.0)
    assert {path.name for path in run.iterdir()} == {
        "best.safetensors", "checkpoint.safetensors", "generator.safetensors", "log.jsonl",
        "reals.u8", "samples",
    }  # fmt: skip
    assert open_image(run / "samples/reals.png").pixels.shape == (58, 58, 3)
    assert open_image(run / "samples/000000040.png").pixels.shape == (58, 58, 3)
    assert all(record["distance"] > 0 for record in watcher.records)
    assert {"loss_g", "loss_d", "r1", "path", "augment_p"} <= watcher.records[0].keys()
    assert "40 real pictures at 8 px" in watcher.lines[0]
    assert "fewer than 1,000" in watcher.lines[1]


def test_augmentation_is_moved_by_training(folder, tmp_path):
    at = StepPosition(TrainSettings(**TINY), CPU)
    reals = torch.zeros(4, 3, 8, 8)
    for _ in range(8):
        at.advance(reals)
    assert at.controller.seen == 0  # moved after the fourth and the eighth step
    assert at.controller.heard != 0
    off = StepPosition(TrainSettings(**TINY, ada=False), CPU)
    for _ in range(4):
        off.advance(reals)
    assert off.controller.p == 0


@pytest.mark.parametrize("architecture", ["stylegan", "stylegan2"])
def test_both_generators_are_trained_in_every_part(architecture):
    """After some steps every weight of both networks has moved, and so have the averages."""
    torch.manual_seed(0)
    at = StepPosition(TrainSettings(**TINY, architecture=architecture, mixing=0.5), CPU)
    nets = (at.generator, at.discriminator, at.averaged)
    before = [[value.detach().clone() for value in net.parameters()] for net in nets]
    for _ in range(5):
        said = at.advance(torch.rand(4, 3, 8, 8) * 2 - 1)
        assert np.isfinite(list(said.values())).all()
    for net, old in zip(nets, before, strict=True):
        for (name, new), value in zip(net.named_parameters(), old, strict=True):
            assert not torch.equal(new, value), name
    assert at.averaged.w_mean.abs().sum() > 0
    assert at.path_mean > 0


def test_reals_come_once_before_any_comes_twice(folder, tmp_path):
    reals = training_set.gather(folder, tmp_path / "reals.u8", 8)
    rounds = [
        training_set.batch_of(reals, shown, 10, seed=1, mirror=False, device=CPU)
        for shown in range(0, 80, 10)
    ]
    first, second = torch.cat(rounds[:4]), torch.cat(rounds[4:])
    assert len({x.numpy().tobytes() for x in first}) == 40
    assert {x.numpy().tobytes() for x in first} == {x.numpy().tobytes() for x in second}
    assert not torch.equal(first, second)
    again = training_set.reopen(tmp_path / "reals.u8", 8, reals.sha256)
    assert np.array_equal(again.pixels, reals.pixels)
    mirrored = training_set.batch_of(reals, 0, 10, seed=1, mirror=True, device=CPU)
    same = [torch.equal(a, b) for a, b in zip(rounds[0], mirrored, strict=True)]
    turned = [torch.equal(a, b.flip(2)) for a, b in zip(rounds[0], mirrored, strict=True)]
    assert all(a or b for a, b in zip(same, turned, strict=True))
    assert any(same)
    assert any(turned)


def test_too_few_pictures(folder, tmp_path):
    for path in sorted(folder.iterdir())[10:]:
        path.unlink()
    with pytest.raises(DatasetError, match=r"reals: 10 real pictures .* needs 32, better 1,000"):
        train(folder, tmp_path / "run", kimg=0.1)


def test_small_and_broken_pictures_are_left_out_and_counted(folder, tmp_path):
    paths = sorted(folder.iterdir())
    paths[0].write_bytes(b"no picture")
    cv2.imwrite(str(paths[1]), np.zeros((5, 9, 3), np.uint8))
    watcher = train(folder, tmp_path / "run", kimg=0.004)
    assert watcher.lines[0].endswith("38 real pictures at 8 px")
    assert watcher.lines[1].startswith("left out: 2 pictures (first: ")
    with pytest.raises(DatasetError, match=r"0 real pictures .*left out: 40 \("):
        train(folder, tmp_path / "other", kimg=0.1, size=16)


def test_folders_of_other_runs(folder, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(RunError, match="no such checkpoint: start the run without `resume`"):
        train(folder, run, kimg=0.02, resume=True)
    train(folder, run, kimg=0.02)
    with pytest.raises(RunError, match="has a run: continue it with `resume`"):
        train(folder, run, kimg=0.02)
    with pytest.raises(RunError, match="was started with batch 4, and now it is 8"):
        train(folder, run, kimg=0.04, resume=True, batch=8)
    (run / "reals.u8").write_bytes(b"\0" * 192)
    with pytest.raises(RunError, match="not the pictures that the run was started with"):
        train(folder, run, kimg=0.04, resume=True)
    (run / CHECKPOINT).write_bytes(b"cut off")
    with pytest.raises(RunError, match="not a checkpoint of this version"):
        train(folder, run, kimg=0.04, resume=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").touch()
    with pytest.raises(RunError, match=r"is not empty \(letter.txt\)"):
        train(folder, other, kimg=0.02)


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_that_holds_code_is_refused_and_never_run(folder, tmp_path):
    run, sign = tmp_path / "run", tmp_path / "it ran"
    run.mkdir()
    for write in (lambda bomb, file: file.write_bytes(pickle.dumps(bomb)), torch.save):
        write(Bomb(sign), run / CHECKPOINT)
        with pytest.raises(RunError, match="not a checkpoint of this version"):
            train(folder, run, kimg=0.02, resume=True)
    assert not sign.exists()
    pickle.loads(pickle.dumps(Bomb(sign)))  # it would have
    assert sign.exists()


def test_two_runs_at_once_in_one_folder_are_refused(folder, tmp_path):
    pytest.importorskip("fcntl", reason="no locks on this system")

    class Second(Quiet):
        refused = None

        def step(self, *, shown, total, losses):
            super().step(shown=shown, total=total, losses=losses)
            if self.refused is None:
                with pytest.raises(OptionError, match="another run is writing") as caught:
                    train(folder, tmp_path / "run", kimg=0.02, resume=True)
                self.refused = str(caught.value)

    watcher = train(folder, tmp_path / "run", kimg=0.02, watcher=Second())
    assert str(tmp_path / "run") in watcher.refused
    assert "resumed" in train(folder, tmp_path / "run", kimg=0.04, resume=True).lines[0]


def test_a_killed_run_leaves_nothing_in_the_way(folder, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    left = (f".{CHECKPOINT}.123", ".reals.u8.part", ".generator.safetensors.123")
    for name in left[:2]:  # killed in its first checkpoint
        (run / name).write_bytes(b"half")
    train(folder, run, kimg=0.02)
    for name in left:  # killed in a later one
        (run / name).write_bytes(b"half")
    train(folder, run, kimg=0.04, resume=True)
    assert not [name for name in left if (run / name).exists()]


def test_a_run_that_never_began_leaves_no_folder(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError):
        train(tmp_path / "none", tmp_path / "run", kimg=0.02)
    assert not (tmp_path / "run").exists()


def test_divergence_is_said(folder, tmp_path):
    with pytest.raises(RunError, match="training diverged"):
        train(folder, tmp_path / "run", kimg=1, learning_rate=1e20)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"size": 4}, "from 8 pixels"),
        ({"size": 20}, "4, 8, 16"),
        ({"batch": 1}, "batch 1"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"r1": -1.0}, "r1"),
        ({"mixing": 2.0}, "mixing"),
        ({"architecture": "x"}, "architecture"),
    ],
)
def test_settings_out_of_range(changes, says):
    with pytest.raises(OptionError, match=says):
        TrainSettings(**changes)


def test_weight_of_the_penalty_follows_size_and_batch():
    assert TrainSettings(size=64, batch=16).gamma() == pytest.approx(0.0512)
    assert TrainSettings(r1=3.0).gamma() == 3


def test_missing_features_are_named(monkeypatch):
    monkeypatch.setattr("mesoscope.models.imagenet.PACKAGE", "no_such_package_of_filters")
    with pytest.raises(Exception, match="mesoscope\\[train\\]"):
        Features(CPU)
    monkeypatch.undo()
    monkeypatch.setattr("mesoscope.models.imagenet.SHA256", "0" * 64)
    with pytest.raises(ModelError, match="unexpected SHA-256"):
        Features(CPU)
