"""Methods of domain generalisation do what their papers' equations say, and runs resume."""

import numpy as np
import pytest
import torch

from mesoscope.errors import RecipeError
from mesoscope.training.data.dataset import training_crop
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.generalise import (
    TEMPERATURE,
    Objective,
    consistency_loss,
    contrastive_loss,
    freeze,
    mixstyle,
)
from mesoscope.training.fit.loop import groups_of, sources_of
from mesoscope.training.fit.position import EpochPosition, losses_of
from mesoscope.training.nets import build
from mesoscope.training.recipe.keys import (
    DataKeys,
    GeneraliseKeys,
    MixKeys,
    NetworkKeys,
    OptimiseKeys,
)
from mesoscope.training.recipe.recipe import Recipe, read_recipe

NARROW = NetworkKeys(
    architecture="meso4_ira", stem=8, widths=(8, 8, 8, 8), expanded=(16,) * 7, dropout=0.0
)


class Single:
    """As much of Fabric as a step asks for, on one device."""

    def backward(self, loss):
        loss.backward()

    def all_reduce(self, values, *, reduce_op):
        assert reduce_op == "sum"
        return values


def per_picture(logits, labels):
    return losses_of(logits, labels, OptimiseKeys(label_smoothing=0.0))


def batch_of(size=4, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return torch.rand(size, 3, 64, 64, generator=chance), torch.arange(size).float() % 2


def test_mixstyle_gives_maps_statistics_between_those_of_two_pictures():
    torch.manual_seed(1)
    x = torch.randn(6, 4, 16, 16) * torch.arange(1, 7)[:, None, None, None]
    y = mixstyle(x)
    before, after = x.std((2, 3), correction=0), y.std((2, 3), correction=0)
    assert (after >= before.amin(0) - 1e-3).all()
    assert (after <= before.amax(0) + 1e-3).all()
    assert not torch.allclose(after, before)
    normal = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), keepdim=True)
    kept = (y - y.mean((2, 3), keepdim=True)) / y.std((2, 3), keepdim=True)
    torch.testing.assert_close(kept, normal, atol=1e-3, rtol=1e-3)  # the content stays


def test_mixstyle_is_for_training_alone():
    net = build(NARROW)
    Objective(GeneraliseKeys(mixstyle=1.0), net, per_picture)
    plain = build(NARROW)
    plain.load_state_dict(net.state_dict())
    x, _ = batch_of()
    torch.testing.assert_close(net.eval()(x), plain.eval()(x))
    torch.manual_seed(3)
    mixed = net.train()(x)
    assert not torch.allclose(mixed, plain.train()(x))


def test_contrastive_loss_is_the_equation():
    torch.manual_seed(1)
    features, labels = torch.randn(5, 3), torch.tensor([0, 1, 0, 1, 0])
    z = features / features.norm(dim=1, keepdim=True)
    expected = []
    for i in range(5):
        others = [a for a in range(5) if a != i]
        below = sum(torch.exp(z[i] @ z[a] / TEMPERATURE) for a in others)
        same = [p for p in others if labels[p] == labels[i]]
        shares = [torch.log(torch.exp(z[i] @ z[p] / TEMPERATURE) / below) for p in same]
        expected.append(-sum(shares) / len(same))
    torch.testing.assert_close(contrastive_loss(features, labels), sum(expected) / 5)


def test_a_batch_without_two_of_a_class_has_no_contrast():
    assert contrastive_loss(torch.randn(2, 3), torch.tensor([0, 1])) == 0


def test_consistency_is_the_jensen_shannon_divergence():
    logits = torch.tensor([2.0, -1.0, 0.3, 0.3])
    p, q = torch.sigmoid(torch.tensor(2.0)), torch.sigmoid(torch.tensor(-1.0))
    first, other = torch.stack([p, 1 - p]), torch.stack([q, 1 - q])
    middle = (first + other) / 2
    kl = [(d * (d / middle).log()).sum() for d in (first, other)]
    torch.testing.assert_close(consistency_loss(logits), (sum(kl) / 2 + 0) / 2)


def test_a_group_with_a_larger_loss_gains_weight():
    net = build(NARROW).eval()
    objective = Objective(GeneraliseKeys(worst_group=0.5), net, per_picture, 3)
    x, y = batch_of()
    groups = torch.tensor([0, 0, 2, 2])
    each = per_picture(net(x), y).detach()
    means = torch.stack([each[:2].mean(), torch.tensor(0.0), each[2:].mean()])
    expected = torch.exp(0.5 * means) / torch.exp(0.5 * means).sum()
    loss = objective.backward(Single(), net, (x, y), groups)
    torch.testing.assert_close(objective.weights, expected)
    shares = expected[[0, 2]] / expected[[0, 2]].sum()
    assert loss == pytest.approx(float((shares * means[[0, 2]]).sum()), abs=1e-6)


