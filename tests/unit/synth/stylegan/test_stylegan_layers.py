"""Every layer against a reference of 64 bits, and its gradient against finite differences."""

import numpy as np
import pytest
import torch

from mesoscope.synth.stylegan.layers import (
    BINOMIAL,
    SMOOTH,
    AdaIN,
    EqualConv,
    EqualLinear,
    Mapping,
    ModulatedConv,
    filter_taps,
    pixel_norm,
    resample,
    upsample,
)
from mesoscope.synth.stylegan.networks import NoisyAdaIN, StyledConv, ToRGB


@pytest.fixture(autouse=True)
def doubles():
    """Layers of 64 bits, so that they differ from the reference by rounding alone."""
    torch.manual_seed(3)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def numbers(tensor):
    return tensor.detach().numpy()


def pair(layer):
    return numbers(layer.weight), numbers(layer.bias)


def same(ours, reference):
    assert ours.dtype == torch.float64
    np.testing.assert_allclose(numbers(ours), reference, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("gain", "rate"), [(1.0, 1.0), (2**0.5, 1.0), (1.0, 0.01)])
def test_equal_linear(reference, gain, rate):
    layer = EqualLinear(5, 3, gain=gain, rate=rate, bias=1.0)
    x = torch.randn(2, 5)
    wanted = [reference.linear(row, *pair(layer), gain=gain, rate=rate) for row in numbers(x)]
    same(layer(x), wanted)
    # The bias begins with what was asked for, whatever the rate.
    same(layer(torch.zeros(1, 5)), np.ones((1, 3)))


def test_equal_linear_keeps_variance_at_any_width_and_rate():
    for rate in (1.0, 0.01):
        out = EqualLinear(400, 300, rate=rate)(torch.randn(50, 400))
        assert out.std().item() == pytest.approx(1, abs=0.05)


def test_pixel_norm(reference):
    x = torch.randn(3, 7) * 9
    same(pixel_norm(x), [reference.pixel_norm(row) for row in numbers(x)])


def test_mapping(reference):
    net = Mapping(6, 8)
    for layer in net.layers:
        torch.nn.init.normal_(layer.bias)
    z = torch.randn(2, 6)
    layers = [pair(layer) for layer in net.layers]
    assert len(layers) == 8
    same(net(z), [reference.mapping(row, layers) for row in numbers(z)])


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulated_conv(reference, kernel, demodulate):
    layer = ModulatedConv(4, 3, kernel, 5, demodulate=demodulate)
    x, w = torch.randn(2, 4, 5, 6), torch.randn(2, 5)
    wanted = [
        reference.modulated(
            *both, numbers(layer.weight), *pair(layer.modulation), demodulate=demodulate
        )
        for both in zip(numbers(x), numbers(w), strict=True)
    ]
    same(layer(x, w), wanted)


def test_modulated_conv_twice_as_large(reference):
    layer = ModulatedConv(3, 4, 3, 5, up=True)
    x, w = torch.randn(2, 3, 4, 5), torch.randn(2, 5)
    wanted = [
        reference.modulated(*both, numbers(layer.weight), *pair(layer.modulation), up=True)
        for both in zip(numbers(x), numbers(w), strict=True)
    ]
    out = layer(x, w)
    assert out.shape == (2, 4, 8, 10)
    same(out, wanted)


def test_demodulation_takes_strength_out_of_styles():
    layer = ModulatedConv(16, 8, 3, 5)
    layer.modulation.bias.data.zero_()
    x, w = torch.randn(1, 16, 6, 6), torch.randn(1, 5)
    torch.testing.assert_close(layer(x, 7 * w), layer(x, w), rtol=1e-6, atol=1e-6)


def test_styled_conv_adds_noise_before_the_bias(reference):
    layer = StyledConv(3, 4, 5)
    layer.noise.data.fill_(0.7)
    torch.nn.init.normal_(layer.bias)
    x, w, noise = torch.randn(1, 3, 4, 4), torch.randn(1, 5), torch.randn(1, 1, 4, 4)
    plain = reference.modulated(
        numbers(x)[0], numbers(w)[0], numbers(layer.conv.weight), *pair(layer.conv.modulation)
    )
    sum_ = plain + 0.7 * numbers(noise)[0] + numbers(layer.bias)[:, None, None]
    same(layer(x, w, noise), [np.sqrt(2) * reference.lrelu(sum_)])


def test_to_rgb_adds_the_smaller_picture(reference):
    layer = ToRGB(4, 5)
    torch.nn.init.normal_(layer.bias)
    x, w, before = torch.randn(1, 4, 6, 6), torch.randn(1, 5), torch.randn(1, 3, 3, 3)
    plain = reference.modulated(
        numbers(x)[0], numbers(w)[0], numbers(layer.conv.weight), *pair(layer.conv.modulation),
        demodulate=False,
    ) + numbers(layer.bias)[:, None, None]  # fmt: skip
    same(layer(x, w, None), [plain])
    same(layer(x, w, before), [plain + reference.double_size(numbers(before)[0])])


