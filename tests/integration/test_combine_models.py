"""``mesoscope models combine``: one file that gives the mean of the logits of several."""

import dataclasses
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from mesoscope import Detector
from mesoscope.cli.main import mesoscope
from mesoscope.data.manifest import read_datasets
from mesoscope.detection.scorer import OnnxScorer, check_pictures, open_session, self_check
from mesoscope.errors import ModelError, OptionError
from mesoscope.models.file import model_id, read_card, shipped, verify_bytes

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch", reason="the train extra is not installed")

from mesoscope.training.adopt.ensemble import _unclip, combine_models  # noqa: E402 - only where installed
from mesoscope.training.export.onnx_export import with_card  # noqa: E402

TWO = ("mesoscope-medium", "meso4")  # maps of 8×8 and of other sizes, each with a guard


@pytest.fixture(scope="module")
def combined(tmp_path_factory, write_faces):
    folder = tmp_path_factory.mktemp("ensemble")
    write_faces(folder / "set", train=1, validation=6)
    paths = [shipped()[name] for name in TWO]
    combine_models(paths, folder / "both.onnx", name="both", datasets=[folder / "set"])
    return folder / "both.onnx"


@pytest.fixture(scope="module")
def scores(combined):
    pictures = check_pictures(256)
    members = [OnnxScorer(shipped()[name]).score(pictures, heat=True) for name in TWO]
    return OnnxScorer(combined).score(pictures, heat=True), members


def test_the_logit_is_the_calibrated_mean_of_the_members(combined, scores):
    found, members = scores
    fit = read_card(combined).calibration
    assert fit.scale > 0
    mean = np.mean([member.logit for member in members], axis=0)
    assert found.logit == pytest.approx(fit.scale * mean + fit.shift, abs=1e-4)
    assert found.p_fake == pytest.approx(1 / (1 + np.exp(-found.logit)), abs=1e-5)


def signed_map(name, pictures):
    """A member's evidence map with its negative values, ``(n, h, w)``."""
    model = onnx.load(shipped()[name])
    _unclip(model, "heat")
    session = open_session(model.SerializeToString(), name, threads=1)
    return session.run(["heat"], {"crops": pictures})[0]


def test_the_map_is_the_mean_before_evidence_for_real_is_clipped(combined, scores):
    found, members = scores
    maps = [signed_map(name, check_pictures(256)) for name in TWO]
    for signed, member in zip(maps, members, strict=True):
        np.testing.assert_allclose(np.maximum(signed, 0), member.heat, atol=1e-6)
        assert signed.min() < 0
    side = max(one.shape[1] for one in maps)
    alike = [
        np.stack([cv2.resize(m, (side, side)) * (m.shape[0] / side) ** 2 for m in one])
        for one in maps
    ]
    wanted = np.maximum(read_card(combined).calibration.scale * np.mean(alike, axis=0), 0)
    np.testing.assert_allclose(found.heat, wanted, atol=1e-3 * wanted.max())


def test_a_face_is_unfamiliar_if_it_is_to_one_member(combined, scores):
    found, members = scores
    above = [read_card(shipped()[name]).guard.unfamiliar_above for name in TWO]
    shares = [m.unfamiliar / limit for m, limit in zip(members, above, strict=True)]
    assert found.unfamiliar == pytest.approx(np.max(shares, axis=0), rel=1e-5)
    guard = read_card(combined).guard
    assert guard.unfamiliar_above == 1
    root = combined.parent / "set"
    verdicts = Detector(combined, faces="whole").check_many(
        [sample.picture for sample in read_datasets([root]) if sample.split == "validation"]
    )
    refused = [verdict.reason == "unfamiliar" for verdict in verdicts]
    assert guard.false_refusals == pytest.approx(np.mean(refused), abs=1e-5)
    assert guard.rule.count("Mahalanobis distance of ") == 2


