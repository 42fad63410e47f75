"""Networks without some of their channels."""

import dataclasses

import pytest
import torch
from torch import nn

from mesoscope.errors import RecipeError
from mesoscope.training.nets import NETWORKS, build, parameter_count
from mesoscope.training.nets.channels import select
from mesoscope.training.recipe.keys import NetworkKeys


def lively(architecture, **keys):
    """A network whose norms and attention are no longer fresh."""
    torch.manual_seed(7)
    net = build(NetworkKeys(architecture=architecture, **keys)).eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)
            layer.running_mean.normal_(std=0.2)
            layer.running_var.uniform_(0.5, 2)
        elif isinstance(layer, nn.Conv2d | nn.Conv1d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.2)
            if layer.bias is not None:
                nn.init.normal_(layer.bias, std=0.1)
    return net


def every_second(net):
    return {g.name: torch.arange(g.size) % 2 == 0 for g in net.channel_groups()}


VARIANTS = [(name, {}) for name in NETWORKS if name != "meso4_ira"]
VARIANTS += [("meso4_ira", {"attention": kind}) for kind in ("none", "se", "cbam")]


@pytest.mark.parametrize(("architecture", "keys"), VARIANTS, ids=str)
@torch.no_grad()
def test_channels_that_say_nothing_leave_without_a_trace(architecture, keys):
    """A channel that nobody reads may go: logit and evidence stay as they are."""
    net = lively(architecture, **keys)
    stay = every_second(net)
    for group in net.channel_groups():
        for place in group.places:
            reads = place.axis == 1
            if reads:
                columns = net.get_parameter(place.tensor)
                mask = (~stay[group.name]).repeat_interleave(place.each)
                columns[:, place.start : place.start + len(mask)][:, mask] = 0
    if keys.get("attention") == "cbam":  # its mean and maximum over channels do read them
        for block in net.blocks:
            if block.attention is not None:
                block.attention.where.weight.zero_()
    x = torch.rand(2, 3, 256, 256)
    a = net.forward_features(x)
    logit, heat = net.forward_head(a), net.heat(a)
    before = parameter_count(net)
    select(net, stay)
    smaller = net.forward_features(x)
    torch.testing.assert_close(net.forward_head(smaller), logit, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(net.heat(smaller), heat, rtol=1e-4, atol=1e-4)
    assert parameter_count(net) < before


@pytest.mark.parametrize(
    ("architecture", "keys"), [*VARIANTS, ("meso4_ira", {"attention": "eca"})], ids=str
)
def test_the_recipe_builds_a_network_that_takes_the_weights(architecture, keys):
    net = lively(architecture, **keys)
    wanted = NetworkKeys(architecture=architecture, **keys)
    select(net, every_second(net))
    channels = {g.name: g.size for g in net.channel_groups()}
    same = build(dataclasses.replace(wanted, channels=channels)).eval()
    same.load_state_dict(net.state_dict())
    x = torch.rand(2, 3, 256, 256)
    assert torch.equal(same(x), net(x))
    for one, other in zip(net.modules(), same.modules(), strict=True):
        assert str(one) == str(other)  # layers say the sizes that their weights have


def test_a_narrow_network_can_lose_more():
    net = lively("mesoinception4")
    select(net, every_second(net))
    sizes = {g.name: g.size for g in net.channel_groups()}
    select(net, every_second(net))
    assert {g.name: g.size for g in net.channel_groups()} == {
        name: -(-size // 2) for name, size in sizes.items()
    }
    assert net(torch.rand(1, 3, 256, 256)).shape == (1,)


def test_training_a_narrow_network_works_on_paired_columns():
    net = build(NetworkKeys(channels={"block1": 3, "block2": 5}))
    x = torch.rand(2, 3, 256, 256)
    with torch.no_grad():
        paired = net.train().block1.activation(x)
        plain = net.eval().block1.activation(x)
    torch.testing.assert_close(paired, plain)


@pytest.mark.parametrize(
    ("channels", "word"),
    [({"block9": 3}, "block9"), ({"block1": 0}, "1..8"), ({"block1": 9}, "1..8")],
)
def test_channels_that_are_not_there_are_refused(channels, word):
    with pytest.raises(RecipeError, match=word):
        build(NetworkKeys(channels=channels))
