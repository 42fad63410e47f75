"""The curves hold the figures, with the unchanged pictures at their place."""

import numpy as np
import pytest

from mesoscope.data.manifest import Sample
from mesoscope.evaluation.robustness import Judged, LevelScore, measure
from mesoscope.imaging.corruptions import CORRUPTIONS
from mesoscope.report.plots import DARK, LIGHT, png
from mesoscope.report.robustness_plots import curve_plot, sheet

STEPS = 1 + sum(len(one.levels) for one in CORRUPTIONS)


@pytest.fixture
def make_found():
    """``make_found(sources)`` → robustness of twelve made pictures of each."""

    def make(sources, *, labels=(0, 1)):
        draw = np.random.default_rng(0)
        judged = []
        for source in sources:
            for i in range(12):
                label = labels[i % len(labels)]
                p = np.clip(0.3 + 0.3 * label + draw.normal(0, 0.2, STEPS), 0, 1)
                answers = tuple(
                    LevelScore(float(v), "fake" if v > 0.5 else "real", None) for v in p
                )
                judged.append(Judged(Sample(f"{i}.png", label, source, str(i), "test"), answers))
        return measure(judged, n_planned=len(judged), model="m@0", split="test", resamples=20)

    return make


def test_a_curve_holds_each_level_and_the_unchanged(make_found):
    found = make_found(("one", "two"))
    curve = next(one for one in found.curves if one.corruption.name == "crop")
    auc, accuracy, shares = curve_plot(found, curve, LIGHT).axes
    ticks = [tick.get_text() for tick in shares.get_xticklabels()]
    assert ticks == ["-15", "-10", "-5", "as is", "+5", "+10", "+15"]
    levels = [*curve.levels[:3], found.unchanged, *curve.levels[3:]]
    for axes, name in ((auc, "auc"), (accuracy, "accuracy")):
        drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
        means = [one.mean_over_sources.values[name] for one in levels]
        np.testing.assert_array_equal(drawn["mean of 2"], means)
        one_source = [one.by_source["one"].values[name] for one in levels]
        np.testing.assert_array_equal(drawn["one"], one_source)
    assert {line.get_label() for line in shares.lines} == {"decided", "wrong among decided"}


def test_what_goes_one_way_begins_with_the_unchanged(make_found):
    found = make_found(("one",))
    axes = curve_plot(found, found.curves[0], DARK).axes[-1]
    assert [t.get_text() for t in axes.get_xticklabels()][:3] == ["as is", "95", "90"]


def test_one_class_has_no_auc_and_is_drawn(make_found):
    found = make_found(("$x", "\\frac{"), labels=(0,))
    auc, accuracy, _ = curve_plot(found, found.curves[1], LIGHT).axes
    assert [line.get_label() for line in auc.lines if not line.get_label().startswith("_")] == []
    assert len(accuracy.lines) == 4  # guessing, two sources, their mean
    assert png(sheet(found, LIGHT), colours=64).startswith(b"\x89PNG")
