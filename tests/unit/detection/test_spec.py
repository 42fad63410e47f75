"""A detector's spec: one value that is compared, sent to other processes and built there."""

import dataclasses
import inspect
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

import mesoscope
from mesoscope.detection.detector import Detector, DetectorSpec
from mesoscope.detection.scorer import OnnxScorer, Scores
from mesoscope.errors import ModelMissing, OptionError
from mesoscope.models.file import find_model
from mesoscope.types import DetectOptions, ModelCard, Thresholds

GREY = np.full((96, 96, 3), 120, np.uint8)
SPEC = DetectorSpec("meso4", faces="whole", threshold=0.4, jobs=1, heat=True)


class Plain:
    card = ModelCard("plain", "none", thresholds=Thresholds(0.3, 0.7))
    model_id = "plain@00000000"

    def score(self, crops, *, heat=False):
        p = crops.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
        return Scores(p, p, None)


def judged(spec: DetectorSpec) -> str:
    return spec.build().check(GREY).to_json()


def without_times(line: str) -> str:
    return dataclasses.replace(mesoscope.Verdict.from_json(line), elapsed_s={}).to_json()


def test_a_spec_is_a_frozen_value():
    same = DetectorSpec("meso4", faces="whole", threshold=0.4, jobs=1, heat=True)
    assert SPEC == same != dataclasses.replace(same, heat=False)
    assert len({SPEC, same, DetectorSpec()}) == 2
    assert pickle.loads(pickle.dumps(SPEC)) == SPEC
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPEC.model = "mesoscope"


def test_another_process_builds_the_same_detector():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (theirs,) = pool.map(judged, [SPEC])
    assert without_times(theirs) == without_times(judged(SPEC))


def test_a_detector_gives_its_spec_back():
    by_keywords = Detector("meso4", faces="whole", threshold=0.4, jobs=1, heat=True)
    for detector in (by_keywords, Detector.from_spec(SPEC), SPEC.build()):
        assert detector.spec == SPEC
        assert detector.options == SPEC.options
        assert type(detector.options) is DetectOptions
        assert detector.thresholds.fake_above == 0.4
    assert DetectorSpec.of("meso4", SPEC.options) == SPEC


def test_paths_become_strings(tmp_path):
    path = find_model("meso4")
    spec = DetectorSpec(Path(path), finder_model=tmp_path / "yunet.onnx")
    assert (spec.model, spec.finder_model) == (str(path), str(tmp_path / "yunet.onnx"))


def test_a_scorer_of_ones_own_is_kept_and_not_copied():
    scorer = Plain()
    spec = DetectorSpec(scorer, faces="whole")
    assert spec.build().spec.model is scorer
    assert hash(spec) == hash(DetectorSpec(scorer, faces="whole"))
    assert dataclasses.replace(spec, frames=4).build()._scorer is scorer


def test_an_open_model_travels_by_its_path():
    scorer = OnnxScorer(find_model("meso4"))
    sent = pickle.loads(pickle.dumps(DetectorSpec(scorer, faces="whole")))
    assert sent.model.model_id == scorer.model_id
    assert sent.build().check(GREY).p_fake == DetectorSpec(scorer).build().check(GREY).p_fake


def test_a_bad_spec_is_refused_when_it_is_made_and_a_missing_model_when_it_is_built():
    with pytest.raises(OptionError, match="frames must be at least 1, got 0"):
        DetectorSpec(frames=0)
    with pytest.raises(OptionError, match="exclude each other"):
        DetectorSpec(fpr=0.1, threshold=0.5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'frams'"):
        Detector(frams=3)
    with pytest.raises(ModelMissing, match="none\\.onnx"):
        DetectorSpec("none.onnx").build()


@pytest.mark.parametrize("function", [Detector, mesoscope.check])
def test_every_field_is_a_keyword_that_help_shows(function):
    shown = inspect.signature(function).parameters
    for one in dataclasses.fields(DetectorSpec):
        assert shown[one.name].default == one.default
    assert set(shown) - {"source"} == {one.name for one in dataclasses.fields(DetectorSpec)}


def test_check_takes_its_source_by_name_too():
    assert mesoscope.check(source=GREY, model="meso4").model.startswith("meso4@")
