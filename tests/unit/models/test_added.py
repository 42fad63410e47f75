"""Models that a user added to a folder, by their names."""

import pytest

from mesoscope.errors import OptionError
from mesoscope.models.added import added_models, named_model, remove_model


@pytest.fixture
def folder(tmp_path):
    for name in ("swin", "mesoscope"):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / f"{name}.onnx").write_bytes(b"")
    return tmp_path / "models"


def test_names_are_those_of_the_files(folder, tmp_path):
    assert list(added_models(folder)) == ["mesoscope", "swin"]
    assert added_models(tmp_path / "none") == {}


def test_a_shipped_model_and_a_file_go_before_an_added_one(folder, tmp_path, monkeypatch):
    assert named_model("swin", folder) == str(folder / "swin.onnx")
    assert named_model("mesoscope", folder) == "mesoscope"
    assert named_model("../swin", folder) == "../swin"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "swin").write_bytes(b"")
    assert named_model("swin", folder) == "swin"


def test_a_removed_model_is_gone(folder):
    assert remove_model("swin", folder) == folder / "swin.onnx"
    with pytest.raises(OptionError, match=r"no model swin was added: .* \(added: mesoscope\)"):
        remove_model("swin", folder)
