"""Labelled clips through the one path: what is counted, what is kept, and how little."""

import numpy as np
import pytest

from mesoscope.data.manifest import Sample
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import Scores
from mesoscope.evaluation.evaluate import MOST_STRIPS, evaluate
from mesoscope.types import Face, FaceScore, Found, ModelCard, Thresholds, Verdict


class Brightness:
    """p_fake = mean brightness of the crop."""

    card = ModelCard("brightness", "none", thresholds=Thresholds(0.3, 0.7), face_margin=1.0)
    model_id = "brightness@00000000"

    def score(self, crops, *, heat=False):
        p = crops.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
        return Scores(p, p, None)


class Squares:
    """Finds one square of 80 pixels where the frame is not black in the middle."""

    name = "squares"

    def find(self, frames):
        return [
            Found((Face((40.0, 20.0, 120.0, 100.0)),) if f.pixels[60, 80].max() > 8 else (), "s")
            for f in frames
        ]


def frames(*levels):
    pictures = []
    for level in levels:
        pixels = np.zeros((120, 160, 3), np.uint8)
        pixels[20:100, 40:120] = level
        pictures.append(pixels)
    return pictures


def detector(**options):
    made = Detector(Brightness(), **options)
    made._finder = Squares()
    return made


@pytest.fixture
def samples(make_clip, tmp_path):
    """Four reals: told fake, real, none (no face), unreadable; three fakes: real, fake, few."""

    def clip(name, label, *levels, group=None):
        path = make_clip(frames(*levels), name)
        return Sample(path, label, "made", group or name, "")

    (tmp_path / "r4.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(300))
    return [
        clip("r1.mp4", 0, *[230] * 6, group="speaker"),
        clip("r2.mp4", 0, *[40] * 6, group="speaker"),
        clip("r3.mp4", 0, *[0] * 6),
        Sample(tmp_path / "r4.mp4", 0, "made", "r4", ""),
        clip("f1.mp4", 1, *[25] * 6),
        clip("f2.mp4", 1, *[240] * 6),
        clip("f3.mp4", 1, 200, 200, *[0] * 4),
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_figure_is_that_of_a_hand_computation(samples, jobs):
    found = evaluate(samples, detector(jobs=jobs), clips=True, resamples=20)
    assert [p.answer for p in found.predictions] == [
        "fake",
        "real",
        "none",
        "unreadable",
        "real",
        "fake",
        "none",
    ]
    assert [p.reason for p in found.predictions][2::4] == ["no_face", "few_frames"]
    assert found.predictions[3].error["code"].startswith("source.")
    real, fake = found.answer_counts
    assert real.counts == {"fake": 1, "real": 1, "inconclusive": 0, "none": 1, "unreadable": 1}
    assert fake.counts == {"fake": 1, "real": 1, "inconclusive": 0, "none": 1, "unreadable": 0}
    # Two of the four reals are one speaker: (2 + 1 + 1)^2 / (4 + 1 + 1) = 16 / 6 are they worth.
    assert fake.intervals["inconclusive"][1] == pytest.approx(1 - 0.025 ** (1 / 3))
    assert real.intervals["inconclusive"][1] == pytest.approx(1 - 0.025 ** (6 / 16))
    values = found.overall.values
    # Scored: reals .90 and .16, fakes .10, .94 and .78 (in too few frames for a label).
    assert values["coverage"] == pytest.approx(5 / 7)
    assert values["accuracy"] == pytest.approx(3 / 5)
    assert values["accuracy_of_all"] == pytest.approx(3 / 7)
    assert values["auc"] == pytest.approx(3 / 6)  # .94 beats both, .78 one, .10 none
    assert values["decided"] == pytest.approx(4 / 5)
    assert values["error_among_decided"] == pytest.approx(2 / 4)
    assert found.conditions["splits"] == {"none": 7}
    assert found.conditions["kinds"] == {"clip": 7}
    assert found.conditions["frames"] == 32
    assert found.conditions["groups"] == 6
    first = found.predictions[0]
    assert (first.kind, first.frames, first.faces, first.persons) == ("clip", 6, 6, 1)
    assert first.duration_s == pytest.approx(0.24, abs=0.02)


def test_the_verdicts_of_the_most_wrong_are_kept_and_of_no_others(samples):
    found = evaluate(samples, detector(jobs=1), clips=True, resamples=0)
    kept = {p.path.rpartition("/")[2]: p.seen for p in found.predictions if p.seen is not None}
    assert set(kept) == {"r1.mp4", "f1.mp4"}
    assert len(kept["r1.mp4"].faces) == 6


def test_without_clips_a_video_is_no_sample(samples):
    found = evaluate(samples[:2], detector(), resamples=0)
    assert {p.error["code"] for p in found.predictions} == {"source.unsupported"}


class ManyWrong:
    """A detector that says fake of whatever it is asked, a little surer each time."""

    def __init__(self):
        self.made = detector()

    def __getattr__(self, name):
        return getattr(self.made, name)

    def check_many(self, sources, **_):
        for n, source in enumerate(sources):
            p = 0.75 + n / 1000
            faces = (FaceScore((0.0, 0.0, 9.0, 9.0), 1.0, p, time_s=0.0),)
            yield Verdict(source, "clip", "fake", p, "m", faces=faces)


def test_however_many_clips_are_wrong_few_verdicts_stay_in_memory():
    rows = [Sample(f"{n}.mp4", 0, "s", str(n), "") for n in range(200)]
    found = evaluate(rows, ManyWrong(), clips=True, resamples=0)
    kept = [p.path for p in found.predictions if p.seen is not None]
    assert kept == [f"{n}.mp4" for n in range(200 - MOST_STRIPS, 200)]
