"""Plans, the recipe of a pruning run, and zeros in the exported file."""

import dataclasses
import gzip

import numpy as np
import onnx
import pytest
import torch
from lightning_fabric import Fabric
from onnx import numpy_helper

from mesoscope.detection.scorer import check_pictures
from mesoscope.errors import ModelMismatch, OptionError, RecipeError, RunError
from mesoscope.training.compress.prune import _refuse_lost_zeros, fine_tuning, prune_and_finetune
from mesoscope.training.compress.prune_plan import BEST, PrunePlan, refuse_other_plan, write_plan
from mesoscope.training.compress.sparsify import WeightPruning, prunable, sparsity_of
from mesoscope.training.export.onnx_export import export
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.checkpoint import TrainingState
from mesoscope.training.fit.watcher import SilentWatcher
from mesoscope.training.nets import NETWORKS, build
from mesoscope.training.recipe.keys import NetworkKeys, OptimiseKeys
from mesoscope.training.recipe.recipe import Recipe, read_recipe
from mesoscope.training.run import read_pictures
from mesoscope.types import Calibration, ModelCard


@pytest.fixture
def parent(tmp_path):
    """The folder of a run that ended."""
    run = tmp_path / "parent"
    (run / "checkpoints").mkdir(parents=True)
    recipe = Recipe(
        name="whole",
        network=NetworkKeys(architecture="meso4", dropout=0.1),
        optimise=OptimiseKeys(epochs=9, learning_rate=5e-3, warmup_epochs=2.0, patience=3),
    )
    (run / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    mean = checkpoint.pack("mean", checkpoint.plain(build("meso4")))
    checkpoint.save(run / BEST, mean, TrainingState(epoch=9, best_epoch=7))
    return run


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request, tmp_path_factory):
    """A network with 80 % zeros, its file, and the file of the same network without."""
    torch.manual_seed(1)
    folder, files = tmp_path_factory.mktemp(request.param), []
    whole, sparse = build(request.param).eval(), build(request.param).eval()
    WeightPruning(whole.state_dict(), 0.8, 0.0).put_in(sparse)
    for name, net in (("whole", whole), ("sparse", sparse)):
        card = ModelCard(name=name, architecture=request.param)
        files.append(folder / f"{name}.onnx")
        export(net, files[-1], card, Calibration(), check_crops=check_pictures()[:1])
    return sparse, *files


def layers_of(path):
    """The constant operands of a file's convolutions and dense layers."""
    graph = onnx.load(path).graph
    names = {
        name
        for node in graph.node
        if node.op_type in ("Conv", "Gemm", "MatMul")
        for name in node.input[:2]
    }
    return [numpy_helper.to_array(t) for t in graph.initializer if t.name in names]


def holds(array, gone):
    """Whether an array has zeros where a weight has them: as it is, turned, or in pairs."""
    if array.shape == gone.shape:
        return np.array_equal(array == 0, gone)
    if array.shape == gone.T.shape:
        return np.array_equal(array == 0, gone.T)
    filters, size = gone.shape[0], gone.shape[-1]
    if gone.ndim == 4 and array.shape == (2 * filters, *gone.shape[1:3], size + 1):
        even, odd = array[:filters, ..., :-1], array[filters:, ..., 1:]
        return np.array_equal(even == 0, gone) and np.array_equal(odd == 0, gone)
    return False


def test_every_zero_of_every_layer_stands_in_the_file(exported):
    net, _, sparse = exported
    arrays = layers_of(sparse)
    for name, weight in prunable(net).items():
        gone = (weight == 0).numpy()
        assert any(holds(array, gone) for array in arrays), name
    _refuse_lost_zeros(sparse, sparsity_of(net))


def test_a_sparse_file_compresses_to_less(exported):
    _, whole, sparse = exported
    before, after = (len(gzip.compress(path.read_bytes())) for path in (whole, sparse))
    assert after < 0.6 * before


def test_a_file_without_its_zeros_is_refused(exported):
    net, whole, _ = exported
    with pytest.raises(ModelMismatch, match="zeros"):
        _refuse_lost_zeros(whole, sparsity_of(net))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sparsity": 1.0},
        {"sparsity": -0.1},
        {"schedule": "soon"},
        {"finetune": -1},
        {"structured": True, "schedule": "gradual"},
    ],
    ids=str,
)
def test_a_plan_says_what_it_does_not_take(wrong):
    with pytest.raises(OptionError):
        PrunePlan(**wrong)


