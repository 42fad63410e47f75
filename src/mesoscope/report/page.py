"""Write an evaluation as one self-contained HTML page, with its figures as files beside it."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from mesoscope.files.atomic import write_bytes, write_text
from mesoscope.report import data_url, plots, template_environment
from mesoscope.report.against import against_rows
from mesoscope.report.mistakes import contact_sheet, worst, worst_clips
from mesoscope.report.plots import DARK, LIGHT, png
from mesoscope.report.robustness import all_rows, hardest_rows, summary
from mesoscope.report.robustness_plots import curve_plot
from mesoscope.report.robustness_plots import sheet as robustness_sheet
from mesoscope.report.tables import (
    alarm_rows,
    answer_rows,
    calibration_rows,
    decision_rows,
    fit_rows,
)
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from mesoscope.report.mistakes import ClipMistake, Mistake
    from mesoscope.report.record import Evaluation, Figures
    from mesoscope.report.robustness import Robustness
    from mesoscope.types import Pixels

PAGE = "report.html"
SHEET = "mistakes.png"
PANELS = "reliability_by_source.png"
ROBUSTNESS = "robustness.png"
_COLOURS = 64  # of the robustness plots
_MOST_LISTED = 200  # unreadable files on the page; metrics.json lists all


class Meaning(NamedTuple):
    """Presentation of a metric: name, meaning, direction, unit."""

    title: str
    description: str
    better: str
    percent: bool


MEANINGS = {
    "coverage": Meaning("Coverage", "share of the items that got a score", "higher", True),
    "accuracy": Meaning(
        "Accuracy", "share of right answers, fake from p_fake .5 on", "higher", True
    ),
    "accuracy_of_all": Meaning(
        "Accuracy of all", "the same where an item without a score counts as wrong", "higher", True
    ),
    "balanced_accuracy": Meaning(
        "Balanced accuracy",
        "mean of the shares of reals and of fakes called rightly",
        "higher",
        True,
    ),
    "auc": Meaning(
        "AUC",
        "chance that a fake scores above a real: 0.5 is guessing, 1 is perfect",
        "higher",
        False,
    ),
    "eer": Meaning(
        "Equal error rate", "error where as many reals are called fake as fakes real", "lower", True
    ),
    "ap": Meaning("Average precision", "precision over all thresholds, by recall", "higher", False),
    "tpr_at_fpr_0.01": Meaning(
        "TPR at 1 % FPR",
        "share of fakes found while at most 1 % of reals are called fake",
        "higher",
        True,
    ),
    "ece": Meaning(
        "Calibration error",
        "how far p_fake is from the true share of fakes, 15 bins",
        "lower",
        False,
    ),
    "brier": Meaning("Brier score", "mean squared error of p_fake", "lower", False),
    "decided": Meaning(
        "Decided", "share of scored items called fake or real, not inconclusive", "", True
    ),
    "error_among_decided": Meaning(
        "Error among decided", "share of wrong answers among those", "lower", True
    ),
    "unfamiliar": Meaning(
        "Unfamiliar", "share of scored items unlike the training, so left undecided", "", True
    ),
}
HEADLINE = ("auc", "accuracy", "eer", "tpr_at_fpr_0.01", "coverage")
IN_TABLE = ("accuracy", "auc", "eer", "tpr_at_fpr_0.01", "ece", "coverage")


class Plot(NamedTuple):
    """A figure for the page in light and dark, as ``data:`` URLs."""

    light: str
    dark: str


_PLOTS = {
    "roc": plots.roc,
    "precision_recall": plots.precision_recall,
    "reliability": plots.reliability,
    "scores": plots.scores,
}


def write_page(evaluation: Evaluation, folder: Path, *, command: str = "") -> Path:
    """Write ``report.html`` and its figures.

    Args:
        evaluation: The evaluation.
        folder: Output folder; must exist.
        command: Command line that repeats the evaluation.

    Returns:
        Path of the page.

    Raises:
        OutputError: A file is not writable.
    """
    drawn = {}
    for name, draw in _PLOTS.items():
        light = png(draw(evaluation, LIGHT))
        write_bytes(folder / f"{name}.png", light, sync=False)
        dark = png(draw(evaluation, DARK))
        drawn[name] = Plot(data_url(light, "png"), data_url(dark, "png"))
    (folder / PANELS).unlink(missing_ok=True)
    panels = plots.reliability_by_source(evaluation, LIGHT)
    if panels is not None:
        light = png(panels)
        write_bytes(folder / PANELS, light, sync=False)
        dark = png(plots.reliability_by_source(evaluation, DARK) or panels)
        drawn["panels"] = Plot(data_url(light, "png"), data_url(dark, "png"))
    if evaluation.robustness is not None:
        drawn |= _robustness_plots(evaluation.robustness, folder)
    kinds = worst(evaluation)
    sheet = contact_sheet(kinds, LIGHT)
    (folder / SHEET).unlink(missing_ok=True)  # left by an earlier evaluation
    if sheet is not None:
        write_bytes(folder / SHEET, png(sheet), sync=False)
    environment = template_environment()
    environment.filters.update(figure=_figure, span=_span, crop=_crop)
    strips = worst_clips(evaluation)
    _write_strips(strips, folder)
    text = environment.get_template("evaluation.html.jinja").render(
        e=evaluation,
        card=evaluation.card,
        meanings=MEANINGS,
        headline=HEADLINE,
        in_table=IN_TABLE,
        plots=drawn,
        kinds=(("Real, called fake", kinds[0]), ("Fake, called real", kinds[1])),
        strips=_strip_entries(strips),
        sheet=sheet is not None,
        answers=answer_rows(evaluation.answer_counts),
        n_clips=len(evaluation.clips),
        items=items_word(evaluation),
        conditions=_flat(evaluation.conditions),
        calibration=calibration_rows(evaluation),
        decisions=decision_rows(evaluation),
        fit=fit_rows(evaluation),
        alarms=alarm_rows(evaluation.alarms),
        robustness=_robustness_text(evaluation.robustness),
        against=None if evaluation.against is None else against_rows(evaluation.against),
        command=command,
        notes=notes(evaluation),
        most=_MOST_LISTED,
    )
    write_text(folder / PAGE, text)
    return folder / PAGE


def _write_strips(kinds: tuple[list[ClipMistake], ...], folder: Path) -> None:
    """Write a file for each strip; remove those of an earlier evaluation."""
    for old in folder.glob("clip_*_told_*.jpg"):
        old.unlink(missing_ok=True)
    for kind in kinds:
        for number, one in enumerate(kind, start=1):
            if one.strip is not None:
                name = f"clip_{one.truth}_told_{one.prediction.answer}_{number}.jpg"
                write_bytes(folder / name, _jpeg_bytes(one.strip), sync=False)


def _strip_entries(
    kinds: tuple[list[ClipMistake], list[ClipMistake]],
) -> list[tuple[str, list[tuple[ClipMistake, str]]]]:
    titles = ("Genuine clips judged most wrongly", "Forged clips judged most wrongly")
    return [
        (title, [(m, "" if m.strip is None else _jpeg(m.strip)) for m in kind])
        for title, kind in zip(titles, kinds, strict=True)
        if kind
    ]


def items_word(evaluation: Evaluation) -> str:
    """Return the word for the judged items: pictures, clips, or both."""
    clips = len(evaluation.clips)
    if not clips:
        return "pictures"
    return "clips" if clips == len(evaluation.predictions) else "pictures and clips"


def _robustness_plots(found: Robustness, folder: Path) -> dict[str, Plot]:
    """Return a plot for each curve; write the sheet of all as a file."""
    write_bytes(
        folder / ROBUSTNESS, png(robustness_sheet(found, LIGHT), colours=_COLOURS), sync=False
    )
    drawn = {}
    for curve in found.curves:
        looks = (png(curve_plot(found, curve, p), colours=_COLOURS) for p in (LIGHT, DARK))
        drawn[f"robustness {curve.corruption.name}"] = Plot(*(data_url(x, "png") for x in looks))
    return drawn


def _robustness_text(found: Robustness | None) -> dict[str, object] | None:
    if found is None:
        return None
    return {"summary": summary(found), "hardest": hardest_rows(found), "all": all_rows(found)}


def notes(evaluation: Evaluation) -> list[str]:
    """Return notes to read before the figures; often none."""
    found = []
    items = items_word(evaluation)
    total = evaluation.overall.counts
    trained = sum(p.split == "train" for p in evaluation.predictions)
    if trained:
        found.append(
            f"{trained:,} of the {total['n']:,} {items} are of a train split: a model that was "
            "trained on them has seen them, and the figures flatter it."
        )
    for name in CLASSES:
        lacking = [s for s, one in evaluation.by_source.items() if not one.counts[f"n_{name}"]]
        if lacking:
            what = {"pictures": "picture", "clips": "clip"}.get(items, "picture or clip")
            found.append(
                f"No {name} {what} in {', '.join(lacking)}: figures that compare real with fake "
                "(AUC, equal error rate and the like) cannot be given there."
            )
    missed = total["n"] - total["n_scored"]
    if missed:
        found.append(
            f"{missed:,} of the {total['n']:,} {items} could not be read or got no score (say, as "
            "no face was found); they are listed. The coverage, what a user is told, and the "
            "accuracy of all count them; no other figure does."
        )
    return found


def _figure(figures: Figures, name: str) -> str:
    """Format a metric: ``93.4 %`` or ``0.934``; a dash for NaN."""
    return _shown(figures.values[name], name)


def _span(figures: Figures, name: str) -> str:
    """Format its interval; empty without one, or for zero width."""
    low, high = figures.intervals[name]
    return (
        ""
        if math.isnan(low) or low == high
        else f"{_shown(low, name, unit='')} – {_shown(high, name)}"
    )


def _shown(value: float, name: str, *, unit: str = "\N{NO-BREAK SPACE}%") -> str:
    if math.isnan(value):
        return "–"
    if not MEANINGS[name].percent:
        return f"{value:.3f}"
    if 0.9995 <= value < 1:  # 99.99 % must not be shown as 100 %
        return f">\N{NO-BREAK SPACE}99.9{unit}"
    return f"{100 * value:.1f}{unit}"


def _crop(mistake: Mistake) -> str:
    """Return a mistake's crop as a ``data:`` URL; empty without a crop."""
    return "" if mistake.crop is None else _jpeg(mistake.crop)


def _jpeg(pixels: Pixels) -> str:
    return data_url(_jpeg_bytes(pixels), "jpeg")


def _jpeg_bytes(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=88)
    return file.getvalue()


def _flat(conditions: object, name: str = "") -> list[tuple[str, str]]:
    """Flatten nested conditions into rows of a table."""
    if not isinstance(conditions, dict):
        return [(name, str(conditions))]
    if name:  # one row for related values
        return [(name, ", ".join(f"{key} {value}" for key, value in conditions.items()))]
    return [row for key, value in conditions.items() for row in _flat(value, key.replace("_", " "))]
