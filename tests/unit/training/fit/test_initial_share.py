"""Exported weights between the initial and the trained ones (WiSE-FT), and how such runs resume."""

import dataclasses

import pytest
import torch

from mesoscope.errors import RecipeError
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.checkpoint import TrainingState
from mesoscope.training.fit.position import blend
from mesoscope.training.nets import build
from mesoscope.training.recipe.keys import DataKeys, MixKeys, NetworkKeys, OptimiseKeys
from mesoscope.training.recipe.recipe import Recipe, read_recipe

NARROW = NetworkKeys(
    architecture="meso4_ira", stem=8, widths=(8, 8, 8, 8), expanded=(16,) * 7, dropout=0.0
)
SHARE = 0.25


@pytest.fixture
def recipe(tmp_path):
    """A recipe that goes on from a run folder."""
    torch.manual_seed(4)
    first = tmp_path / "first"
    (first / "checkpoints").mkdir(parents=True)
    state = checkpoint.pack("mean", checkpoint.plain(build(NARROW)))
    checkpoint.save(first / "checkpoints/best.safetensors", state, TrainingState())
    return Recipe(
        network=dataclasses.replace(NARROW, initial=str(first)),
        data=DataKeys(images_per_epoch=8),
        mix=MixKeys(),
        optimise=OptimiseKeys(epochs=2, batch_size=4, initial_share=SHARE),
    )


def test_the_last_weights_are_exported_mixed_with_the_initial_ones(recipe, fit_whole, tmp_path):
    run = tmp_path / "run"
    state = fit_whole(recipe, run)
    assert state.best_epoch == 2
    initial = checkpoint.best_weights(tmp_path / "first")
    last = checkpoint.unpack("mean", checkpoint.load(run / "checkpoints/last.safetensors")[0])
    exported = checkpoint.best_weights(run)
    for name, tensor in exported.items():
        if tensor.is_floating_point():
            wanted = (1 - SHARE) * last[name] + SHARE * initial[name]
            torch.testing.assert_close(tensor, wanted)
    assert not torch.equal(exported["dense.weight"], last["dense.weight"])


def test_a_resumed_run_mixes_with_the_same_initial_weights(
    recipe, fit_whole, fit_in_parts, tmp_path
):
    fit_whole(recipe, tmp_path / "whole")
    fit_in_parts(recipe, tmp_path / "parts")
    whole = checkpoint.best_weights(tmp_path / "whole")
    for name, tensor in checkpoint.best_weights(tmp_path / "parts").items():
        torch.testing.assert_close(tensor, whole[name])


def test_all_or_nothing_of_the_initial_weights():
    torch.manual_seed(1)
    one, other = build(NARROW), build(NARROW)
    for share, wanted in ((0.0, one), (1.0, other)):
        mixed = blend(one, other.state_dict(), share)
        for name, tensor in mixed.state_dict().items():
            torch.testing.assert_close(tensor, wanted.state_dict()[name])
    assert not torch.equal(one.dense.weight, other.dense.weight)  # both are as they were


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("[optimise]\ninitial_share = 0.5", "needs a run folder or a model as"),
        (
            '[network]\ninitial = "mesoscope"\n[optimise]\ninitial_share = 0.5\npatience = 2',
            "exports the last epoch: leave optimise.patience out",
        ),
    ],
)
def test_what_cannot_be_mixed_is_refused(lines, said, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(lines)
    with pytest.raises(RecipeError, match=said):
        read_recipe(path)
