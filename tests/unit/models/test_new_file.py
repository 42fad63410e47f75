"""A model file that is about to be written."""

import pytest

from mesoscope.errors import OptionError
from mesoscope.models.added import name_of_model, refuse_model_file


def test_what_cannot_be_written_is_refused(tmp_path):
    refuse_model_file(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").touch()
    refuse_model_file(tmp_path / "m.onnx", force=True)
    for path, says in [
        (tmp_path / "m.onnx", "exists already: .* replace it with `force`"),
        (tmp_path / "m.pt", r"must be named \.onnx"),
        (tmp_path / "none/m.onnx", "there is no folder"),
    ]:
        with pytest.raises(OptionError, match=says):
            refuse_model_file(path)


def test_names_fit_into_an_id(tmp_path):
    assert name_of_model(None, tmp_path / "small.onnx") == "small"
    assert name_of_model("mine", tmp_path / "small.onnx") == "mine"
    for name in ("", "a@b", "a/b", "a\\b", "a\n"):
        with pytest.raises(OptionError, match="use printable characters"):
            name_of_model(name, tmp_path / "small.onnx")
