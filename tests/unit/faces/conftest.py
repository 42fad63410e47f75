"""Photographs and composed scenes as frames."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from mesoscope.types import Frame

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="session")
def scenes():
    """The module that composes scenes of known truth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("scenes")


@pytest.fixture(scope="session")
def photographs(scenes):
    """Photographs by name, as frames."""
    from skimage import data

    camera = np.stack([data.camera()] * 3, axis=-1)
    pictures = {
        "astronaut": data.astronaut(),
        "camera": camera,
        "chelsea": data.chelsea(),
        "rocket": data.rocket(),
        "grace_hopper": scenes.portraits()[1][0],
    }
    return {name: Frame(np.ascontiguousarray(p), name) for name, p in pictures.items()}
