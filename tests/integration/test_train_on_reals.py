"""A detector trained from real faces alone, as a user does it."""

import cv2
import numpy as np
import pytest

from command_line import mesoscope

pytest.importorskip("torch", reason="training needs mesoscope[train]")

from mesoscope.data.manifest import read_dataset
from mesoscope.models.file import read_card

pytestmark = pytest.mark.usefixtures("quick_export")

RECIPE = """
name = "reals"
synth = {blend = 0.3, edit = 0.2}
[data]
images_per_epoch = 16
pairs = true
[optimise]
epochs = 1
batch_size = 8
[decide]
guard = false
"""


def train(root, out, *more):
    recipe = root.parent / "reals.toml"
    recipe.write_text(RECIPE)
    where = ("--recipe", recipe, "--out", out, "--accelerator", "cpu")
    done = mesoscope("train", root, *where, *more)
    return done.returncode, done.stderr


def write(root, split, pictures):
    folder = root / split / "real"
    folder.mkdir(parents=True)
    for number, pixels in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number:02d}.png"), pixels[:, :, ::-1])


@pytest.fixture
def reals(tmp_path, astronaut_face):
    """The one face, each time framed a little otherwise."""
    rng = np.random.default_rng(0)

    def framed():
        x, y = rng.integers(0, 24, 2)
        return np.ascontiguousarray(astronaut_face[y : y + 200, x : x + 200])

    root = tmp_path / "faces"
    write(root, "train", [framed() for _ in range(6)])
    write(root, "validation", [framed() for _ in range(4)])
    return root


@pytest.mark.timeout(600)
def test_from_folder_to_model_and_resumed(reals, tmp_path):
    run = tmp_path / "run"
    code, said = train(reals, run)
    assert code == 0, said
    assert "landmarks found in 10 of 10 real pictures" in said
    card = read_card(run / "model.onnx")
    assert "6 real + 0 fake" in card.training_data
    assert "blend 0.3, edit 0.2" in card.training_data
    assert "forgeries that were made in the same way" in card.training_data
    assert card.metrics["n"] == 8
    forged = sorted((run / "forged/fake").iterdir())
    assert len(forged) == len(list((run / "forged/real").iterdir())) == 4
    for path in forged:  # they are the reals of the split, and yet not
        forgery = cv2.imread(str(path)).astype(int)
        twin = cv2.imread(str(run / "forged/real" / path.name)).astype(int)
        assert 0 < np.abs(forgery - twin).mean() < 30
    before = [path.stat().st_mtime_ns for path in forged]
    code, said = train(reals, run, "--resume", "--set", "optimise.epochs=1")
    assert code == 0, said
    assert "landmarks found" not in said
    assert [path.stat().st_mtime_ns for path in forged] == before


def test_pictures_without_faces_are_refused_in_a_line(tmp_path):
    root = tmp_path / "things"
    flat = [np.full((80, 80, 3), shade, np.uint8) for shade in (40, 80, 120)]
    write(root, "train", flat[:2])
    write(root, "validation", flat[2:])
    code, said = train(root, tmp_path / "run")
    assert code == 1 or code == 2
    assert "no face was found in any of 2 real pictures" in said.splitlines()[-1]


def test_without_forgeries_in_the_recipe_fakes_are_asked_for(reals, tmp_path):
    code, said = train(reals, tmp_path / "run", "--set", "synth.blend=0", "--set", "synth.edit=0")
    assert code != 0
    assert "no fake pictures in train" in said.splitlines()[-1]
    assert len(read_dataset(reals)) == 10
