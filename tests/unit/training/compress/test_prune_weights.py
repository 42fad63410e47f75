"""Which weights go, when, and that they stay away."""

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from mesoscope.training.compress.sparsify import (
    WeightPruning,
    cubic,
    prunable,
    share_of_zeros,
    smallest,
    sparsity_of,
)
from mesoscope.training.fit.position import EpochPosition, average
from mesoscope.training.nets import NETWORKS, build
from mesoscope.training.recipe.recipe import Recipe


@pytest.fixture(scope="module")
def fabric():
    return Fabric(accelerator="cpu", devices=1)


def trained(seed=0):
    """Weights of a Meso-4 as a run would leave them."""
    torch.manual_seed(seed)
    return {name: value.clone() for name, value in build("meso4").state_dict().items()}


def zeros_in(net):
    return sum(int((w == 0).sum()) for w in prunable(net).values())


@pytest.mark.parametrize("architecture", NETWORKS)
def test_weights_of_layers_are_prunable_and_neither_biases_nor_norms(architecture):
    net = build(architecture)
    names = prunable(net)
    layers = dict(net.named_modules())
    assert all(isinstance(layers[n.removesuffix(".weight")], nn.Conv2d | nn.Linear) for n in names)
    vectors = [name for name, p in net.named_parameters() if name not in names]
    assert vectors
    assert all(net.get_parameter(name).ndim == 1 for name in vectors)


def test_layers_are_ranked_together_by_magnitude():
    weights = {"a": torch.tensor([[0.1, -3.0], [0.2, 4.0]]), "b": torch.tensor([-0.15, 5.0, 0.3])}
    held = {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()}
    masks = smallest(weights, held, 3)
    assert masks["a"].tolist() == [[False, True], [False, True]]
    assert masks["b"].tolist() == [False, True, True]


@pytest.mark.parametrize(("zeros", "left"), [(20, 4), (60, 2), (90, 1)])
def test_no_layer_is_emptied_though_all_its_weights_are_small(zeros, left):
    weights = {"a": torch.linspace(1, 2, 90), "small": torch.linspace(0.01, 0.02, 10)}
    held = {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()}
    masks = smallest(weights, held, zeros)
    assert sum(int((~m).sum()) for m in masks.values()) == zeros
    assert masks["small"].tolist() == [False] * (10 - left) + [True] * left  # the largest stay


def test_what_is_out_stays_out_though_others_became_smaller():
    weights = {"a": torch.tensor([9.0, 0.1, 0.2, 0.3])}
    held = {"a": torch.tensor([False, True, True, True])}
    assert smallest(weights, held, 2)["a"].tolist() == [False, False, True, True]


@pytest.mark.parametrize("zeros", [0, 1, 7, 12])
def test_the_number_is_exact_where_magnitudes_are_equal(zeros):
    weights = {"a": torch.full((3, 3), 0.5), "b": torch.full((3,), -0.5)}
    held = {name: torch.ones_like(w, dtype=torch.bool) for name, w in weights.items()}
    masks = smallest(weights, held, zeros)
    assert sum(int((~m).sum()) for m in masks.values()) == zeros
    assert share_of_zeros(masks) == zeros / 12


def test_the_schedule_is_zhu_and_guptas_cubic():
    assert cubic(0.0, 0.8, 0.0) == 0
    assert cubic(0.0, 0.8, 0.5) == pytest.approx(0.8 * (1 - 0.5**3))
    assert cubic(0.2, 0.8, 0.25) == pytest.approx(0.8 - 0.6 * 0.75**3)
    assert cubic(0.2, 0.8, 1.0) == cubic(0.2, 0.8, 3.0) == 0.8


