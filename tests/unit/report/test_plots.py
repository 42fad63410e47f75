"""The plots hold the curves of the figures, and disturb no other user of matplotlib."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from mesoscope import metrics
from mesoscope.report import plots
from mesoscope.report.plots import DARK, LIGHT, png, printable_name
from mesoscope.report.record import Prediction
from mesoscope.types import Thresholds

ALL = (plots.roc, plots.precision_recall, plots.reliability, plots.scores)


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


@pytest.mark.parametrize("draw", ALL)
@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_each_is_a_picture_in_its_colours(evaluation, draw, palette):
    figure = draw(evaluation, palette)
    assert png(figure).startswith(b"\x89PNG")
    assert mpl.colors.to_hex(figure.get_facecolor()) == palette.paper


def test_roc_holds_the_whole_and_each_source(evaluation):
    (axes,) = plots.roc(evaluation, LIGHT).axes
    found = lines(axes)
    truth, p_fake = plots.columns(evaluation)
    whole = found[f"all, {metrics.roc_auc(truth, p_fake):.3f}"]
    curve = metrics.roc(truth, p_fake)
    np.testing.assert_array_equal(whole.get_xydata(), np.column_stack([curve.x, curve.y]))
    assert sum(name.startswith(("one, ", "two, ")) for name in found) == 2


def test_precision_and_recall_are_steps_that_reach_back(evaluation):
    (axes,) = plots.precision_recall(evaluation, LIGHT).axes
    truth, p_fake = plots.columns(evaluation)
    whole = lines(axes)[f"all, {metrics.measure(truth, p_fake)['ap']:.3f}"]
    assert whole.get_drawstyle() == "steps-pre"
    assert whole.get_xdata()[-1] == 1
    assert whole.get_ydata()[-1] == pytest.approx(truth.mean())


def test_each_source_has_its_panel_with_the_range_of_chance(evaluation):
    figure = plots.reliability_by_source(evaluation, LIGHT)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 2
    for axes, name in zip(shown, ("one", "two"), strict=True):
        truth, p_fake = plots.columns(evaluation, name)
        curve = metrics.reliability(truth, p_fake)
        full = curve.samples > 0
        ece = metrics.measure(truth, p_fake)["ece"]
        assert axes.get_title().startswith(f"{name}, n = {truth.size}\nECE {ece:.3f}, by chance 0.")
        (points,) = [c for c in axes.collections if len(c.get_offsets()) == full.sum()]
        np.testing.assert_allclose(
            points.get_offsets(), np.column_stack([curve.mean_p_fake, curve.share_fake])[full]
        )
        bars = next(c for c in axes.collections if c is not points).get_segments()
        assert len(bars) == full.sum()
        assert all(0 <= bar[0][1] <= bar[1][1] <= 1 for bar in bars)
    assert png(figure).startswith(b"\x89PNG")


def test_a_bin_that_promises_falsely_lies_outside_of_its_bar(evaluated):
    items = [Prediction(f"{i}", i % 4 == 0, "ab"[i % 2], str(i), "test", 0.9) for i in range(200)]
    for axes in plots.reliability_by_source(evaluated(items), DARK).axes:
        bars, points = axes.collections
        (_, (_, y)) = (None, points.get_offsets()[0])
        assert y < bars.get_segments()[0][0][1]


def test_one_source_or_very_many_have_no_panels(evaluated):
    for count in (1, plots.MOST_PANELS + 1):
        items = [
            Prediction(f"{i}", i % 2, f"s{i % count}", str(i), "test", 0.5)
            for i in range(2 * count)
        ]
        assert plots.reliability_by_source(evaluated(items), LIGHT) is None


def test_reliability_shows_each_bin_and_its_count(evaluation):
    above, below = plots.reliability(evaluation, LIGHT).axes
    curve = metrics.reliability(*plots.columns(evaluation))
    full = curve.samples > 0
    points = next(line for line in above.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xdata(), curve.mean_p_fake[full])
    np.testing.assert_array_equal(points.get_ydata(), curve.share_fake[full])
    assert [bar.get_height() for bar in below.patches] == curve.samples.tolist()
    ece = metrics.measure(*plots.columns(evaluation))["ece"]
    assert above.texts[0].get_text() == f"ECE {ece:.3f}, n = 60"


def test_histograms_show_the_thresholds(evaluation, evaluated, predictions):
    (axes,) = plots.scores(evaluation, LIGHT).axes
    names = axes.get_legend_handles_labels()[1]
    assert {
        "real, n = 30",
        "fake, n = 30",
        "inconclusive",
        "real below 0.35",
        "fake from 0.65",
    } == set(names)
    one_cut = evaluated(predictions, thresholds=Thresholds(0.4, 0.4))
    (axes,) = plots.scores(one_cut, LIGHT).axes
    names = axes.get_legend_handles_labels()[1]
    assert set(names) == {"real, n = 30", "fake, n = 30", "fake from 0.4"}


@pytest.mark.parametrize("draw", ALL)
def test_one_class_and_nothing_at_all_can_be_drawn(evaluated, draw):
    reals = [Prediction(f"{i}", 0, "s", str(i), "test", 0.1 * i, "real") for i in range(4)]
    assert png(draw(evaluated(reals), LIGHT)).startswith(b"\x89PNG")
    unread = [Prediction("x", 1, "s", "x", "test", None, error={"code": "c", "message": "m"})]
    assert png(draw(evaluated(unread), LIGHT)).startswith(b"\x89PNG")


def test_many_sources_are_not_drawn_over_each_other(evaluated):
    items = [
        Prediction(
            f"{i}", i % 2, f"source {i % 12 // 2}", str(i), "test", (i * 7 % 24) / 24, "real"
        )
        for i in range(48)
    ]
    (axes,) = plots.roc(evaluated(items), LIGHT).axes
    assert len(axes.get_legend_handles_labels()[1]) == 7
    many = [
        Prediction(f"{i}", i % 2, f"source {i // 4}", str(i), "test", (i * 7 % 24) / 24, "real")
        for i in range(48)
    ]
    (axes,) = plots.roc(evaluated(many), LIGHT).axes
    assert len(axes.get_legend_handles_labels()[1]) == 1


def test_a_source_may_be_called_anything(evaluated):
    items = [
        Prediction(f"{i}", i % 2, ("$x", "\\frac{", "源")[i % 3], str(i), "test", i / 12, "real")
        for i in range(12)
    ]
    for draw in ALL:
        assert png(draw(evaluated(items), LIGHT)).startswith(b"\x89PNG")


def test_plots_leave_matplotlib_as_it_was():
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy(); "
        "import mesoscope.report.plots, mesoscope.report.mistakes; "
        "assert matplotlib.rcParams.copy() == before; "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("short.jpg", "short.jpg"),
        ("0123456789abcdef.jpg", "0123…f.jpg"),
        ("Łódź Ωμέγα Щ", "Łódź…έγα Щ"),
        ("日本.jpg", "??.jpg"),
    ],
)
def test_names_are_cut_in_their_middle(name, shown):
    assert printable_name(name, longest=10) == shown
    assert printable_name(name[:10], longest=10) == printable_name(name[:10])
