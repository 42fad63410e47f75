"""A run's network trained on with another recipe, as a user does it."""

import pytest

from command_line import mesoscope

pytest.importorskip("torch", reason="training needs mesoscope[train]")

from mesoscope.models.file import read_card

pytestmark = pytest.mark.usefixtures("quick_export")

RECIPE = """
name = "tiny"
[data]
images_per_epoch = 16
[optimise]
epochs = 1
batch_size = 8
[decide]
guard = false
"""


def train(data, out, *settings, more=()):
    recipe = out.parent / "tiny.toml"
    recipe.write_text(RECIPE)
    command = ["train", data, "--recipe", recipe, "--out", out, "--accelerator", "cpu", *more]
    for setting in settings:
        command += ["--set", setting]
    done = mesoscope(*command)
    return done.returncode, done.stderr


@pytest.mark.timeout(600)
def test_a_run_is_trained_on_around_the_faces(tmp_path, make_dataset):
    data = make_dataset("one", train=6, validation=4)
    code, said = train(data, tmp_path / "first")
    assert code == 0, said
    assert read_card(tmp_path / "first/model.onnx").face_margin == 1.3
    assert "faces found" not in said

    further = (
        f'network.initial="{tmp_path / "first"}"',
        "augment.reframe=0.5",
        "data.face_margin=1.5",
        "data.further_margins=[1.2, 1.8]",
    )
    code, said = train(data, tmp_path / "second", *further)
    assert code == 0, said
    assert "of 12 train pictures" in said
    assert (tmp_path / "second/faces.npz").is_file()
    card = read_card(tmp_path / "second/model.onnx")
    assert (card.face_margin, card.further_margins) == (1.5, (1.2, 1.8))
    told = (tmp_path / "second/MODEL_CARD.md").read_text()
    assert "cut out 3 times, with 1.5, 1.2 and 1.8 times" in told
    assert "Trained on from the weights of the run first." in card.training_data

    wider = ('network.architecture="meso4_ira"', f'network.initial="{tmp_path / "first"}"')
    code, said = train(data, tmp_path / "third", *wider)
    assert code == 2
    assert "another shape" in said
    assert "Traceback" not in said
    assert "to train on" not in said  # said before any work, and nothing is begun
    assert not (tmp_path / "third").exists()

    # A run that goes on needs nothing of what it began with.
    (tmp_path / "second/model.onnx").unlink()
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    code, said = train(data, tmp_path / "second", *further, more=("--resume",))
    assert code == 0, said