def test_a_plan_in_words_and_in_epochs():
    assert PrunePlan(finetune=4).ramp_epochs() == 2
    assert PrunePlan(finetune=4, schedule="oneshot").ramp_epochs() == 0
    assert PrunePlan(finetune=0).ramp_epochs() == 0
    assert "gradually" in PrunePlan().method()
    assert "fine-tuned for 1 epoch" in PrunePlan(finetune=1, schedule="oneshot").method()
    assert "not fine-tuned" in PrunePlan(finetune=0).method()
    assert "channels" in PrunePlan(structured=True, schedule="oneshot").method()


def test_fine_tuning_is_the_parents_recipe_at_a_fifth_of_its_rate(parent):
    trained = read_recipe(parent / "recipe.toml")
    recipe = fine_tuning(parent, trained, PrunePlan(finetune=3), ["data.images_per_epoch=64"])
    assert (recipe.name, recipe.network.dropout) == ("whole", 0.1)
    assert recipe.optimise.epochs == 3
    assert recipe.optimise.learning_rate == pytest.approx(1e-3)
    assert recipe.optimise.patience == 0
    assert recipe.data.images_per_epoch == 64
    assert recipe.optimise.weight_decay == trained.optimise.weight_decay


@pytest.mark.parametrize(
    ("override", "error"),
    [
        ("network.dropout=0.5", OptionError),
        ("optimise.epochs=3", OptionError),
        ("optimise.rate=3", RecipeError),
    ],
)
def test_overrides_that_a_pruning_run_does_not_take(parent, override, error):
    with pytest.raises(error, match=override.partition("=")[0]):
        fine_tuning(parent, read_recipe(parent / "recipe.toml"), PrunePlan(), [override])


def test_a_run_goes_on_with_the_plan_and_the_weights_that_it_began_with(parent, tmp_path):
    run, plan = tmp_path / "run", PrunePlan(0.4)
    run.mkdir()
    refuse_other_plan(run, plan, parent)  # nothing was begun yet
    write_plan(run, plan, parent)
    refuse_other_plan(run, plan, parent)
    with pytest.raises(RunError, match=r"sparsity 0\.4 and not 0\.5"):
        refuse_other_plan(run, dataclasses.replace(plan, sparsity=0.5), parent)
    mean = checkpoint.pack("mean", checkpoint.plain(build("meso4")))
    checkpoint.save(parent / BEST, mean, TrainingState())
    with pytest.raises(RunError, match="parent_weights_sha256"):
        refuse_other_plan(run, plan, parent)
    (run / "pruning.json").write_text("[]", encoding="utf-8")
    with pytest.raises(RunError, match="not a plan"):
        refuse_other_plan(run, plan, parent)


class Interrupted(SilentWatcher):
    """Stops a run after so many epochs, as a kill would: nothing is tidied up."""

    def __init__(self, epochs):
        self._epochs = epochs

    def epoch(self, record, state):
        if record["epoch"] == self._epochs:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "plan", [PrunePlan(0.6, finetune=3), PrunePlan(0.3, "oneshot", 3, True)], ids=str
)
def test_a_run_that_was_stopped_ends_as_an_unbroken_one(parent, tmp_path, make_dataset, plan):
    data = read_pictures(
        [make_dataset(train=4, validation=2)], Recipe(), SilentWatcher(), skip_unreadable=False
    )
    trained = read_recipe(parent / "recipe.toml")
    small = ["data.images_per_epoch=8", "optimise.batch_size=4", "optimise.ema_decay=0.5"]
    recipe = fine_tuning(parent, trained, plan, small)
    fabric = Fabric(accelerator="cpu", devices=1)

    def run(name, watcher, *, resume=False):
        folder = tmp_path / name
        ended = prune_and_finetune(
            parent, data, plan, folder, fabric, watcher, recipe, resume=resume
        )
        return ended, checkpoint.load(folder / BEST)[0]

    (narrow, whole), weights = run("whole", SilentWatcher())
    with pytest.raises(KeyboardInterrupt):
        run("broken", Interrupted(2))
    (again, state), same = run("broken", SilentWatcher(), resume=True)
    assert again == narrow
    assert state.best_epoch == whole.best_epoch >= plan.ramp_epochs()
    assert [r["auc"] for r in state.history] == [r["auc"] for r in whole.history]
    assert weights.keys() == same.keys()
    for name, value in weights.items():
        assert torch.equal(value, same[name]), name
    net = build(narrow.network)
    net.load_state_dict(checkpoint.unpack("mean", weights))
    assert sparsity_of(net)["overall"] == pytest.approx(
        0 if plan.structured else plan.sparsity, abs=1e-4
    )


def test_a_training_run_is_not_gone_on_with(parent):
    with pytest.raises(RunError, match="holds a training run"):
        refuse_other_plan(parent, PrunePlan(), parent)
