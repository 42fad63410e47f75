"""The one path, with a scorer whose answers are known."""

import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image

from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import Scores
from mesoscope.errors import ModelMissing, OptionError, SourceError, SourceMissing
from mesoscope.media.walk import Unreadable
from mesoscope.types import ModelCard, OperatingPoint, Thresholds, Verdict


class Brightness:
    """p_fake = mean brightness; remembers the batches."""

    card = ModelCard("brightness", "none", thresholds=Thresholds(0.3, 0.7))
    model_id = "brightness@00000000"

    def __init__(self):
        self.batches = []

    def score(self, crops, *, heat=False):
        self.batches.append(len(crops))
        p = crops.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
        return Scores(p, p, crops[:, ::8, ::8, 0].astype(np.float32) if heat else None)


def grey(level, side=64):
    return np.full((side, side, 3), level, np.uint8)


@pytest.fixture
def files(tmp_path):
    levels = [int(v) for v in np.linspace(0, 255, 37)]
    for n, level in enumerate(levels):
        cv2.imwrite(str(tmp_path / f"{n:03d}.png"), grey(level))
    return [str(tmp_path / f"{n:03d}.png") for n in range(37)], levels


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_verdicts_come_in_order_whatever_the_threads_and_batches(files, jobs, batch_size):
    paths, levels = files
    scorer = Brightness()
    detector = Detector(scorer, jobs=jobs, batch_size=batch_size)
    verdicts = list(detector.check_many(paths))
    assert [v.source for v in verdicts] == paths
    assert [v.p_fake for v in verdicts] == pytest.approx([v / 255 for v in levels], abs=1e-6)
    assert sum(scorer.batches) == len(paths)
    assert max(scorer.batches) == min(batch_size, len(paths))


def test_labels_follow_the_card(files):
    paths, levels = files
    for verdict, level in zip(
        Detector(Brightness(), faces="whole").check_many(paths), levels, strict=True
    ):
        p = level / 255
        assert verdict.label == ("fake" if p >= 0.7 else "real" if p < 0.3 else "inconclusive")


def test_a_false_positive_rate_takes_the_cards_threshold_for_it():
    scorer = Brightness()
    point = OperatingPoint(0.01, 0.9, 1000, 10, (0.005, 0.02), 900, 0.5, (0.4, 0.6))
    scorer.card = dataclasses.replace(Brightness.card, operating_points=(point,))
    detector = Detector(scorer, faces="whole", fpr=0.01)
    assert (detector.thresholds.real_below, detector.thresholds.fake_above) == (0.3, 0.9)
    labels = [verdict.label for verdict in detector.check_many([grey(v) for v in (60, 200, 240)])]
    assert labels == ["real", "inconclusive", "fake"]
    with pytest.raises(OptionError, match=r"rate of 0\.02: choose one of 0\.01"):
        Detector(scorer, fpr=0.02)
    with pytest.raises(OptionError, match="give one of them"):
        Detector(scorer, fpr=0.01, threshold=0.5)
    with pytest.raises(OptionError, match="between 0 and 1"):
        Detector(scorer, fpr=0.0)


def test_paths_bytes_arrays_and_pil_images_answer_alike(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (80, 70, 3), np.uint8)
    path = tmp_path / "x.png"
    Image.fromarray(picture).save(path)
    sources = [path, str(path), path.read_bytes(), picture, Image.fromarray(picture)]
    verdicts = list(Detector(Brightness()).check_many(sources))
    assert len({v.p_fake for v in verdicts}) == 1
    assert [v.source for v in verdicts[2:]] == ["<bytes>", "<array>", "<image>"]
    assert verdicts[0].faces[0].box == (0.0, 0.0, 70.0, 80.0)


def test_an_unreadable_source_raises_at_its_turn(files, tmp_path):
    paths, _ = files
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    answers = Detector(Brightness(), jobs=2).check_many([*paths[:20], str(broken), *paths[20:]])
    assert [next(answers).source for _ in range(20)] == paths[:20]
    with pytest.raises(SourceError, match=r"broken\.jpg"):
        next(answers)


def test_keep_going_turns_errors_into_rows(files, tmp_path):
    paths, _ = files
    lost = Unreadable("lost", SourceMissing("lost: no such file or folder"))
    sources = [paths[0], str(tmp_path / "none.jpg"), lost, paths[1]]
    verdicts = list(Detector(Brightness()).check_many(sources, keep_going=True))
    assert [v.label is None for v in verdicts] == [False, True, True, False]
    assert verdicts[1].error["code"] == "source.missing"
    assert verdicts[2].source == "lost"
    assert all(v.p_fake is None and v.reason == "unreadable" for v in verdicts[1:3])


def test_a_picture_too_small_to_judge_is_not_scored():
    scorer = Brightness()
    verdict = Detector(scorer).check(grey(200, side=12))
    assert (verdict.label, verdict.p_fake, verdict.reason) == (None, None, "face_too_small")
    assert not scorer.batches
    assert Detector(scorer, faces="whole", min_face_px=12).check(grey(200, side=12)).label == "fake"


def test_heat_comes_only_when_asked_for():
    assert Detector(Brightness()).check(grey(9)).faces[0].heat is None
    heat = Detector(Brightness(), heat=True).check(grey(9)).faces[0].heat
    assert heat.shape == (32, 32)
    assert (heat == 9).all()


def test_no_sources_no_verdicts():
    assert list(Detector(Brightness()).check_many([])) == []


def test_sources_are_read_no_further_ahead_than_needed(files):
    read = []

    def endless():
        while True:
            read.append(1)
            yield grey(9)

    answers = Detector(Brightness(), jobs=2).check_many(endless())
    next(answers)
    answers.close()
    assert len(read) < 100


def test_verdict_json_round_trip(files):
    verdict = Detector(Brightness()).check(files[0][5])
    assert Verdict.from_json(verdict.to_json()).to_dict() == verdict.to_dict()


@pytest.mark.parametrize(
    "options",
    [{"faces": "some"}, {"threshold": 1.5}, {"max_pixels": 0}, {"batch_size": 0}, {"jobs": -1}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        Detector(Brightness(), **options)


def test_an_unknown_model_is_named():
    with pytest.raises(ModelMissing, match="no-such-model"):
        Detector("no-such-model")


def test_a_small_picture_without_a_face_is_scored_and_not_decided():
    for level in (9, 250):
        verdict = Detector(Brightness(), faces="auto").check(grey(level))
        assert (verdict.label, verdict.reason) == ("inconclusive", "face_not_seen")
        assert verdict.p_fake == pytest.approx(level / 255, abs=1e-6)
        assert verdict.finder == "whole"
        assert "`faces=whole`" in verdict.notes[0]
