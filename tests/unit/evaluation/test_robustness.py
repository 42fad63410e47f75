"""Changed pictures through the one path, with a scorer whose answers are known."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from mesoscope.cli.evaluate import robustness_notes, robustness_rows
from mesoscope.data.manifest import Sample
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import Scores
from mesoscope.evaluation.robustness import (
    Judged,
    LevelScore,
    judge_changed,
    measure,
    measure_robustness,
)
from mesoscope.imaging.corruptions import CORRUPTIONS
from mesoscope.report.robustness import (
    CONDITIONS,
    FIGURES,
    MEAN,
    all_rows,
    hardest_rows,
    summary,
    write_robustness,
)
from mesoscope.types import ModelCard, Thresholds

STEPS = 1 + sum(len(one.levels) for one in CORRUPTIONS)


class Brightness:
    """p_fake = mean brightness; may be interrupted."""

    card = ModelCard("brightness", "none", input_px=32, thresholds=Thresholds(0.45, 0.55))
    model_id = "brightness@00000000"

    def __init__(self, interrupted_at=math.inf):
        self.calls, self.interrupted_at = 0, interrupted_at

    def score(self, crops, *, heat=False):
        self.calls += 1
        if self.calls > self.interrupted_at:
            raise KeyboardInterrupt
        p = crops.mean(axis=(1, 2, 3), dtype=np.float64).astype(np.float32) / 255
        return Scores(p, p, None)


@pytest.fixture
def samples(tmp_path):
    """Two sources of six and four greys; forged ones mostly brighter."""
    draw = np.random.default_rng(0)
    found = []
    for source, count in (("one", 6), ("two", 4)):
        for i in range(count):
            level = int(95 + 50 * (i % 2) + draw.integers(-20, 20))
            path = tmp_path / f"{source}{i}.png"
            Image.fromarray(np.full((72, 72, 3), level, np.uint8)).save(path)
            found.append(Sample(path, i % 2, source, f"v{i // 2}", "test"))
    return found


def measured(samples, **options):
    judged = list(judge_changed(samples, Detector(Brightness(), faces="whole", jobs=1)))
    return measure(judged, n_planned=len(samples), model="m", split="test", **options)


def plain(number, label, group, source="s", split="test"):
    return Sample(f"{number}.png", label, source, group, split)


def test_every_picture_is_judged_in_every_change(samples):
    scorer = Brightness()
    judged = list(judge_changed(samples, Detector(scorer, faces="whole", jobs=2)))
    assert [one.sample for one in judged] == samples
    assert {len(one.answers) for one in judged} == {STEPS}
    assert scorer.calls == STEPS * len(samples)
    for one in judged:
        grey = np.asarray(Image.open(one.sample.path)).mean() / 255
        assert one.answers[0].p_fake == pytest.approx(grey, abs=1e-6)
        by_name = dict(zip(names(), one.answers, strict=True))
        assert by_name["brightness", 20].p_fake == pytest.approx(grey + 0.2, abs=0.003)
        assert by_name["blur", 3].p_fake == pytest.approx(grey, abs=1e-6)


def names():
    return [("none", None), *((c.name, level) for c in CORRUPTIONS for level in c.levels)]


def test_threads_do_not_change_an_answer(samples):
    one, two = (
        list(judge_changed(samples, Detector(Brightness(), faces="whole", jobs=jobs), seed=4))
        for jobs in (1, 3)
    )
    assert one == two


def test_what_cannot_be_read_is_counted_and_left_out(samples, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_text("no picture")
    samples.insert(2, Sample(broken, 1, "one", "v9", "test"))
    found = measured(samples, resamples=0)
    assert (found.n_planned, found.n_done, found.n_unreadable) == (11, 10, 1)
    assert found.complete
    assert found.unchanged.by_source["one"].counts["n"] == 6


def test_figures_move_as_the_scorer_must(samples):
    found = measured(samples, resamples=50)
    curves = {curve.corruption.name: curve for curve in found.curves}
    by_level = {one.level: one.mean_over_sources.values for one in curves["brightness"].levels}
    plain_values = found.unchanged.mean_over_sources.values
    # An even shift keeps the order, and calls all real or all fake.
    assert by_level[30]["auc_change"] == pytest.approx(0)
    assert by_level[30]["accuracy"] == pytest.approx(0.5)
    assert by_level[30]["accuracy_change"] == pytest.approx(0.5 - plain_values["accuracy"])
    assert by_level[-30]["error_among_decided"] == pytest.approx(0.5)
    assert by_level[30]["decided"] == pytest.approx(1)
    for values in by_level.values():
        assert values["decided"] + values["inconclusive"] == pytest.approx(1)


def test_intervals_hold_the_figure(samples):
    found = measured(samples, resamples=200)
    levels = [found.unchanged, *(one for curve in found.curves for one in curve.levels)]
    seen = 0
    for level in levels:
        for figures in (*level.by_source.values(), level.mean_over_sources):
            for name in FIGURES:
                low, high = figures.intervals[name]
                if not math.isnan(low):
                    seen += 1
                    assert low - 1e-9 <= figures.values[name] <= high + 1e-9
    assert seen > 1000


def test_one_group_and_no_resamples_have_no_interval(samples):
    for found in (
        measured([s for s in samples if s.group == "v0"], resamples=50),
        measured(samples, resamples=0),
    ):
        pairs = found.unchanged.mean_over_sources.intervals.values()
        assert all(math.isnan(low) and math.isnan(high) for low, high in pairs)
        assert not math.isnan(found.unchanged.mean_over_sources.values["accuracy"])


def answers(p_fake, at_step=None, instead=None):
    verdict = "fake" if p_fake >= 0.5 else "real"
    row = [LevelScore(p_fake, verdict, None)] * STEPS
    if at_step is not None:
        row[at_step] = instead
    return tuple(row)


def test_a_mean_does_not_change_its_sources_on_the_way():
    """A source that lost its scores at a level takes the mean with it there."""
    small = LevelScore(None, None, "face_too_small")
    judged = [
        Judged(
            plain(i, i % 2, str(i), source),
            answers(0.2 + 0.6 * (i % 2), 14 if lost else None, small),
        )
        for source, lost in (("a", False), ("b", True))
        for i in range(4)
    ]
    found = measure(judged, n_planned=8, model="m", split="test", resamples=20)
    resize = next(curve for curve in found.curves if curve.corruption.name == "resize")
    lost = resize.levels[0]  # after the unchanged one, eight of JPEG and five of H.264
    assert lost.by_source["b"].counts["n_scored"] == 0
    assert lost.by_source["b"].values["coverage"] == 0
    assert math.isnan(lost.by_source["b"].values["auc"])
    assert lost.by_source["a"].values["auc"] == 1
    assert math.isnan(lost.mean_over_sources.values["auc"])
    assert lost.mean_over_sources.values["coverage"] == 0.5
    assert resize.levels[1].mean_over_sources.values["auc"] == 1


def test_refused_faces_are_told_apart_from_doubtful_ones():
    strange, between = (
        LevelScore(0.5, "inconclusive", why) for why in ("unfamiliar", "between_thresholds")
    )
    judged = [
        Judged(plain(i, i % 2, str(i)), answers(0.9 * (i % 2), 1, strange if i < 2 else between))
        for i in range(8)
    ]
    found = measure(judged, n_planned=8, model="m", split="test", resamples=0)
    values = found.curves[0].levels[0].mean_over_sources.values
    assert (values["decided"], values["inconclusive"], values["unfamiliar"]) == (0, 1, 0.25)
    assert math.isnan(values["error_among_decided"])


def test_an_interruption_keeps_whole_pictures(samples):
    detector = Detector(Brightness(interrupted_at=5 * STEPS + 20), jobs=1)
    found, interrupted = measure_robustness(samples, detector, split="test", resamples=20)
    assert interrupted
    # Work stands a chunk ahead of the pictures that are handed out.
    assert 4 <= found.n_done <= 5
    assert not found.complete
    assert found.unchanged.by_source["one"].counts["n"] == found.n_done
    assert f"interrupted after {found.n_done} of 10 pictures" in robustness_notes(found)[0]


def test_an_interruption_at_once_leaves_nothing_to_say(samples):
    detector = Detector(Brightness(interrupted_at=3), jobs=1)
    found, interrupted = measure_robustness(samples, detector, split="test", resamples=0)
    assert (found, interrupted) == (None, True)
    assert "no picture was judged" in robustness_notes(None)[0]


def test_the_table_has_a_row_for_all_there_is(samples, tmp_path):
    found = measured(samples, resamples=30)
    path = tmp_path / "robustness.csv"
    write_robustness(found, path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == STEPS * 3
    assert {row["source"] for row in rows} == {"one", "two", MEAN}
    assert [row["corruption"] for row in rows[:3]] == ["none"] * 3
    assert {name: rows[0][name] for name in CONDITIONS} == {
        "model": "m", "split": "test", "limit": "100", "seed": "0", "resamples": "30",
    }  # fmt: skip
    row = next(
        r for r in rows if (r["corruption"], r["level"], r["source"]) == ("crop", "-15", "one")
    )
    level = next(c for c in found.curves if c.corruption.name == "crop").levels[0]
    assert float(row["auc"]) == pytest.approx(level.by_source["one"].values["auc"], abs=1e-4)
    assert (row["n"], row["n_real"], row["n_fake"]) == ("6", "3", "3")


def test_the_json_holds_all_levels_and_no_nan(samples):
    data = json.loads(json.dumps(measured(samples, resamples=10).to_dict(), allow_nan=False))
    assert [curve["corruption"] for curve in data["curves"]] == [c.name for c in CORRUPTIONS]
    assert sum(len(curve["levels"]) for curve in data["curves"]) == STEPS - 1
    assert set(data["unchanged"]["by_source"]) == {"one", "two"}
    assert data["complete"] is True


def test_rows_and_words_name_what_costs_most(samples):
    found = measured(samples, resamples=50)
    assert [row.name for row in hardest_rows(found)][:2] == ["nothing", "JPEG"]
    assert len(all_rows(found)) == STEPS - 1
    assert len(robustness_rows(found)) == 2 + len(CORRUPTIONS)
    assert {len(row) for row in robustness_rows(found)} == {7}
    assert summary(found).startswith(("Most is lost by", "No change lowers"))
    reals = measured([s for s in samples if s.label == 0], resamples=50)
    assert "accuracy" in summary(reals)  # one class has no AUC


def test_the_hardest_level_has_the_lowest_mean_auc(samples):
    for curve in measured(samples, resamples=0).curves:
        lowest = min(one.mean_over_sources.values["auc"] for one in curve.levels)
        assert curve.hardest.mean_over_sources.values["auc"] == lowest
