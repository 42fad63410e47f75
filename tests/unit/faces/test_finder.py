"""Which finder stands behind --faces."""

import pytest

from mesoscope.errors import ModelError, ModelMissing, OptionError
from mesoscope.faces.finder import AutoFinder, WholeFinder, WideEnough, finder_for
from mesoscope.faces.mtcnn import MtcnnFinder
from mesoscope.faces.yunet import YunetFinder
from mesoscope.types import DetectOptions


@pytest.mark.parametrize(
    ("faces", "kind"), [("whole", WholeFinder), ("mtcnn", MtcnnFinder), ("auto", AutoFinder)]
)
def test_a_finder_by_name(faces, kind):
    finder = finder_for(DetectOptions(faces=faces))
    if faces != "auto":  # asked only about pictures that can hold a face
        assert isinstance(finder, WideEnough)
        assert isinstance(finder._finder, kind)
    else:
        assert isinstance(finder, kind)
    assert finder.name == faces


def test_auto_prefers_yunet_where_it_has_its_model(yunet, photographs):
    (found,) = finder_for(DetectOptions(finder_model=str(yunet))).find([photographs["astronaut"]])
    assert found.finder == "yunet"
    (found,) = finder_for(DetectOptions()).find([photographs["astronaut"]])
    assert found.finder == "mtcnn"


def test_yunet_without_a_model_says_how_to_give_it():
    with pytest.raises(OptionError, match="mesoscope models add yunet FILE"):
        finder_for(DetectOptions(faces="yunet"))


@pytest.mark.parametrize("faces", ["mtcnn", "whole"])
def test_a_model_for_a_finder_that_takes_none(faces):
    with pytest.raises(OptionError, match=f"faces is '{faces}'"):
        finder_for(DetectOptions(faces=faces, finder_model="x.onnx"))


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ModelMissing, match=r"none\.onnx: no such file"):
        YunetFinder(tmp_path / "none.onnx")


def test_a_file_that_is_no_yunet(tmp_path):
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(ModelError, match=r"text\.onnx: not a YuNet face detector") as raised:
        YunetFinder(tmp_path / "text.onnx")
    assert "\n" not in str(raised.value)
