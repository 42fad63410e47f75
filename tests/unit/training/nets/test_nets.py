"""The networks: size, shape, and evidence maps that are exact Grad-CAM."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mesoscope.errors import RecipeError
from mesoscope.training.nets import NETWORKS, build, parameter_count
from mesoscope.training.nets.mesonet import Inception

SIZES = {"meso4": (27_977, 28_073), "mesoinception4": (28_615, 28_725)}
MAPS = {"meso4": (16, 32), "mesoinception4": (16, 32), "meso4_ira": (80, 8)}
architectures = pytest.mark.parametrize("architecture", list(NETWORKS))
published = pytest.mark.parametrize("architecture", list(SIZES))


def trained_looking(architecture, seed=0, negative=True):
    """A network whose norms are neither fresh nor all rising."""
    torch.manual_seed(seed)
    net = build(architecture)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, -1.5 if negative else 0.2, 1.5)
            nn.init.normal_(layer.bias)
            layer.running_mean.uniform_(0, 0.5)
            layer.running_var.uniform_(0.2, 2)
        elif isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.normal_(layer.bias, std=0.2)
    return net.eval()


@published
def test_size_is_as_published(architecture):
    net = build(architecture)
    statistics = sum(b.numel() for name, b in net.named_buffers() if "running" in name)
    assert (parameter_count(net), parameter_count(net) + statistics) == SIZES[architecture]


@published
def test_multiply_adds_of_meso4_are_sixty_million(architecture):
    net, total = build(architecture).eval(), 0

    def count(layer, _inputs, output):
        nonlocal total
        total += layer.weight.numel() * (output[0, 0].numel() if output.ndim == 4 else 1)

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        net(torch.zeros(1, 3, 256, 256))
    if architecture == "meso4":
        assert total == pytest.approx(60.0e6, rel=2e-3)
    else:
        assert 20e6 < total < 60e6  # the inception blocks are the lighter ones


@published
def test_each_convolution_has_a_bias_and_each_norm_keras_defaults(architecture):
    net = build(architecture)
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 4
    assert {(n.eps, n.momentum) for n in norms} == {(1e-3, 0.01)}
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == {"meso4": 4, "mesoinception4": 16}[architecture]
    assert all(layer.bias is not None for layer in convolutions)


@architectures
def test_shapes(architecture):
    net = build(architecture).eval()
    x = torch.rand(2, 3, 256, 256)
    with torch.no_grad():
        a, whole = net.forward_features(x), net(x)
        logit, heat = net.forward_head(a), net.heat(a)
    channels, side = MAPS[architecture]
    assert a.shape == (2, channels, side, side)
    assert whole.shape == (2,)
    assert heat.shape == (2, side, side)
    assert torch.equal(whole, logit)


def test_inception_branches_each_pass_a_relu_and_stand_in_order():
    torch.manual_seed(1)
    block = Inception(3, 1, 4, 4, 2).eval()
    seen = {}
    block.norm.register_forward_hook(lambda _m, inputs, _o: seen.update(cat=inputs[0]))
    x = torch.randn(2, 3, 16, 16)
    assert block(x).shape == (2, 11, 8, 8)
    assert (seen["cat"] >= 0).all()
    inner = F.relu(F.conv2d(x, block.c1.weight, block.c1.bias))
    third = F.relu(F.conv2d(inner, block.c2.weight, block.c2.bias, padding=2, dilation=2))
    torch.testing.assert_close(seen["cat"][:, 5:9], third)


@architectures
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_heat_is_grad_cam_as_autograd_finds_it(architecture, seed):
    net = trained_looking(architecture, seed)
    scales = torch.cat([m.weight for m in net.modules() if isinstance(m, nn.BatchNorm2d)])
    assert (scales < 0).any()
    with torch.no_grad():
        a = net.forward_features(torch.rand(2, 3, 256, 256))
        if architecture == "meso4_ira":  # with a mean for a head, one sign can darken every place
            net.dense.weight.mul_(torch.sign(net.forward_head(a).mean() - net.dense.bias))
    a.requires_grad_()
    (gradient,) = torch.autograd.grad(net.forward_head(a).sum(), a)
    weights = gradient.mean((2, 3), keepdim=True)
    expected = F.relu((weights * a).sum(1)).detach()
    found = net.heat(a).detach()
    assert expected.max() > 0
    torch.testing.assert_close(found, expected, atol=1e-5 * float(expected.max()), rtol=1e-5)


@published
def test_heat_of_a_picture_that_looks_real_is_dark(architecture):
    net = trained_looking(architecture)
    with torch.no_grad():
        net.dense2.weight.copy_(-net.dense2.weight.abs())
        net.dense1.weight.copy_(net.dense1.weight.abs())
        net.block4.norm.weight.copy_(net.block4.norm.weight.abs())
        a = net.forward_features(torch.rand(2, 3, 256, 256))
        heat = net.heat(a)
    assert a.max() > 0
    assert not heat.any()  # all evidence speaks for real


def test_unknown_network_is_named():
    with pytest.raises(RecipeError, match=r"'meso5'.*meso4, mesoinception4"):
        build("meso5")
