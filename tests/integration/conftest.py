"""What several commands need and is dear to make: one trained run for all tests of a machine."""

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock

from command_line import mesoscope

DOT = cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes()
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


DRAWN = ("test_report_browser", "test_evaluate_robustness")  # they look at the plots


@pytest.fixture(autouse=True)
def _quick_plots(request, monkeypatch):
    """Encode no plots of evaluations: they are made, but laid out and drawn in two files alone."""
    if request.path.stem not in DRAWN and find_spec("matplotlib"):
        monkeypatch.setattr("mesoscope.report.page.png", lambda figure, *, colours=None: DOT)
