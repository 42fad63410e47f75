"""Calibrator, thresholds and operating points, and what they are worth on unseen faces."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mesoscope import metrics
from mesoscope.data.manifest import Sample
from mesoscope.report.record import Evaluation, Figures, Prediction
from mesoscope.training.decide.calibrate import (
    half_error_thresholds,
    platt,
    probability,
    temperature,
)
from mesoscope.training.decide.thresholds import RATES, decide, operating_points
from mesoscope.training.export.card import decisions_markdown
from mesoscope.training.recipe.keys import DecideKeys
from mesoscope.training.recipe.recipe import Recipe
from mesoscope.types import ModelCard, Thresholds


def faces(n, seed=0, *, sources=("a", "b"), per_group=1, scale=0.4, shift=0.5):
    """Samples and logits whose truth is sigmoid(scale · logit + shift)."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 4, n)
    labels = (draw.random(n) < 1 / (1 + np.exp(-(scale * logits + shift)))).astype(int)
    samples = [
        Sample(Path(f"{i}.png"), int(label), sources[i % len(sources)], f"g{i // (per_group * 2)}",
               "validation")
        for i, label in enumerate(labels)
    ]  # fmt: skip
    return samples, logits


def recipe(**keys):
    return Recipe(decide=DecideKeys(**keys))


def weights_of(samples):
    cells = [(s.source, s.label) for s in samples]
    w = np.array([1 / cells.count(c) for c in cells])
    return w * len(w) / w.sum()


@pytest.mark.parametrize(("name", "fit"), [("platt", platt), ("temperature", temperature)])
def test_the_recipe_chooses_the_calibrator(name, fit):
    samples, logits = faces(600)
    found = decide(recipe(calibration=name), samples, logits)
    expected = fit(logits, [s.label for s in samples], weights_of(samples))
    assert (found.calibration.scale, found.calibration.shift) == pytest.approx(
        (expected.scale, expected.shift)
    )
    assert found.calibration.fitted_on.startswith("the validation split, 600 faces")
    told = found.measured["calibration"]
    assert told["chosen"] == name
    assert told["cross_fitted_by_other"]["calibration"] != name


def test_the_recipe_chooses_the_rule():
    samples, logits = faces(2000)
    labels, w = [s.label for s in samples], weights_of(samples)
    found = decide(recipe(rule="half_error", least_decided=0.3), samples, logits)
    p_fake = probability(logits, found.calibration)
    assert found.thresholds == half_error_thresholds(p_fake, labels, 0.3, w)
    other = decide(recipe(target_error=0.2), samples, logits)
    assert "at most 20% wrong" in other.thresholds.rule


def test_figures_before_and_after_are_those_of_the_faces():
    samples, logits = faces(3000)
    labels = [s.label for s in samples]
    found = decide(recipe(), samples, logits)
    told = found.measured["calibration"]
    for stage, p in (("before", probability(logits)),
                     ("after", probability(logits, found.calibration))):  # fmt: skip
        assert told[stage]["ece"] == pytest.approx(metrics.measure(labels, p)["ece"], abs=1e-4)
        assert told[stage]["nll"] == pytest.approx(metrics.log_loss(labels, p), abs=1e-4)
    assert told["after"]["nll"] < told["before"]["nll"]
    assert told["cross_fitted"]["ece"] < 0.5 * told["before"]["ece"]
    of_a = np.array([s.source == "a" for s in samples])
    p = probability(logits)[of_a]
    assert told["by_source"]["a"]["before"]["ece"] == pytest.approx(
        metrics.measure(np.array(labels)[of_a], p)["ece"], abs=1e-4
    )
    decisions = found.measured["decisions"]
    assert set(decisions["by_source"]) == {"a", "b"}
    assert decisions["decided"] == pytest.approx(decisions["cross_fitted"]["decided"], abs=0.1)


def test_unseen_faces_are_judged_less_kindly_on_average():
    """With few faces a fit follows chance; halving the data shows it."""
    seen, unseen = [], []
    for seed in range(12):
        told = decide(recipe(), *faces(60, seed, sources=("a",))).measured["calibration"]
        seen.append(told["after"]["nll"])
        unseen.append(told["cross_fitted"]["nll"])
    assert np.mean(unseen) > np.mean(seen)


