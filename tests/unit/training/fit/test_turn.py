"""Training from folders, from shards and from a stream of shards."""

import dataclasses

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from mesoscope.data.manifest import read_dataset
from mesoscope.data.shards.writing import write_shards
from mesoscope.errors import DatasetError
from mesoscope.training.data.dataset import survey, training_crop
from mesoscope.training.data.forging import ForgeryMaker
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.loop import fit, train_epoch
from mesoscope.training.fit.position import EpochPosition
from mesoscope.training.recipe.keys import DataKeys, NetworkKeys, OptimiseKeys, SynthKeys
from mesoscope.training.recipe.recipe import Recipe
from mesoscope.training.run import read_pictures

RECIPE = Recipe(
    network=NetworkKeys(architecture="meso4"),
    data=DataKeys(images_per_epoch=12),
    optimise=OptimiseKeys(epochs=2, batch_size=4),
)
STREAM = dataclasses.replace(
    RECIPE, data=DataKeys(images_per_epoch=12, read="stream", buffer=5, source_power=1.0)
)


class Quiet:
    def step(self, **_what):
        pass

    def epoch(self, record, state):
        pass

    def count(self, items, total, what):
        return items


@pytest.fixture(scope="module")
def fabric():
    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def sets(make_dataset, tmp_path):
    """One data set in folders, and in shards."""
    folder = make_dataset(train=8, validation=3)
    write_shards(folder, tmp_path / "shards", size_bytes=12_000)
    return folder, tmp_path / "shards"


def found(root):
    return survey(
        read_dataset(root), where="set", skip_unreadable=False, watch=lambda items, _: items
    )


def trained(root, recipe, run, fabric, **options):
    data = read_pictures([root], recipe, Quiet(), skip_unreadable=False)
    state = fit(recipe, data, run, fabric, Quiet(), **{"resume": False, **options})
    history = [{k: r[k] for k in ("epoch", "loss", "auc")} for r in state.history]
    return checkpoint.load(run / "checkpoints/last.safetensors")[0], history


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture
def run_folder(tmp_path):
    def make(name):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        return tmp_path / name

    return make


def test_a_survey_of_shards_is_that_of_the_folder(sets):
    folder, shards = map(found, sets)
    assert folder.digests == shards.digests
    for split in ("train", "validation"):
        rows = [[(s.label, s.group) for s in getattr(one, split)] for one in (folder, shards)]
        assert rows[0] == rows[1]


def test_folders_and_shards_train_to_the_same_bits(sets, run_folder, fabric):
    folder, shards = (
        trained(root, RECIPE, run_folder(name), fabric)
        for root, name in zip(sets, ("a", "b"), strict=True)
    )
    assert same(folder[0], shards[0])
    assert folder[1] == shards[1]


def test_a_stream_trains_alike_each_time_and_resumes(sets, run_folder, fabric):
    once, history = trained(sets[1], STREAM, run_folder("a"), fabric)
    again, _ = trained(sets[1], STREAM, run_folder("b"), fabric)
    assert same(once, again)
    assert [record["epoch"] for record in history] == [1, 2]

    class Stop(Quiet):
        def epoch(self, record, state):
            raise InterruptedError  # right after the first epoch's checkpoint

    data = read_pictures([sets[1]], STREAM, Quiet(), skip_unreadable=False)
    broken = run_folder("c")
    with pytest.raises(InterruptedError):
        fit(STREAM, data, broken, fabric, Stop(), resume=False)
    resumed, longer = trained(sets[1], STREAM, broken, fabric, resume=True)
    assert same(once, resumed)
    assert longer == history


def test_a_stream_shows_what_was_drawn_in_an_order_of_its_own(sets, fabric, monkeypatch):
    shown = []
    real = training_crop

    def crop(sample, *rest, **view):
        shown.append(sample)
        return real(sample, *rest, **view)

    monkeypatch.setattr("mesoscope.training.fit.loop.training_crop", crop)
    orders = {}
    data = found(sets[1])
    for name, recipe in (("random", RECIPE), ("stream", STREAM)):
        shown.clear()
        train_epoch(EpochPosition(recipe, fabric), recipe, data, fabric, Quiet(), epoch=0)
        orders[name] = [s.file for s in shown]
        assert all((s.held is not None) == (name == "stream") for s in shown)
        assert sum(s.label for s in shown) == 6  # classes as balanced as drawn
    assert sorted(orders["random"]) == sorted(orders["stream"])
    assert orders["random"] != orders["stream"]


def test_folders_are_not_streamed_and_nothing_is_read_before_it_is_said(sets, monkeypatch):
    monkeypatch.setattr("mesoscope.training.data.dataset.sample_bytes", pytest.fail)
    with pytest.raises(DatasetError, match="lies in no shard, and a stream is read from shards"):
        read_pictures([sets[0]], STREAM, Quiet(), skip_unreadable=False)


def test_a_stream_of_which_forgeries_are_made(sets, fabric, monkeypatch):
    data = found(sets[1])
    reals = tuple(s for s in data.train if s.label == 0)
    face = np.float32([[22, 28], [42, 28], [32, 38], [24, 48], [40, 48]])
    forge = ForgeryMaker(SynthKeys(blend=0.5), reals, np.broadcast_to(face, (len(reals), 5, 2)))
    made = []
    real = forge.shown
    monkeypatch.setattr(forge, "shown", lambda *a, **k: made.append((a[0], real(*a, **k))))
    data = dataclasses.replace(data, train=reals)
    at = EpochPosition(STREAM, fabric)
    train_epoch(at, STREAM, data, fabric, Quiet(), epoch=0, forge=forge)
    assert sum(s.label for s, _ in made) == 6
    assert all(s.held is not None for s, _ in made)
    assert all(pixels is not None for s, pixels in made if s.label)
