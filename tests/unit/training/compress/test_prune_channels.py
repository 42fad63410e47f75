"""Which channels are worth least, and how many must go."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from mesoscope.data.manifest import Sample
from mesoscope.errors import OptionError
from mesoscope.training.compress import sparsify
from mesoscope.training.compress.sparsify import bundle_of, choose, importance, multiply_adds
from mesoscope.training.data.dataset import plain_crop
from mesoscope.training.fit.distil import to_input
from mesoscope.training.nets import NETWORKS, build
from mesoscope.training.nets.channels import select
from mesoscope.training.recipe.keys import NetworkKeys
from mesoscope.training.recipe.recipe import Recipe


@pytest.fixture
def faces(tmp_path, make_face):
    """Two reals and two fakes."""
    found = []
    for number in range(4):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), make_face(number)[:, :, ::-1])
        found.append(Sample(path, number % 2, "made", str(number), "train"))
    return found


def any_worth(net, seed=0):
    rng = np.random.default_rng(seed)
    return {g.name: torch.from_numpy(rng.random(g.size, np.float32)) for g in net.channel_groups()}


@pytest.mark.parametrize("architecture", ["meso4", "meso4_ira"])
def test_importance_is_the_gradient_of_a_gate_on_the_channel(architecture, faces):
    """Against a gate put on the channel itself, differentiated by autograd."""
    torch.manual_seed(0)
    net = build(architecture).eval()
    found = importance(net, Recipe(), faces)
    assert all(p.grad is None for p in net.parameters())
    assert {name: len(v) for name, v in found.items()} == {
        g.name: g.size for g in net.channel_groups()
    }
    name, norm = {
        "meso4": ("block3", "block3.norm"),
        "meso4_ira": ("block4", "blocks.4.depthwise_norm"),
    }[architecture]
    gate = torch.ones(len(found[name]), requires_grad=True)
    net.get_submodule(norm).register_forward_hook(
        lambda _layer, _inputs, output: output * gate[:, None, None]
    )
    x = to_input(torch.from_numpy(np.stack([plain_crop(s, 1.0) for s in faces])))
    labels = torch.tensor([float(s.label) for s in faces])
    torch.nn.functional.binary_cross_entropy_with_logits(net(x), labels).backward()
    torch.testing.assert_close(found[name], gate.grad**2, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("architecture", NETWORKS)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_as_many_multiply_adds_go_as_asked_and_little_more(architecture, share):
    net = build(architecture)
    stay, before, left = choose(net, any_worth(net), share)
    assert before == multiply_adds(net)
    groups = {g.name: g.size for g in net.channel_groups()}
    for name, kept in stay.items():
        gone = groups[name] - int(kept.sum())
        assert gone % bundle_of(groups[name]) == 0
        assert int(kept.sum()) >= groups[name] / 4
    select(net, stay)
    assert multiply_adds(net) == left <= (1 - share) * before
    assert left > (1 - share - 0.15) * before


def test_nothing_goes_where_nothing_is_asked():
    net = build("meso4")
    stay, before, left = choose(net, any_worth(net), 0.0)
    assert before == left
    assert all(bool(kept.all()) for kept in stay.values())


def test_the_least_worth_goes_first():
    net = build("meso4")
    worth = {g.name: torch.ones(g.size) for g in net.channel_groups()}
    worth["block2"][[1, 4]] = 1e-6
    stay, *_ = choose(net, worth, 0.1)
    assert stay["block2"].tolist() == [i not in (1, 4) for i in range(8)]


def test_of_equal_worth_the_dearer_channel_goes():
    """Meso-4's second convolution costs most, and the dense layer next to nothing."""
    net = build("meso4")
    worth = {g.name: torch.ones(g.size) for g in net.channel_groups()}
    stay, *_ = choose(net, worth, 0.3)
    assert not bool(stay["block1"].all() & stay["block2"].all())
    assert bool(stay["dense1"].all())


def test_more_than_channels_can_give_is_refused():
    net = build("meso4")
    with pytest.raises(OptionError, match=r"at most \d+%"):
        choose(net, any_worth(net), 0.97)


def test_multiply_adds_of_meso4_are_sixty_million():
    net = build("meso4")
    assert multiply_adds(net) == pytest.approx(60.0e6, rel=2e-3)
    narrow = build(dataclasses.replace(NetworkKeys(), channels={"block1": 4}))
    first, second = 3 * 9 * 256 * 256, 25 * 8 * 128 * 128
    assert multiply_adds(net) - multiply_adds(narrow) == 4 * (first + second)


@pytest.mark.parametrize(
    ("size", "bundle"), [(1, 1), (8, 1), (16, 8), (48, 8), (64, 16), (480, 16)]
)
def test_wide_groups_lose_what_a_processor_takes_at_once(size, bundle):
    assert bundle_of(size) == bundle


def test_the_measurement_has_an_end(faces, monkeypatch):
    """However large the train split is, so many pictures are looked at."""
    monkeypatch.setattr(sparsify, "BATCH", 1)
    monkeypatch.setattr(sparsify, "BATCHES", 2)
    seen = []
    monkeypatch.setattr(
        sparsify, "plain_crop", lambda s, margin: seen.append(s) or plain_crop(s, margin)
    )
    importance(build("meso4"), Recipe(), faces)
    assert len(seen) == 2