def test_the_file_is_a_model_like_any_other(combined, astronaut_face):
    verify_bytes(combined)
    assert self_check(OnnxScorer(combined)) <= 1e-6
    card, cards = read_card(combined), [read_card(shipped()[name]) for name in TWO]
    assert card.parameters == sum(one.parameters for one in cards)
    assert card.face_margin == cards[0].face_margin
    assert all(model_id(shipped()[name]) in card.source for name in TWO)
    verdict = Detector(combined, faces="whole").check(astronaut_face)
    assert verdict.label in ("real", "fake", "inconclusive")


@pytest.mark.parametrize(("bits", "size"), [(16, 0.65), (8, 0.5)])
def test_a_smaller_file_answers_almost_alike(combined, tmp_path, write_faces, bits, size):
    write_faces(tmp_path / "set", train=1, validation=6)
    paths, half = [shipped()[name] for name in TWO], tmp_path / "half.onnx"
    combine_models(paths, half, name="half", datasets=[tmp_path / "set"], bits=bits)
    verify_bytes(half)
    assert half.stat().st_size < size * combined.stat().st_size
    assert read_card(half).parameters == read_card(combined).parameters
    pictures = check_pictures(256)
    both = [OnnxScorer(path).score(pictures, heat=True) for path in (combined, half)]
    assert both[1].p_fake == pytest.approx(both[0].p_fake, abs=2e-2)
    assert np.corrcoef(both[0].heat.ravel(), both[1].heat.ravel())[0, 1] > 0.95
    assert self_check(OnnxScorer(half)) <= 1e-6


def test_command_writes_the_file_and_prints_its_thresholds(tmp_path, make_dataset):
    out = tmp_path / "pair.onnx"
    line = ["models", "combine", "mesoscope-small", "meso4", "--calibrate", str(make_dataset())]
    result = CliRunner().invoke(mesoscope, [*line, "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert f"{model_id(out)}: fake from" in result.output
    assert ("every verdict will be inconclusive" in result.output) == (
        read_card(out).thresholds.fake_above == 1 and read_card(out).thresholds.real_below == 0
    )
    again = CliRunner().invoke(mesoscope, [*line, "-o", str(out)])
    assert isinstance(again.exception, OptionError)
    assert "force" in str(again.exception)


def test_too_few_and_the_same_twice_are_refused(tmp_path):
    one = shipped()["meso4"]
    with pytest.raises(OptionError, match="2 to 16 models, got 1"):
        combine_models([one], tmp_path / "x.onnx", name="x", datasets=[tmp_path])
    shutil.copy(one, tmp_path / "copy.onnx")
    with pytest.raises(OptionError, match="named twice"):
        combine_models(
            [one, tmp_path / "copy.onnx"], tmp_path / "x.onnx", name="x", datasets=[tmp_path]
        )
    assert not (tmp_path / "x.onnx").exists()


def test_a_quantised_member_and_one_that_another_holds_are_refused(combined, tmp_path):
    out = tmp_path / "x.onnx"
    one = shipped()["meso4"]
    card = dataclasses.replace(read_card(one), quantisation={"original": "meso4@12345678"})
    (tmp_path / "int8.onnx").write_bytes(with_card(onnx.load(one), card))
    for paths, error, said in (
        ([one, tmp_path / "int8.onnx"], ModelError, "combine its original, meso4@12345678"),
        ([combined, one], OptionError, r"both.onnx holds meso4@\w+ already"),
    ):
        with pytest.raises(error, match=said):
            combine_models(paths, out, name="x", datasets=[combined.parent / "set"])
    assert not out.exists()


def test_what_members_were_trained_on_is_told_once(combined):
    told = read_card(combined).training_data
    sentence = "The pictures are not part of this project"
    assert all(sentence in read_card(shipped()[name]).training_data for name in TWO)
    assert told.count(sentence) == 1


def test_members_that_read_other_crops_are_refused(tmp_path, make_dataset):
    one = shipped()["meso4"]
    card = dataclasses.replace(read_card(one), crop_margin=1.2)
    (tmp_path / "loose.onnx").write_bytes(with_card(onnx.load(one), card))
    with pytest.raises(ModelError, match=r"crop_margin is 1.2, and that of .* 1.0"):
        combine_models(
            [one, tmp_path / "loose.onnx"],
            tmp_path / "x.onnx",
            name="x",
            datasets=[make_dataset()],
        )