@pytest.mark.parametrize("sparsity", [0.0, 0.2, 0.5, 0.95])
def test_pruned_at_once_the_share_is_exact_to_one_weight(sparsity):
    constraint, net = WeightPruning(trained(), sparsity, 0.0), build("meso4")
    constraint.put_in(net)
    total = sum(w.numel() for w in prunable(net).values())
    assert zeros_in(net) == round(sparsity * total)
    found = sparsity_of(net)
    assert found["weights"] == total
    assert found["zeros"] == zeros_in(net)
    assert found["overall"] == pytest.approx(sparsity, abs=1 / total)
    layer = net.block3.convolution.weight
    assert found["by_layer"]["block3.convolution"] == round(float((layer == 0).float().mean()), 4)


def test_zeros_are_plain_zeros_so_that_bytes_repeat():
    constraint, net = WeightPruning(trained(), 0.5, 0.0), build("meso4")
    constraint.put_in(net)
    for weight in prunable(net).values():
        gone = weight[weight == 0]
        assert not torch.signbit(gone).any()


def steps(at, constraint, count, *, each=0.25, first=0):
    """Steps as the training loop takes them, on random pictures."""
    torch.manual_seed(3)
    at.wrapped.train()
    for number in range(first, first + count):
        loss = at.wrapped(torch.rand(2, 3, 256, 256)).square().mean()
        at.optimiser.zero_grad()
        loss.backward()
        at.optimiser.step()
        average(at.mean, at.net, 0.5)
        constraint.step(at, each * (number + 1))


def test_zeros_are_held_over_steps_in_the_network_and_in_its_mean(fabric):
    constraint = WeightPruning(trained(), 0.6, 0.0)
    at = EpochPosition(Recipe(), fabric, constraint)
    before = {name: w.detach().clone() for name, w in prunable(at.net).items()}
    steps(at, constraint, 3)
    for net in (at.net, at.mean):
        for name, weight in prunable(net).items():
            assert torch.equal(weight == 0, before[name] == 0), name
    moved = at.net.block1.convolution.weight
    assert not torch.equal(moved, before["block1.convolution.weight"])


def test_a_gradual_schedule_only_adds_zeros_and_ends_exactly(fabric):
    constraint = WeightPruning(trained(), 0.8, 1.0)
    at = EpochPosition(Recipe(), fabric, constraint)
    total = sum(w.numel() for w in prunable(at.net).values())
    assert zeros_in(at.net) == 0
    seen, gone = [], {name: w == 0 for name, w in prunable(at.net).items()}
    for number in range(5):
        steps(at, constraint, 1, first=number)
        seen.append(zeros_in(at.net))
        for name, weight in prunable(at.net).items():
            assert (weight[gone[name]] == 0).all(), name
            gone[name] = weight == 0
        assert zeros_in(at.mean) == seen[-1]
    wanted = [round(cubic(0, 0.8, share) * total) for share in (0.25, 0.5, 0.75, 1.0, 1.0)]
    assert seen == wanted
    assert [constraint.reached(epochs) for epochs in (0, 1, 2)] == [False, True, True]


def test_masks_come_back_with_a_position(fabric):
    constraint = WeightPruning(trained(), 0.8, 1.0)
    at = EpochPosition(Recipe(), fabric, constraint)
    steps(at, constraint, 2)
    other_constraint = WeightPruning(trained(), 0.8, 1.0)
    other = EpochPosition(Recipe(), fabric, other_constraint)
    # As from a file: the optimiser would otherwise share its memory with the first one's.
    other.restore({name: value.clone() for name, value in at.tensors().items()})
    steps(at, constraint, 1, first=2)
    steps(other, other_constraint, 1, first=2)
    for name, weight in prunable(at.net).items():
        assert torch.equal(weight, prunable(other.net)[name]), name
        assert torch.equal(constraint.masks[name], other_constraint.masks[name]), name


def test_zeros_of_a_network_that_was_pruned_before_count(fabric):
    net = build("meso4")
    WeightPruning(trained(), 0.5, 0.0).put_in(net)
    again = WeightPruning(net.state_dict(), 0.2, 0.0)
    other = build("meso4")
    again.put_in(other)
    assert zeros_in(other) == zeros_in(net)