def test_adain(reference):
    layer = AdaIN(4, 5)
    torch.nn.init.normal_(layer.shift.bias)
    x, w = torch.randn(2, 4, 3, 5) * 4 + 2, torch.randn(2, 5)
    wanted = [
        reference.adain(*both, pair(layer.scale), pair(layer.shift))
        for both in zip(numbers(x), numbers(w), strict=True)
    ]
    same(layer(x, w), wanted)


def test_noise_of_stylegan_has_a_strength_for_each_channel(reference):
    layer = NoisyAdaIN(3, 5)
    layer.noise.data.copy_(torch.tensor([0.0, 1.0, -2.0]))
    torch.nn.init.normal_(layer.bias)
    x, w, noise = torch.randn(1, 3, 4, 4), torch.randn(1, 5), torch.randn(1, 1, 4, 4)
    noisy = numbers(x)[0] + np.array([0, 1, -2])[:, None, None] * numbers(noise)[0]
    active = reference.lrelu(noisy + numbers(layer.bias)[:, None, None])
    style = pair(layer.style.scale), pair(layer.style.shift)
    same(layer(x, w, noise), [reference.adain(active, numbers(w)[0], *style)])


def test_resampling(reference):
    taps = filter_taps(SMOOTH)
    x = torch.randn(2, 3, 6, 8)
    same(upsample(x, taps), [reference.double_size(one) for one in numbers(x)])
    same(resample(x, taps, down=2, pad=(1, 1)), [reference.half_size(one) for one in numbers(x)])
    blurred = resample(x, filter_taps(BINOMIAL), pad=(1, 1))
    same(blurred, [reference.fir(one, reference.BINOMIAL, 1, 1) for one in numbers(x)])


def test_resampling_turns_a_filter_that_is_not_symmetric():
    taps = torch.arange(3.0)
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 1, 1] = 1
    wanted = torch.outer(taps, taps).numpy()  # convolved, not correlated
    same(resample(x, taps, pad=(1, 1)), wanted[None, None])
    assert resample(x, taps, pad=(1, -1)).shape == (1, 1, 1, 1)


def test_brightness_survives_resampling():
    taps, grey = filter_taps(SMOOTH), torch.full((1, 1, 8, 8), 0.5)
    for out in (upsample(grey, taps), resample(grey, taps, down=2, pad=(1, 1))):
        torch.testing.assert_close(out[..., 1:-1, 1:-1], torch.full_like(out, 0.5)[..., 1:-1, 1:-1])


@pytest.mark.parametrize("kernel", [1, 3])
def test_conv_of_the_discriminator_halves(reference, kernel):
    layer = EqualConv(3, 4, kernel, down=True)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 6, 8)
    edge = kernel // 2
    weight = numbers(layer.weight) / np.sqrt(3 * kernel**2)
    blurred = [reference.fir(one, reference.SMOOTH, 1 + edge, 1 + edge) for one in numbers(x)]
    wanted = [reference.conv(one, weight, pad=0, stride=2) for one in blurred]
    out = layer(x)
    assert out.shape == (2, 4, 3, 4)
    same(out, np.array(wanted) + numbers(layer.bias)[:, None, None])


@pytest.mark.parametrize("up", [False, True])
def test_gradients_of_the_modulated_conv(up):
    layer = ModulatedConv(2, 3, 3, 4, up=up)
    x, w = torch.randn(1, 2, 3, 3, requires_grad=True), torch.randn(1, 4, requires_grad=True)
    pull = torch.randn_like(layer(x, w))

    def loss():
        return (layer(x, w) * pull).sum()

    inputs = [x, w, layer.weight, layer.modulation.weight, layer.modulation.bias]
    gradients = torch.autograd.grad(loss(), inputs)
    step = 1e-5
    for tensor, gradient in zip(inputs, gradients, strict=True):
        flat = tensor.data.view(-1)
        for i in range(0, len(flat), 3):
            kept = flat[i].item()
            flat[i] = kept + step
            above = loss().item()
            flat[i] = kept - step
            below = loss().item()
            flat[i] = kept
            wanted = (above - below) / (2 * step)
            assert gradient.flatten()[i].item() == pytest.approx(wanted, rel=1e-5, abs=1e-7)


def test_second_gradients_exist_for_the_penalties():
    layer = ModulatedConv(2, 2, 3, 3, up=True)
    x, w = torch.randn(1, 2, 2, 2, requires_grad=True), torch.randn(1, 3, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda a, b: layer(a, b), (x, w))
