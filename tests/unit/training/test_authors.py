"""The authors' weights as a model file, from Python."""

import pytest

from mesoscope.errors import OptionError, WeightsError
from mesoscope.models.file import read_card
from mesoscope.training.adopt.authors import import_keras


@pytest.fixture
def weights(shared):
    if not (shared / "weights/expected.json").is_file():
        pytest.skip("../shared/weights is not there: it holds the authors' weights")
    return shared / "weights/Meso4_DF.h5"


def test_a_file_with_its_card(weights, tmp_path):
    out = tmp_path / "df.onnx"
    card = import_keras(weights, "meso4", out)
    assert read_card(out) == card
    assert (card.name, card.architecture, card.parameters) == ("df", "meso4", 27_977)
    with pytest.raises(OptionError, match="exists already"):
        import_keras(weights, "meso4", out)


def test_another_network_is_refused_and_nothing_is_written(weights, tmp_path):
    with pytest.raises(WeightsError, match="use `architecture=meso4`"):
        import_keras(weights, "mesoinception4", tmp_path / "df.onnx")
    assert list(tmp_path.iterdir()) == []