def test_sharpness_aware_minimisation_takes_the_gradient_uphill_and_comes_back():
    torch.manual_seed(1)
    net, radius = build(NARROW).eval(), 0.05
    x, y = batch_of()
    groups = torch.zeros(4, dtype=torch.int64)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    per_picture(net(x), y).mean().backward()
    gradients = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    length = torch.stack([g.norm() for g in gradients.values()]).norm()
    uphill = build(NARROW).eval()
    uphill.load_state_dict(before)
    with torch.no_grad():
        for name, parameter in uphill.named_parameters():
            if name in gradients:
                parameter.add_(gradients[name] * radius / length)
    per_picture(uphill(x), y).mean().backward()
    net.zero_grad()
    objective = Objective(GeneraliseKeys(sam_radius=radius), net, per_picture)
    objective.backward(Single(), net, (x, y), groups)
    wanted = dict(uphill.named_parameters())
    for name, parameter in net.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, wanted[name].grad, atol=1e-5, rtol=1e-3)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["meso4", "mesoinception4"])
def test_the_published_networks_take_every_method(architecture):
    keys = GeneraliseKeys(mixstyle=1.0, sam_radius=0.05, worst_group=0.1, contrastive=0.1)
    net = build(architecture).train()
    objective = Objective(keys, net, per_picture, 2)
    x, y = torch.rand(4, 3, 256, 256), torch.tensor([0.0, 1.0, 0.0, 1.0])
    loss = objective.backward(Single(), net, (x, y), y.long())
    assert np.isfinite(loss)
    assert all(p.grad is not None for p in net.parameters())


def test_frozen_stages_keep_weights_and_statistics(fabric, fit_whole, tmp_path):
    recipe = recipe_of(frozen=2)
    at = EpochPosition(recipe, fabric)
    start = {name: value.clone() for name, value in at.mean.state_dict().items()}
    fit_whole(recipe, tmp_path / "run")
    end = checkpoint.best_weights(tmp_path / "run")
    for name, value in start.items():
        still = name.startswith(("stem", "blocks.0.", "blocks.1.", "blocks.2."))
        if still:
            torch.testing.assert_close(end[name], value)
    assert not torch.equal(end["dense.weight"], start["dense.weight"])


def test_freezing_names_the_first_layers():
    net = build(NARROW)
    freeze(net, 1)
    free = {name for name, p in net.named_parameters() if p.requires_grad}
    assert not any(name.startswith(("stem", "blocks.0.")) for name in free)
    assert any(name.startswith("blocks.1.") for name in free)


def test_groups_are_classes_of_sources(data):
    groups = groups_of(data.train, sources_of(data.train))
    assert set(groups) == {0, 1}
    assert [g % 2 for g in groups] == [s.label for s in data.train]


def test_two_views_show_one_picture_in_two_augmentations(data):
    recipe = recipe_of()
    first, again, other = (
        training_crop(data.train[0], recipe, (1, 2, 3), view=view) for view in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "keys",
    [
        GeneraliseKeys(mixstyle=0.5),
        GeneraliseKeys(sam_radius=0.05),
        GeneraliseKeys(worst_group=0.5),
        GeneraliseKeys(contrastive=0.1),
        GeneraliseKeys(consistency=1.0),
    ],
)
def test_a_resumed_run_ends_as_one_that_was_not_killed(keys, fit_whole, fit_in_parts, tmp_path):
    recipe = recipe_of(keys, epochs=2)
    fit_whole(recipe, tmp_path / "whole")
    fit_in_parts(recipe, tmp_path / "parts")
    whole, parts = last(tmp_path / "whole"), last(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value)


def test_consistency_and_mixing_are_told_apart(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[generalise]\nconsistency = 1.0\n[mix]\nmixup = 0.1\n")
    with pytest.raises(RecipeError, match=r"sees each crop twice: set mix\.mixup"):
        read_recipe(path)


def test_more_frozen_stages_than_there_are_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[network]\narchitecture = "meso4"\nfrozen_stages = 5\n')
    with pytest.raises(RecipeError, match=r"network\.frozen_stages must be at most 4"):
        read_recipe(path)


def test_what_is_off_leaves_the_digest_of_a_recipe():
    assert "generalise" in Recipe().to_dict()
    assert Recipe().sha256() != Recipe(generalise=GeneraliseKeys(mixstyle=0.5)).sha256()


def recipe_of(keys=None, *, frozen=0, epochs=1):
    return Recipe(
        network=NetworkKeys(
            architecture="meso4_ira",
            stem=8,
            widths=(8, 8, 8, 8),
            expanded=(16,) * 7,
            frozen_stages=frozen,
        ),
        data=DataKeys(images_per_epoch=8),
        mix=MixKeys(),
        optimise=OptimiseKeys(epochs=epochs, batch_size=4),
        generalise=keys or GeneraliseKeys(),
    )


def last(run):
    return checkpoint.load(run / "checkpoints/last.safetensors")[0]
