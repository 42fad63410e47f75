"""The figures of benchmarks/evidence.py for the documentation: a picture and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mesoscope.metrics import interval, resample
from mesoscope.report.plots import DASHES, LIGHT, legend, new_figure, png, style_axes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

BEGIN = "<!-- figures: written by benchmarks/evidence.py -->"
END = "<!-- end of figures -->"
TESTS = {
    "deletion": "the hottest places blurred away:\nbetter is lower",
    "insertion": "the hottest places given back:\nbetter is higher",
}


def draw_curves(
    models: Mapping[str, Sequence[dict]],
    path: Path,
    *,
    orders: Sequence[str],
    fill: str,
    resamples: int,
) -> None:
    """A row a model: mean ``p_fake`` over the share that was replaced or given back.

    Args:
        models: Name → records with curves.
        path: Where the PNG goes.
        orders: Lines to draw.
        fill: Of which curves.
        resamples: Of the bootstrap over groups behind the bands of 95 %.
    """
    models = {name: records for name, records in models.items() if records}
    if not models:
        return
    figure = new_figure(LIGHT, width=8.4, height=3.5 * len(models))
    axes = figure.subplots(len(models), 2, squeeze=False, sharey=True)
    for row, (name, records) in zip(axes, models.items(), strict=True):
        groups = [record["group"] for record in records]
        for axis, (test, text) in zip(row, TESTS.items(), strict=True):
            for number, order in enumerate(orders):
                curves = np.array([r["curves"][f"{test} {fill}"][order] for r in records])
                _line(axis, curves, groups, order, number, resamples)
            style_axes(axis, LIGHT, x="share of the face", y=f"p_fake, {name}, n = {len(records)}")
            axis.set_title(text, fontsize=9, color=LIGHT.ink)
            axis.set_ylim(0, 1)
    legend(axes[0][0], LIGHT)
    path.write_bytes(png(figure))


def _line(axis, curves: np.ndarray, groups: Sequence[str], order: str, number: int, n: int) -> None:
    """The mean with its band."""
    share = np.linspace(0, 1, curves.shape[1])
    drawn = resample(groups, n=n, seed=0)
    means = np.concatenate([w @ curves / w.sum(1, keepdims=True) for w in drawn])
    low, high = np.array([interval(column) for column in means.T]).T
    colour = LIGHT.lines[number]
    width = 2.4 if order == "map" else 1.3
    axis.fill_between(share, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.plot(
        share, curves.mean(0), color=colour, linestyle=DASHES[number], linewidth=width, label=order
    )


def write_tables(page: Path, rows: Sequence[dict], picture: str) -> None:
    """Put the rows over all sources into the page, between its two marks.

    Args:
        page: Markdown with the marks.
        rows: As written to the CSV file; those of one source are left out.
        picture: Name of the picture beside the page.
    """
    found = {
        (str(r["model"]), str(r["test"]), str(r["fill"]), str(r["order"])): r
        for r in rows
        if r["source"] == "all"
    }
    models = list(dict.fromkeys(model for model, *_ in found))
    lines = [
        BEGIN, "", f"![Curves of deletion and insertion]({picture})", "",
        "| model | test | faces | its own map | random | middle first | another face's map |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for model in models:
        for test in ("deletion", "insertion"):
            for fill, text in (("blur", "blurred"), ("mean", "one colour")):
                row = [
                    found.get((model, test, fill, order))
                    for order in ("map", "random", "centre", "another's map")
                ]
                if row[0] is not None:
                    cells = [_cell(one) for one in row]
                    lines.append(_line_of(model, f"{test}, {text}", row[0]["n"], cells))
    head = (
        "model", "made forgeries", "faces", "heat inside the mask",
        "the mask's share of the picture", "heat there before the forgery",
        "of the heat that it added",
    )  # fmt: skip
    lines += ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for model in models:
        for test, text in (("inside", "all"), ("inside, forgery noticed", "noticed by the model")):
            row = [
                found.get((model, test, "", order))
                for order in ("map", "random", "map of the real face", "added heat")
            ]
            if row[0] is not None:
                cells = [f"{100 * float(one['value']):.0f} %" if one else "" for one in row]
                low, high = (100 * float(row[0][end]) for end in ("low", "high"))
                cells[0] += f" ({low:.0f} to {high:.0f})"
                lines.append(_line_of(model, text, row[0]["n"], cells))
    lines += ["", END]
    text = page.read_text("utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(before + "\n".join(lines) + after, "utf-8")


def _cell(row: dict | None) -> str:
    """The area, and by how much the model's own map is better, with its interval."""
    if row is None:
        return ""
    value = f"{float(row['value']):.2f}"
    if row.get("better_by") in (None, ""):
        return value
    gain, low, high = (float(row[f"better_by{end}"]) for end in ("", "_low", "_high"))
    return f"{value} ({gain:+.2f}, {low:+.2f} to {high:+.2f})"


def _line_of(model: str, what: str, n: object, cells: Sequence[str]) -> str:
    return "| " + " | ".join([f"`{model}`", what, str(n), *cells]) + " |"