def test_groups_are_never_torn():
    """Each group's faces are alike, so a fit that saw one face of it would know the others."""
    draw = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 10)
    labels = draw.integers(0, 2, 40)[group]
    samples = [
        Sample(Path(f"{i}.png"), int(y), "a", f"v{g}", "validation")
        for i, (y, g) in enumerate(zip(labels, group, strict=True))
    ]
    from mesoscope.training.decide.thresholds import _Faces, _halves

    columns = _Faces(np.zeros(400), labels, np.array([s.source for s in samples]), group)
    half = _halves(columns, seed=1)
    assert all(len(set(half[group == g])) == 1 for g in range(40))
    assert abs(half.mean() - 0.5) < 0.1
    for label in (0, 1):
        assert abs(half[labels == label].mean() - 0.5) < 0.2
    assert (half != _halves(columns, seed=2)).any()
    assert (half == _halves(columns, seed=1)).all()


def test_too_few_to_halve_is_said_by_nothing():
    samples = [Sample(Path(f"{i}"), i, "a", str(i), "validation") for i in (0, 1)]
    told = decide(recipe(), samples, np.array([-1.0, 1.0])).measured
    assert told["calibration"]["cross_fitted"] is None
    assert told["decisions"]["cross_fitted"] is None
    assert told["calibration"]["after"]["ece"] >= 0


def evaluation(n, seed=0, per_group=1):
    samples, logits = faces(n, seed, per_group=per_group)
    p_fake = probability(logits, platt(logits, [s.label for s in samples]))
    items = tuple(
        Prediction(str(s.path), s.label, s.source, s.group, s.split, float(p))
        for s, p in zip(samples, p_fake, strict=True)
    )
    nothing = Figures({}, {}, {})
    return Evaluation(items, nothing, {}, nothing, ModelCard("m", "none"), Thresholds())


def test_operating_points_are_those_that_the_reals_support():
    result = evaluation(3000)
    points, by_source = operating_points(result)
    columns = result.columns()
    reals = columns.p_fake[columns.labels == 0]
    assert 1000 < len(reals) < 2000
    assert [p.fpr for p in points] == [0.1, 0.05, 0.02, 0.01, 0.005][: len(points)]
    assert 3 <= len(points) < len(RATES)
    for point in points:
        assert point.n_real == len(reals)
        assert point.false_alarms == (reals >= point.threshold).sum() <= point.fpr * len(reals)
        low, high = point.fpr_interval
        assert low < point.false_alarms / point.n_real < high
        of = by_source[f"{point.fpr:g}"]
        in_a = (columns.sources == "a") & (columns.labels == 0)
        assert of["a"] == pytest.approx((columns.p_fake[in_a] >= point.threshold).mean(), abs=1e-4)
    card = dataclasses.replace(result.card, operating_points=points)
    assert card.at_fpr(0.1).fake_above == points[0].threshold
    assert ModelCard.from_json(card.to_json()) == card


def test_frames_of_few_videos_support_fewer_points():
    alone, together = (operating_points(evaluation(3000, per_group=n))[0] for n in (1, 50))
    assert len(together) < len(alone)


def test_the_card_tells_people():
    samples, logits = faces(3000)
    found = decide(recipe(), samples, logits)
    points, by_source = operating_points(evaluation(3000))
    told = {**found.measured, "false_positive_rates": by_source}
    text = decisions_markdown(ModelCard("m", "none", metrics=told, operating_points=points))
    assert "Calibrated by platt" in text
    assert f"{told['calibration']['cross_fitted']['ece']:.4f}" in text
    assert "the same by temperature" in text
    assert f"| {points[0].fpr:g} | {points[0].threshold:.4f} |" in text
    assert f"{told['decisions']['decided']:.1%}" in text
    assert text.count("\n## ") == 3
    assert decisions_markdown(ModelCard("m", "none")) == ""
