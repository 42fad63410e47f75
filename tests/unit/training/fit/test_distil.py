"""A teacher's opinion in the labels."""

import dataclasses

import numpy as np
import onnx
import pytest
import torch

from mesoscope.detection.scorer import OnnxScorer, check_pictures
from mesoscope.errors import RecipeError
from mesoscope.models.file import read_card, shipped
from mesoscope.training.export.onnx_export import with_card
from mesoscope.training.fit import checkpoint
from mesoscope.training.fit.checkpoint import TrainingState
from mesoscope.training.fit.distil import (
    Teacher,
    _scorer_of_windows,
    open_teacher,
    teacher_weights,
)
from mesoscope.training.recipe.keys import DistilKeys

MODEL = shipped()["meso4"]


def test_labels_move_towards_the_teacher_by_its_share():
    crops = np.concatenate([check_pictures(), check_pictures()[:1]])
    labels = np.array([0, 1, 0, 1, 0], np.float32)
    wanted = OnnxScorer(MODEL).score(crops).p_fake
    for share in (0.25, 1.0):
        taught = Teacher(DistilKeys(str(MODEL), share)).soft_labels(crops, labels)
        np.testing.assert_allclose(taught, (1 - share) * labels + share * wanted, atol=1e-5)
        assert taught.dtype == np.float32


def test_a_teacher_sees_the_windows_that_the_student_sees():
    small = shipped()["mesoscope-small"]
    pictures = check_pictures()
    windows = np.ascontiguousarray(pictures[:, 32:224, 32:224])
    none = np.zeros(len(pictures), np.float32)
    seen = Teacher(DistilKeys(str(small), 1.0), window_px=192).soft_labels(windows, none)
    assert seen.shape == none.shape
    assert np.ptp(seen) > 0.01
    whole = _scorer_of_windows(small, 256, read_card(small))(pictures)
    np.testing.assert_allclose(whole, OnnxScorer(small).score(pictures).p_fake, atol=1e-5)


def test_a_teacher_that_takes_no_windows_says_what_to_do():
    with pytest.raises(RecipeError, match=r"takes no crops of 192 px: set augment.window_px=0"):
        Teacher(DistilKeys(str(MODEL), 0.5), window_px=192)


def test_a_quantised_teacher_of_windows_is_sent_to_its_original(tmp_path):
    card = dataclasses.replace(read_card(MODEL), quantisation={"original": "mine@12345678"})
    path = tmp_path / "int8.onnx"
    path.write_bytes(with_card(onnx.load(MODEL), card))
    with pytest.raises(RecipeError, match="takes whole crops only: give its original, mine@1234"):
        Teacher(DistilKeys(str(path), 0.5), window_px=192)


def test_a_teacher_may_be_a_shipped_model_by_its_name():
    assert Teacher(DistilKeys("meso4", 0.5)).model_id == OnnxScorer(MODEL).model_id


def test_without_a_share_no_file_is_opened():
    assert open_teacher(DistilKeys("nowhere.onnx", 0.0)) is None


def test_a_missing_teacher_says_what_to_do():
    with pytest.raises(RecipeError, match=r"distil.teacher: nowhere.onnx: .*teacher.toml"):
        open_teacher(DistilKeys("nowhere.onnx", 0.5))


def test_a_teachers_weights_are_the_best_of_its_run(tmp_path):
    best = {"mean.a.weight": torch.ones(2)}
    (tmp_path / "checkpoints").mkdir()
    checkpoint.save(tmp_path / "checkpoints/best.safetensors", best, TrainingState())
    found = teacher_weights(DistilKeys(str(tmp_path / "model.onnx"), 0.5))
    assert list(found) == ["a.weight"]
    assert torch.equal(found["a.weight"], torch.ones(2))


def test_a_teacher_outside_of_a_run_has_no_weights_to_give(tmp_path):
    with pytest.raises(RecipeError, match=r"'teacher' takes the weights of .* holds none: name"):
        teacher_weights(DistilKeys(str(tmp_path / "model.onnx"), 0.5))
