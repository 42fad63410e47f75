"""Two models on the same items: what differs, and how sure that is."""

import csv
import dataclasses
import math

import numpy as np
import pytest

from mesoscope import metrics
from mesoscope.errors import OptionError
from mesoscope.evaluation.against import compare_evaluations
from mesoscope.report.against import ALL, FIGURES, MEAN, against_rows, write_differences
from mesoscope.report.record import Evaluation, Figures, Prediction
from mesoscope.types import ModelCard, Thresholds

NOTHING = Figures({}, {}, {})
CUTS = Thresholds(0.3, 0.7)


def predictions(scores, labels, sources=None, groups=None):
    found = []
    for i, (p, label) in enumerate(zip(scores, labels, strict=True)):
        verdict = "fake" if p >= CUTS.fake_above else "real" if p < CUTS.real_below else None
        source = "one" if sources is None else sources[i]
        group = str(i) if groups is None else str(groups[i])
        found.append(Prediction(f"{i}.png", int(label), source, group, "test", float(p), verdict))
    return tuple(found)


def evaluation(name, items):
    return Evaluation(items, NOTHING, {}, NOTHING, ModelCard(name, "none"), CUTS)


@pytest.fixture
def drawn():
    """Hard pictures are hard for both models; the second one is a little better on each."""
    draw = np.random.default_rng(5)
    labels = np.arange(400) % 2
    hard = labels + draw.normal(0, 1.0, 400)
    worse, better = (hard + draw.normal(0, s, 400) for s in (0.7, 0.1))
    p = [1 / (1 + np.exp(-(x - 0.5) * 2)) for x in (better, worse)]
    return labels, *p


def test_figures_are_those_of_each_model_and_their_difference(drawn):
    labels, better, worse = drawn
    models = [evaluation(n, predictions(p, labels)) for n, p in (("a", better), ("b", worse))]
    found = compare_evaluations(*models, resamples=200)
    assert (found.model, found.against) == ("a", "b")
    assert found.n == {"one": 400}
    assert list(found.by_source) == ["one"]
    figures = found.by_source["one"]
    assert tuple(figures) == tuple(FIGURES)
    auc = figures["auc"]
    assert auc.model == metrics.roc_auc(labels, better)
    assert auc.against == metrics.roc_auc(labels, worse)
    assert auc.difference == pytest.approx(auc.model - auc.against)
    told = figures["fake_told_fake"]
    assert told.model == pytest.approx((better[labels == 1] >= 0.7).mean())
    assert figures["real_told_real"].against == pytest.approx((worse[labels == 0] < 0.3).mean())


def test_what_is_hard_for_both_does_not_widen_the_interval(drawn):
    labels, better, worse = drawn
    models = [evaluation(n, predictions(p, labels)) for n, p in (("a", better), ("b", worse))]
    low, high = compare_evaluations(*models).by_source["one"]["auc"].interval
    alone = [
        metrics.bootstrap_auc(labels, p, np.arange(400), n=1000, seed=0) for p in (better, worse)
    ]
    widths = [np.subtract(*metrics.interval(values)[::-1]) for values in alone]
    assert high - low < 0.8 * min(widths)  # of two independent samples: 1.4
    assert low > 0, "better on nearly every picture is clearly better"
    assert compare_evaluations(*models).by_source["one"]["auc"].clear
    assert not compare_evaluations(models[0], models[0]).by_source["one"]["auc"].clear


def test_groups_are_drawn_whole(drawn):
    labels, better, worse = drawn
    groups = np.arange(400) // 40
    apart, tied = (
        compare_evaluations(
            *(evaluation("m", predictions(p, labels, groups=g)) for p in (better, worse))
        )
        .by_source["one"]["accuracy"]
        .interval
        for g in (None, groups)
    )
    assert apart != tied
    single = [evaluation("m", predictions(p, labels, groups=[0] * 400)) for p in (better, worse)]
    assert math.isnan(compare_evaluations(*single).by_source["one"]["auc"].interval[0])


def test_each_source_counts_alike_in_the_mean(drawn):
    labels, better, worse = drawn
    sources = ["large"] * 300 + ["small"] * 100
    models = [evaluation("m", predictions(p, labels, sources)) for p in (better, worse)]
    found = compare_evaluations(*models, resamples=100)
    assert list(found.by_source) == ["large", "small", ALL, MEAN]
    assert found.n == {"large": 300, "small": 100, ALL: 400}
    for name in FIGURES:
        each = [found.by_source[s][name].difference for s in ("large", "small")]
        assert found.by_source[MEAN][name].difference == pytest.approx(np.mean(each))
    rows = against_rows(found)
    assert [row[0] for row in rows[1:]] == list(found.by_source)
    assert rows[-1][1] == ""


def test_only_items_that_both_scored_count(drawn):
    labels, better, worse = drawn
    ours, theirs = list(predictions(better, labels)), list(predictions(worse, labels))
    ours[0] = dataclasses.replace(ours[0], p_fake=None, verdict=None)
    theirs[1] = dataclasses.replace(theirs[1], p_fake=None, verdict=None)
    found = compare_evaluations(
        evaluation("a", tuple(ours)), evaluation("b", tuple(theirs)), resamples=0
    )
    assert found.n == {"one": 398}
    auc = found.by_source["one"]["auc"]
    assert auc.model == metrics.roc_auc(labels[2:], better[2:])
    assert math.isnan(auc.interval[0])
    assert found.to_dict()["figures"]["one"]["auc"]["interval"] is None


def test_one_class_alone_has_no_auc_and_still_its_shares():
    labels = np.zeros(30, int)
    models = [evaluation("m", predictions(np.linspace(0, top, 30), labels)) for top in (0.5, 0.9)]
    found = compare_evaluations(*models, resamples=50)
    assert math.isnan(found.by_source["one"]["auc"].difference)
    assert against_rows(found)[1][2] == "–"
    assert found.by_source["one"]["real_told_fake"].against > 0
    assert found.to_dict()["figures"]["one"]["auc"]["model"] is None


def test_other_samples_are_refused(drawn):
    labels, better, worse = drawn
    ours, theirs = predictions(better, labels), predictions(worse, labels)
    with pytest.raises(OptionError, match="the same samples"):
        compare_evaluations(evaluation("a", ours), evaluation("b", theirs[::-1]))


def test_the_table_is_a_file_of_numbers(drawn, tmp_path):
    labels, better, worse = drawn
    models = [evaluation("m", predictions(p, labels)) for p in (worse, better)]
    found = compare_evaluations(*models, resamples=100)
    write_differences(found, tmp_path / "against.csv")
    with (tmp_path / "against.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["figure"] for row in rows] == list(FIGURES)
    assert float(rows[0]["difference"]) < 0, "a negative number is no formula to defuse"
    assert float(rows[0]["low"]) < float(rows[0]["difference"]) < float(rows[0]["high"])
