"""Inverted residuals and attention, and ImageNet's filters in their place."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mesoscope.errors import RecipeError
from mesoscope.models import imagenet as lite0
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.checkpoint import TrainingState
from mesoscope.training.nets import build, imagenet, initialise, parameter_count
from mesoscope.training.nets.meso4_ira import ATTENTION, InvertedResidual, plan
from mesoscope.training.recipe.keys import NetworkKeys

KEYS = NetworkKeys(architecture="meso4_ira")
TEACHER = dataclasses.replace(
    KEYS,
    widths=(16, 24, 40, 80, 112, 192, 320),
    expanded=(*KEYS.expanded, 480, 672, 672, 672, 1152, 1152, 1152, 1152),
    attention="none",
)


def test_it_stays_within_three_hundred_thousand_parameters():
    for attention in ("none", *ATTENTION):
        net = build(dataclasses.replace(KEYS, attention=attention))
        assert 250_000 < parameter_count(net) <= 300_000


def test_seven_stages_have_the_source_networks_blocks():
    assert len(plan(7)) == 16
    assert [b[1:] for b in plan(4)] == [
        (3, 1), (3, 2), (3, 1), (5, 2), (5, 1), (3, 2), (3, 1), (3, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("attention", list(ATTENTION))
def test_attention_begins_almost_open_and_learns(attention):
    torch.manual_seed(0)
    layer = ATTENTION[attention](24)
    layer.open()
    x = torch.randn(2, 24, 8, 8)
    y = layer(x)
    assert y.shape == x.shape
    assert float((y / x).detach().min()) > 0.8
    y.square().mean().backward()
    assert all(p.grad is not None for p in layer.parameters())
    with torch.no_grad():
        for p in layer.parameters():
            p.normal_(std=2)
    gates = (layer(x) / x).detach()
    assert float(gates.std()) > 0.05, "the gates must differ"


def test_a_block_is_a_linear_bottleneck_with_a_skip_where_shapes_agree():
    torch.manual_seed(0)
    block = InvertedResidual(8, 24, 8, 3, 1, "none").eval()
    x = torch.randn(1, 8, 6, 6)
    y = F.relu6(block.expand_norm(block.expand(x)))
    y = F.relu6(block.depthwise_norm(block.depthwise(y)))
    torch.testing.assert_close(block(x), x + block.project_norm(block.project(y)))
    assert not InvertedResidual(8, 24, 8, 3, 2, "none").skip
    assert not InvertedResidual(8, 24, 16, 3, 1, "none").skip


def test_residual_filters_begin_without_a_mean():
    net = build(dataclasses.replace(KEYS, stem_residuals=5))
    torch.testing.assert_close(net.stem.weight[-5:].mean((2, 3)), torch.zeros(5, 3))
    assert net.stem.weight[:-5].mean((2, 3)).abs().max() > 1e-3
    assert net(torch.rand(1, 3, 256, 256)).shape == (1,)


@pytest.fixture(scope="module")
def filters():
    return imagenet.weights()


@pytest.mark.parametrize("keys", [KEYS, TEACHER], ids=["four stages", "seven stages"])
def test_imagenets_filters_answer_as_in_their_own_network(filters, keys):
    """At full width, a mean over 2×2 pixels before the source network is the same function."""
    net = build(dataclasses.replace(keys, attention="none")).eval()
    imagenet.load(net, filters)
    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64)

    def norm(y, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(y, *(filters[f"{name}.{part}"] for part in parts), eps=1e-3)

    y = (F.avg_pool2d(x, 2) * 255 - 127) / 128
    inside = slice(4, -4)  # borders differ: zeros stand for grey there and for black here
    y = F.relu6(norm(F.conv2d(y, filters["_conv_stem.weight"], stride=2, padding=1), "_bn0"))
    with torch.no_grad():
        found = F.relu6(net.stem_norm(net.stem(x)))
    torch.testing.assert_close(
        found[..., inside, inside], y[..., inside, inside], atol=1e-4, rtol=1e-4
    )
    y = found
    for index, block in enumerate(net.blocks):
        at, before = f"_blocks.{index}.", y
        if block.expand is not None:
            y = F.relu6(norm(F.conv2d(y, filters[f"{at}_expand_conv.weight"]), f"{at}_bn0"))
        weight = filters[f"{at}_depthwise_conv.weight"]
        y = F.conv2d(y, weight, None, block.depthwise.stride, weight.shape[2] // 2, 1, len(weight))
        y = F.relu6(norm(y, f"{at}_bn1"))
        y = norm(F.conv2d(y, filters[f"{at}_project_conv.weight"]), f"{at}_bn2")
        y = before + y if block.skip else y
    with torch.no_grad():
        torch.testing.assert_close(net.forward_features(x), y, atol=1e-3, rtol=1e-3)


def test_a_narrower_network_keeps_the_filters_that_are_read_most(filters):
    keys = dataclasses.replace(KEYS, stem=16, expanded=(32, 48, 48, 80, 80, 160, 160))
    net = build(keys)
    imagenet.load(net, filters)
    strength = filters["_blocks.1._project_conv.weight"].abs().sum((0, 2, 3))
    strength = strength * filters["_blocks.1._bn1.weight"].abs()
    kept = strength.argsort(descending=True)[:32].sort().values
    wanted = filters["_blocks.1._depthwise_conv.weight"][kept]
    torch.testing.assert_close(net.blocks[1].depthwise.weight.detach(), wanted)


def test_a_students_first_stages_answer_as_its_teachers():
    torch.manual_seed(0)
    teacher = build(TEACHER).eval()
    keys = dataclasses.replace(KEYS, initial="teacher", attention="none")
    student = build(keys).eval()
    initialise(student, keys, teacher.state_dict)
    with torch.no_grad():
        x = torch.rand(1, 3, 64, 64)
        y = F.relu6(teacher.stem_norm(teacher.stem(x)))
        for block in teacher.blocks[: len(student.blocks)]:
            y = block(y)
        assert torch.equal(student.forward_features(x), y)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"stem": 40}, "network.stem"), ({"widths": (16, 24, 40, 96)}, "network.widths")],
)
def test_a_network_wider_than_the_source_is_refused(filters, change, words):
    net = build(dataclasses.replace(KEYS, **change))
    with pytest.raises(RecipeError, match=words):
        imagenet.load(net, filters)


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(lite0, "PACKAGE", "no_such_package_of_filters")
    with pytest.raises(RecipeError, match=r"mesoscope\[train\].*initial=random"):
        imagenet.weights()


def test_another_file_is_refused(monkeypatch):
    monkeypatch.setattr(lite0, "SHA256", "0" * 64)
    with pytest.raises(RecipeError, match="unexpected SHA-256"):
        imagenet.weights()


def test_the_published_networks_have_no_place_for_them():
    keys = NetworkKeys(architecture="meso4", initial="imagenet")
    with pytest.raises(RecipeError, match="meso4_ira"):
        initialise(build(keys), keys, dict)


def test_any_network_goes_on_from_a_run_of_the_same_shape(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("meso4", "meso4_ira"):
        torch.manual_seed(3)
        before = build(name)
        best = checkpoint.pack("mean", checkpoint.plain(before))
        checkpoint.save(tmp_path / "checkpoints/best.safetensors", best, TrainingState())
        keys = NetworkKeys(architecture=name, initial=str(tmp_path))
        net = build(keys)
        initialise(net, keys, dict)
        for key, value in before.state_dict().items():
            assert torch.equal(net.state_dict()[key], value), key


def test_a_run_of_another_shape_is_refused(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    best = checkpoint.pack("mean", checkpoint.plain(build("meso4_ira")))
    checkpoint.save(tmp_path / "checkpoints/best.safetensors", best, TrainingState())
    for keys in (
        NetworkKeys(architecture="meso4", initial=str(tmp_path)),
        dataclasses.replace(NetworkKeys(architecture="meso4_ira"), stem=16, initial=str(tmp_path)),
    ):
        with pytest.raises(RecipeError, match=r"another shape, from \w.* take the \[network\]"):
            initialise(build(keys), keys, dict)


def test_a_folder_that_is_no_run_is_named(tmp_path):
    keys = NetworkKeys(architecture="meso4", initial=str(tmp_path / "imagnet"))
    with pytest.raises(RecipeError, match=r"imagnet' is neither 'random', .* train that run first"):
        initialise(build(keys), keys, dict)


def test_heat_is_dark_where_all_evidence_speaks_for_real():
    net = build(KEYS).eval()
    with torch.no_grad():
        net.dense.weight.fill_(-1)
        a = F.relu(net.forward_features(torch.rand(1, 3, 256, 256)))
    assert a.max() > 0
    assert not net.heat(a).any()
    assert isinstance(net, nn.Module)


def test_a_stem_of_stride_two_answers_as_imagenets_own(filters):
    keys = dataclasses.replace(KEYS, stem_stride=2, attention="none")
    net = build(keys).eval()
    imagenet.load(net, filters)
    torch.manual_seed(0)
    x = torch.rand(1, 3, 64, 64)
    parts = [filters[f"_bn0.{p}"] for p in ("running_mean", "running_var", "weight", "bias")]
    y = F.conv2d((x * 255 - 127) / 128, filters["_conv_stem.weight"], stride=2, padding=1)
    y = F.relu6(F.batch_norm(y, *parts, eps=1e-3))
    with torch.no_grad():
        found = F.relu6(net.stem_norm(net.stem(x)))
    assert found.shape[-1] == 32
    inside = slice(2, -2)
    torch.testing.assert_close(
        found[..., inside, inside], y[..., inside, inside], atol=1e-4, rtol=1e-4
    )


def test_a_student_of_stride_two_takes_its_teachers_stem_as_it_is():
    torch.manual_seed(0)
    teacher = build(dataclasses.replace(TEACHER, stem_stride=2)).eval()
    keys = dataclasses.replace(KEYS, initial="teacher", attention="none", stem_stride=2)
    student = build(keys).eval()
    initialise(student, keys, teacher.state_dict)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(student.stem_norm(student.stem(x)), teacher.stem_norm(teacher.stem(x)))
