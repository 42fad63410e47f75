"""Runs of the training loop on a few pictures: whole ones, and ones that are killed and resumed."""

import pytest
from lightning_fabric import Fabric

from mesoscope.data.manifest import read_dataset
from mesoscope.training.data.dataset import survey
from mesoscope.training.fit.loop import fit


class Quiet:
    def step(self, **_what):
        pass

    def epoch(self, *_):
        pass


class KilledError(Exception):
    pass


class Kills(Quiet):
    def epoch(self, *_):
        raise KilledError


@pytest.fixture
def fabric():
    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture
def data(make_dataset):
    return survey(
        read_dataset(make_dataset()),
        where="set",
        skip_unreadable=False,
        watch=lambda items, _: items,
    )


@pytest.fixture
def fit_whole(data, fabric):
    """``fit_whole(recipe, run)`` → the final state of a run from its beginning to its end."""

    def run_of(recipe, run):
        (run / "checkpoints").mkdir(parents=True)
        return fit(recipe, data, run, fabric, Quiet(), resume=False)

    return run_of


@pytest.fixture
def fit_in_parts(data, fabric):
    """``fit_in_parts(recipe, run)``: the same, killed after the first epoch and resumed."""

    def run_of(recipe, run):
        (run / "checkpoints").mkdir(parents=True)
        with pytest.raises(KilledError):
            fit(recipe, data, run, fabric, Kills(), resume=False)
        return fit(recipe, data, run, fabric, Quiet(), resume=True)

    return run_of
