"""Labelled pictures through the one path, with a scorer whose answers are known."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mesoscope import metrics
from mesoscope.data.manifest import Sample
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import Scores
from mesoscope.errors import OptionError
from mesoscope.evaluation.evaluate import NAMES, evaluate
from mesoscope.types import Guard, ModelCard, OperatingPoint, Thresholds


class Brightness:
    """p_fake = mean brightness."""

    card = ModelCard("brightness", "none", thresholds=Thresholds(0.3, 0.7))
    model_id = "brightness@00000000"

    def score(self, crops, *, heat=False):
        p = crops.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
        return Scores(p, p, None)


def sample(folder, name, level, label, source="one", group=None, split="validation", side=64):
    """A grey picture, of which the scorer says p_fake = level / 255."""
    path = folder / name
    Image.fromarray(np.full((side, side, 3), level, np.uint8)).save(path)
    return Sample(path, label, source, group or name, split)


@pytest.fixture
def samples(tmp_path):
    """Two sources: twelve pictures and one that is damaged; six, one of them too small."""
    draw = np.random.default_rng(0)
    rows = [
        sample(tmp_path, f"a{i}.png", int(draw.integers(20, 235)), i % 2, group=f"v{i // 3}")
        for i in range(12)
    ]
    rows += [sample(tmp_path, f"b{i}.png", 30 + 40 * i, int(i > 2), "two") for i in range(5)]
    rows.append(sample(tmp_path, "b-small.png", 10, 1, "two", side=12))
    damaged = tmp_path / "a-damaged.jpg"
    damaged.write_text("no picture")
    rows.insert(3, Sample(damaged, 1, "one", "v0", "validation"))
    return rows


def test_figures_are_those_of_the_scores(samples):
    found = evaluate(samples, Detector(Brightness(), faces="whole", jobs=2), resamples=20)
    assert [p.path for p in found.predictions] == [str(s.path) for s in samples]
    truth = [s.label for s in samples if s.path.name not in ("a-damaged.jpg", "b-small.png")]
    scores = [
        np.asarray(Image.open(s.path)).mean() / 255
        for s in samples
        if s.path.name not in ("a-damaged.jpg", "b-small.png")
    ]
    expected = metrics.measure(truth, scores)
    for name in metrics.METRICS:
        assert found.overall.values[name] == pytest.approx(expected[name], abs=1e-6)
    assert tuple(found.overall.values) == NAMES
    ones = [p for p in found.scored if p.source == "one"]
    of_one = metrics.measure([p.label for p in ones], [p.p_fake for p in ones])
    assert found.by_source["one"].values["auc"] == of_one["auc"]


def test_what_got_no_score_is_counted_and_listed_and_is_in_no_figure(samples):
    found = evaluate(samples, Detector(Brightness(), faces="whole"), resamples=20)
    assert dict(found.overall.counts) == {
        "n": 19, "n_real": 9, "n_fake": 10, "n_scored": 17, "n_unreadable": 1, "n_unscored": 1,
    }  # fmt: skip
    assert found.overall.values["coverage"] == pytest.approx(17 / 19)
    assert found.by_source["two"].values["coverage"] == pytest.approx(5 / 6)
    (unreadable,) = found.unreadable
    assert unreadable.path.endswith("a-damaged.jpg")
    assert unreadable.error["code"] == "source.unreadable"
    assert unreadable.p_fake is None
    (unscored,) = found.unscored
    assert (unscored.reason, unscored.p_fake) == ("face_too_small", None)
    low, high = found.overall.intervals["coverage"]
    assert low < 17 / 19 <= high <= 1


def test_decisions_are_those_of_the_card_or_of_the_threshold_asked_for(tmp_path):
    levels = [(0, 0), (60, 1), (100, 0), (200, 1), (255, 0)]  # real, real, unclear, fake, fake
    rows = [sample(tmp_path, f"{i}.png", level, label) for i, (level, label) in enumerate(levels)]
    by_card = evaluate(rows, Detector(Brightness(), faces="whole"), resamples=0)
    assert by_card.overall.values["decided"] == pytest.approx(4 / 5)
    assert by_card.overall.values["error_among_decided"] == pytest.approx(2 / 4)
    assert by_card.conditions["thresholds"]["fake_above"] == 0.7
    by_hand = evaluate(rows, Detector(Brightness(), faces="whole", threshold=0.2), resamples=0)
    assert by_hand.overall.values["decided"] == 1
    assert by_hand.overall.values["error_among_decided"] == pytest.approx(2 / 5)
    assert (by_hand.thresholds.real_below, by_hand.thresholds.fake_above) == (0.2, 0.2)
    assert by_hand.overall.values["accuracy"] == by_card.overall.values["accuracy"]


def test_unfamiliar_faces_are_counted_and_not_decided(tmp_path):
    class Guarded(Brightness):
        card = dataclasses.replace(Brightness.card, guard=Guard())

        def score(self, crops, *, heat=False):
            scores = super().score(crops, heat=heat)
            return scores._replace(unfamiliar=4 * (scores.p_fake - 0.5) ** 2 + 0.1)

    levels = [(0, 0), (60, 1), (100, 0), (200, 1), (255, 0)]  # the first and the last are strange
    rows = [sample(tmp_path, f"{i}.png", level, label) for i, (level, label) in enumerate(levels)]
    found = evaluate(rows, Detector(Guarded(), faces="whole"), resamples=0).overall.values
    assert found["unfamiliar"] == pytest.approx(2 / 5)
    assert found["decided"] == pytest.approx(2 / 5)
    assert found["error_among_decided"] == pytest.approx(1 / 2)
    free = evaluate(
        rows, Detector(Guarded(), faces="whole", guard=False), resamples=0
    ).overall.values
    assert (free["unfamiliar"], free["decided"]) == (0, pytest.approx(4 / 5))
    assert free["accuracy"] == found["accuracy"]


def test_mean_over_sources_counts_each_source_once(samples):
    found = evaluate(samples, Detector(Brightness(), faces="whole"), resamples=50)
    for name in ("accuracy", "auc"):
        both = [found.by_source[s].values[name] for s in ("one", "two")]
        assert found.mean_over_sources.values[name] == pytest.approx(np.mean(both))
        low, high = found.mean_over_sources.intervals[name]
        assert low <= found.mean_over_sources.values[name] <= high


def test_a_source_with_one_class_has_no_area_and_is_left_out_of_the_mean(tmp_path):
    rows = [sample(tmp_path, f"{i}.png", 50 * i, int(i > 2), "both") for i in range(5)]
    rows += [sample(tmp_path, f"r{i}.png", 10 + i, 0, "reals") for i in range(3)]
    found = evaluate(rows, Detector(Brightness(), faces="whole"), resamples=20)
    reals = found.by_source["reals"]
    assert math.isnan(reals.values["auc"])
    assert math.isnan(reals.intervals["auc"][0])
    assert reals.values["accuracy"] == 1
    assert found.mean_over_sources.values["auc"] == found.by_source["both"].values["auc"]
    written = found.to_dict()
    assert written["by_source"]["reals"]["auc"] is None
    assert written["by_source"]["reals"]["intervals"]["auc"] is None


def test_intervals_come_from_the_groups_of_each_source(tmp_path):
    """A group's name may stand in two sources: it is another group in each."""
    rows = [sample(tmp_path, f"{i}.png", 10 * i, i % 2, "one", f"g{i // 4}") for i in range(16)]
    rows += [sample(tmp_path, f"t{i}.png", 9 * i, i % 2, "two", f"g{i // 4}") for i in range(16)]
    found = evaluate(rows, Detector(Brightness(), faces="whole"), seed=3, resamples=40)
    assert found.conditions["groups"] == 8
    truth, p_fake = [p.label for p in found.scored], [p.p_fake for p in found.scored]
    names = [i // 4 for i in range(32)]
    drawn = metrics.bootstrap(truth, p_fake, names, n=40, seed=[3])
    assert found.overall.intervals["auc"] == metrics.interval(drawn["auc"])
    again = evaluate(rows, Detector(Brightness(), faces="whole", jobs=3), seed=3, resamples=40)
    assert again.to_dict() == found.to_dict()
    other = evaluate(rows, Detector(Brightness(), faces="whole"), seed=4, resamples=40)
    assert other.overall.intervals["auc"] != found.overall.intervals["auc"]


def test_one_source_alone_is_the_whole(tmp_path):
    rows = [sample(tmp_path, f"{i}.png", 40 * i, i % 2) for i in range(6)]
    found = evaluate(rows, Detector(Brightness(), faces="whole"), resamples=30)
    assert found.by_source == {"one": found.overall}


def test_one_group_alone_has_no_interval(tmp_path):
    rows = [sample(tmp_path, f"{i}.png", 60 * i, i % 2, group="same") for i in range(4)]
    found = evaluate(rows, Detector(Brightness(), faces="whole"), resamples=10)
    assert all(math.isnan(low) for low, _ in found.overall.intervals.values())
    assert all(math.isnan(low) for low, _ in found.mean_over_sources.intervals.values())
    assert found.overall.values["auc"] == 0.75


def test_nothing_readable_gives_no_figure_and_no_crash(tmp_path):
    rows = [Sample(tmp_path / f"{i}.jpg", i, "gone", str(i), "test") for i in (0, 1)]
    found = evaluate(rows, Detector(Brightness(), faces="whole"), resamples=10)
    counted = ("coverage", "accuracy_of_all")  # of all items, scored or not
    assert [found.overall.values[name] for name in counted] == [0, 0]
    assert all(math.isnan(found.overall.values[name]) for name in NAMES if name not in counted)
    assert [p.error["code"] for p in found.unreadable] == ["source.missing"] * 2
    json.dumps(found.to_dict(), allow_nan=False)


def test_conditions_name_what_the_figures_depend_on(samples):
    seen = []
    found = evaluate(
        samples, Detector(Brightness(), faces="whole"), seed=5, resamples=7,
        conditions={"split": "validation"},
        watch=seen.append,
    )  # fmt: skip
    assert [v.source for v in seen] == [str(s.path) for s in samples]
    conditions = found.conditions
    assert conditions["model"] == "brightness@00000000"
    assert conditions["faces"] == "whole"
    assert conditions["splits"] == {"validation": 19}
    assert conditions["sources"] == {"one": 13, "two": 6}
    assert (conditions["seed"], conditions["resamples"], conditions["split"]) == (
        5,
        7,
        "validation",
    )
    assert conditions["label_convention"] == "p_fake: fake = 1, real = 0"
    assert {"python", "mesoscope", "numpy", "onnxruntime"} <= set(conditions["versions"])


@pytest.fixture
def many(tmp_path):
    """Two hundred greys, forgeries brighter, in two sources; twenty alarms at a cut of .7."""
    draw = np.random.default_rng(3)
    levels = np.clip(draw.normal(90, 45, 200) + 60 * (np.arange(200) % 2), 0, 255).astype(int)
    return [
        sample(tmp_path, f"{i}.png", level, i % 2, "ab"[i % 3 == 0], f"g{i // 2}")
        for i, level in enumerate(levels)
    ]


def test_alarms_of_the_label_are_always_there(many):
    found = evaluate(many, Detector(Brightness(), faces="whole"), resamples=0)
    (only,) = found.alarms
    assert (only.name, only.fpr, only.alarms.threshold) == ("label", None, 0.7)
    called = [p.label for p in found.scored if p.verdict == "fake"]
    assert (only.alarms.false.hits, only.alarms.found.hits) == (called.count(0), called.count(1))
    assert only.alarms.false.n == 100
    assert set(only.by_source) == {"a", "b"}
    assert sum(one.false.hits for one in only.by_source.values()) == called.count(0)
    (written,) = found.to_dict()["alarms"]
    assert written["fpr"] == called.count(0) / 100
    assert written["true_alarms"] == []


def test_a_rate_is_reported_by_the_card_and_as_it_is_here(many):
    scorer = Brightness()
    point = OperatingPoint(0.1, 0.6, 1000, 100, (0.08, 0.12), 900, 0.5, (0.4, 0.6))
    scorer.card = dataclasses.replace(Brightness.card, operating_points=(point,))
    plain = evaluate(many, Detector(scorer, faces="whole"), resamples=0)
    found = evaluate(
        many, Detector(scorer, faces="whole"), resamples=0, fpr=0.1, prevalences=(0.001, 0.5)
    )
    assert found.predictions == plain.predictions  # the labels stay
    _, card, here = found.alarms
    assert [one.name for one in found.alarms] == ["label", "card", "here"]
    assert card.alarms.threshold == 0.6
    assert here.alarms.false.hits == 10
    truth, p_fake = [s.label for s in many], [p.p_fake for p in found.predictions]
    groups = [p.group for p in found.predictions]
    assert here.alarms.threshold == metrics.threshold_at_fpr(truth, p_fake, 0.1)
    assert card.alarms == metrics.alarms_at(truth, p_fake, 0.6, groups)
    rare, half = card.true_shares
    assert (rare.prevalence, half.prevalence) == (0.001, 0.5)
    assert rare.share < 0.05 < half.share
    assert rare.interval[0] < rare.share < rare.interval[1]
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_rate_that_neither_card_nor_faces_support_is_said(samples):
    found = evaluate(samples, Detector(Brightness(), faces="whole"), resamples=0, fpr=0.01)
    _, card, here = found.alarms
    assert card.alarms is None
    assert "brightness has no threshold" in card.missing
    assert "9 reals" in here.missing
    assert "takes 500" in here.missing
    written = found.to_dict()["alarms"][2]
    assert (written["threshold"], written["wanted_fpr"]) == (None, 0.01)


def test_a_face_that_the_guard_refuses_raises_no_alarm(many):
    class Strange(Brightness):
        card = dataclasses.replace(Brightness.card, guard=Guard(0.5))

        def score(self, crops, *, heat=False):
            return super().score(crops)._replace(unfamiliar=np.ones(len(crops), np.float32))

    (only,) = evaluate(many, Detector(Strange(), faces="whole"), resamples=0).alarms
    assert only.alarms.false.hits == only.alarms.found.hits == 0


def test_chance_stands_beside_the_calibration_error(many):
    found = evaluate(many, Detector(Brightness(), faces="whole"), seed=3, resamples=200)
    p_fake = [p.p_fake for p in found.scored]
    floor = metrics.ece_by_chance(p_fake, n=200, seed=[3, 0])
    assert found.overall.values["ece_by_chance"] == floor.mean
    assert found.overall.values["ece_by_chance_high"] == floor.high
    few = found.by_source["b"].values
    assert floor.mean < few["ece_by_chance"] < few["ece_by_chance_high"]


@pytest.mark.parametrize("wrong", [{"fpr": 0.0}, {"fpr": 1.0}, {"prevalences": (0.1, 1.0)}])
def test_rates_outside_their_range_are_refused_before_the_work(wrong):
    with pytest.raises(OptionError, match="between 0 and 1"):
        evaluate([], Detector(Brightness(), faces="whole"), **wrong)


def test_evaluating_needs_neither_torch_nor_the_report_extra():
    code = (
        "import sys, mesoscope.evaluation.evaluate as e; e.evaluate; "
        "print(sorted({'torch', 'matplotlib', 'jinja2', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
