"""StyleGAN and StyleGAN2 once more, in plain NumPy of 64 bits, straight from the papers.

Nothing here knows of torch or of the code under test: weights are modulated for each picture,
convolutions are sums over places, transposed ones scatter, filters slide.
"""

from types import SimpleNamespace

import numpy as np
import pytest

SMOOTH = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
BINOMIAL = np.outer([1, 2, 1], [1, 2, 1]) / 16


def lrelu(x):
    return np.where(x < 0, 0.2 * x, x)


def linear(x, weight, bias, *, gain=1.0, rate=1.0):
    """x (D,) → (O,): He's constant at run time, the bias at the layer's rate."""
    scale = gain / np.sqrt(weight.shape[1]) * rate
    return (
        np.array(
            [sum(scale * weight[o, i] * x[i] for i in range(len(x))) for o in range(len(weight))]
        )
        + bias * rate
    )


def pixel_norm(x):
    return x / np.sqrt((x**2).mean() + 1e-8)


def mapping(z, layers):
    x = pixel_norm(z)
    for weight, bias in layers:
        x = np.sqrt(2) * lrelu(linear(x, weight, bias, rate=0.01))
    return x


def conv(x, weight, *, pad, stride=1):
    """x (C, H, W), weight (O, C, k, k)."""
    k = weight.shape[2]
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    rows = range(0, x.shape[1] - k + 1, stride)
    columns = range(0, x.shape[2] - k + 1, stride)
    out = np.zeros((len(weight), len(rows), len(columns)))
    for i, y in enumerate(rows):
        for j, a in enumerate(columns):
            out[:, i, j] = np.einsum("ocuv,cuv->o", weight, x[:, y : y + k, a : a + k])
    return out


def scatter_conv(x, weight):
    """Transposed convolution of stride 2: every pixel paints the kernel."""
    k = weight.shape[2]
    _, height, width = x.shape
    out = np.zeros((len(weight), 2 * (height - 1) + k, 2 * (width - 1) + k))
    for y in range(height):
        for a in range(width):
            painted = np.einsum("ocuv,c->ouv", weight, x[:, y, a])
            out[:, 2 * y : 2 * y + k, 2 * a : 2 * a + k] += painted
    return out


def fir(x, kernel, before, behind):
    """Slide a symmetric filter over zero-padded maps."""
    x = np.pad(x, ((0, 0), (before, behind), (before, behind)))
    k = len(kernel)
    out = np.zeros((len(x), x.shape[1] - k + 1, x.shape[2] - k + 1))
    for y in range(out.shape[1]):
        for a in range(out.shape[2]):
            out[:, y, a] = (x[:, y : y + k, a : a + k] * kernel).sum((1, 2))
    return out


def double_size(x):
    """Zeros between pixels, then the filter, at four times its strength."""
    spread = np.zeros((len(x), 2 * x.shape[1], 2 * x.shape[2]))
    spread[:, ::2, ::2] = x
    return fir(spread, 4 * SMOOTH, 2, 1)


def half_size(x):
    return fir(x, SMOOTH, 1, 1)[:, ::2, ::2]


