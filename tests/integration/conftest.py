"""What several commands need and is dear to make: one trained run for all tests of a machine."""

from pathlib import Path

import pytest
from filelock import FileLock

from command_line import mesoscope

RECIPE = """
name = "tiny"
seed = 5
[data]
images_per_epoch = 16
[optimise]
epochs = 1
batch_size = 8
ema_decay = 0.8
"""


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory, write_faces):
    """A run folder of Meso-4 and its data set, for tests that only read them.

    With several workers the first one trains, and the others wait for it.
    """
    pytest.importorskip("torch", reason="training needs mesoscope[train]")
    place = tmp_path_factory.getbasetemp()
    if place.name.startswith("popen-"):  # a worker's: the folder above is of all
        place = place.parent
    run, data = place / "trained/whole", place / "trained/one"
    with FileLock(place / "trained.lock"):
        if not (run / "MODEL_CARD.md").exists():
            write_faces(data, train=8, validation=5)
            recipe = place / "trained/tiny.toml"
            recipe.write_text(RECIPE)
            done = mesoscope("train", data, "--recipe", recipe, "--out", run)
            assert done.returncode == 0, done.stderr
    return Path(run), Path(data)