def modulated(x, w, weight, style_weight, style_bias, *, up=False, demodulate=True):
    """Equations 1 and 3 of StyleGAN2, on the weights themselves; x (C, H, W), w (D,)."""
    outputs, inputs, k, _ = weight.shape
    style = linear(w, style_weight, style_bias)
    own = weight / np.sqrt(inputs * k * k) * style[None, :, None, None]
    if demodulate:
        for o in range(outputs):
            own[o] = own[o] / np.sqrt((own[o] ** 2).sum() + 1e-8)
    if not up:
        return conv(x, own, pad=k // 2)
    return fir(scatter_conv(x, own), 4 * SMOOTH, 1, 1)


def adain(x, w, scale, shift):
    """Equation 1 of StyleGAN; scale and shift are (weight, bias) of their linear layers."""
    out = np.empty_like(x)
    ys, yb = linear(w, *scale), linear(w, *shift)
    for c in range(len(x)):
        deviation = np.sqrt(((x[c] - x[c].mean()) ** 2).mean() + 1e-8)
        out[c] = ys[c] * (x[c] - x[c].mean()) / deviation + yb[c]
    return out


def _styled(x, w, noise, t, at, *, up=False):
    style = (t[f"{at}.conv.modulation.weight"], t[f"{at}.conv.modulation.bias"])
    x = modulated(x, w, t[f"{at}.conv.weight"], *style, up=up)
    x = x + t[f"{at}.noise"] * noise
    return np.sqrt(2) * lrelu(x + t[f"{at}.bias"][:, None, None])


def _to_rgb(x, w, before, t, at):
    style = (t[f"{at}.conv.modulation.weight"], t[f"{at}.conv.modulation.bias"])
    rgb = modulated(x, w, t[f"{at}.conv.weight"], *style, demodulate=False)
    rgb = rgb + t[f"{at}.bias"][:, None, None]
    return rgb if before is None else rgb + double_size(before)


def stylegan2(t, styles, noises):
    """t: tensors by the generator's names; styles (layers, D); noises (H, W) a layer."""
    x, rgb, layer = t["synthesis.constant"], None, 0
    for i in range(len(styles) // 2):
        at = f"synthesis.blocks.{i}"
        if i:
            x = _styled(x, styles[layer], noises[layer], t, f"{at}.up", up=True)
            layer += 1
        x = _styled(x, styles[layer], noises[layer], t, f"{at}.conv")
        layer += 1
        rgb = _to_rgb(x, styles[layer], rgb, t, f"{at}.to_rgb")
    return rgb


def stylegan(t, styles, noises):
    """As :func:`stylegan2`."""
    x = t["synthesis.constant"]
    for i in range(len(styles) // 2):
        at = f"synthesis.blocks.{i}"
        for half, name in enumerate(("first", "second")):
            if half or i:
                if not half:
                    x = x.repeat(2, axis=1).repeat(2, axis=2)
                weight = t[f"{at}.conv.weight"] if half else t[f"{at}.up.weight"]
                x = conv(x, weight * np.sqrt(2 / weight[0].size), pad=1)
                if not half:
                    x = fir(x, BINOMIAL, 1, 1)
            at_style = f"{at}.{name}"
            x = x + t[f"{at_style}.noise"][:, None, None] * noises[2 * i + half]
            x = lrelu(x + t[f"{at_style}.bias"][:, None, None])
            scale, shift = (
                (t[f"{at_style}.style.{part}.weight"], t[f"{at_style}.style.{part}.bias"])
                for part in ("scale", "shift")
            )
            x = adain(x, styles[2 * i + half], scale, shift)
    weight = t["synthesis.to_rgb.weight"]
    x = conv(x, weight / np.sqrt(weight[0].size), pad=0)
    return x + t["synthesis.to_rgb.bias"][:, None, None]


@pytest.fixture(scope="session")
def reference():
    """The functions above."""
    return SimpleNamespace(
        linear=linear, pixel_norm=pixel_norm, mapping=mapping, conv=conv, modulated=modulated,
        adain=adain, double_size=double_size, half_size=half_size, fir=fir, stylegan=stylegan,
        stylegan2=stylegan2, lrelu=lrelu, SMOOTH=SMOOTH, BINOMIAL=BINOMIAL,
    )  # fmt: skip


@pytest.fixture
def small_generator():
    """``small_generator(architecture, size=8)``: few channels, noise that is heard, odd biases."""
    import torch

    from mesoscope.synth.stylegan.networks import Generator, GeneratorConfig

    def make(architecture="stylegan2", size=8, **changes):
        torch.manual_seed(5)
        sizes = {"style_dim": 6, "mapping_layers": 3, "channel_multiplier": size * 3 / 16384,
                 "channels_max": 4} | changes  # fmt: skip
        generator = Generator(GeneratorConfig(architecture, size, **sizes))
        with torch.no_grad():
            for name, value in generator.named_parameters():
                if name.endswith(("noise", "bias")):
                    value.add_(torch.randn_like(value) * 0.3)
            generator.w_mean.copy_(torch.randn(sizes["style_dim"]) * 0.2)
        return generator.eval()

    return make


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Such small sums are quicker on one thread, and are taken in one order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
