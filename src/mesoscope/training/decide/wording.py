"""How a model decides, as a part of its card for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mesoscope.types import ModelCard

_CALIBRATION = """## Calibration

Calibrated by {}. The last rows are the honest ones: fitted on one half of the groups and measured
on the other, both ways.
"""
_DECISIONS = """## Decisions

By the two thresholds alone, before the guard refuses anything.
"""
_POINTS = """## Operating points

Thresholds for `--fpr`. Reals count once each, whatever their source, so one source may have far
more false alarms than the rate says.
"""
_STAGES = {
    "before": "as the network has it",
    "after": "calibrated, on the faces of the fit",
    "cross_fitted": "calibrated, on faces that the fit did not see",
}


def decisions_markdown(card: ModelCard) -> str:
    """Calibration before and after, what the thresholds decide, and the operating points.

    Args:
        card: With ``calibration`` and ``decisions`` in its metrics; what is missing is left out.

    Returns:
        Markdown, beginning with an empty line; empty where the card holds nothing of it.
    """
    metrics = cast("dict[str, Any]", card.metrics)
    parts = []
    if "calibration" in metrics:
        parts.append(_calibration(metrics["calibration"]))
    if "decisions" in metrics:
        parts.append(_decisions(metrics["decisions"]))
    if card.operating_points:
        parts.append(_operating_points(card, metrics.get("false_positive_rates", {})))
    return "\n" + "\n\n".join(parts) if parts else ""


def _calibration(found: dict[str, Any]) -> str:
    rows = [
        f"| {says} | {found[stage]['ece']:.4f} | {found[stage]['nll']:.4f} |"
        for stage, says in _STAGES.items()
        if found[stage] is not None
    ]
    other = found["cross_fitted_by_other"]
    if other is not None:
        rows.append(
            f"| the same by {other['calibration']} | {other['ece']:.4f} | {other['nll']:.4f} |"
        )
    return "\n".join(
        [
            _CALIBRATION.format(found["chosen"]),
            "| p_fake | ECE | negative log-likelihood |",
            "|---|---|---|",
            *rows,
        ]
    )


def _decisions(found: dict[str, Any]) -> str:
    entries = {"all": found, **found["by_source"]}
    if found["cross_fitted"] is not None:
        entries["all, thresholds and calibration from other faces"] = found["cross_fitted"]
    rows = [
        f"| {name} | {e['error_of_all']:.1%} | {e['decided']:.1%} | "
        f"{'–' if e['error_among_decided'] is None else format(e['error_among_decided'], '.1%')} |"
        for name, e in entries.items()
    ]
    return "\n".join(
        [
            _DECISIONS,
            "| source | error if all are decided | decided | wrong among decided |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _operating_points(card: ModelCard, by_source: dict[str, dict[str, float]]) -> str:
    rows = []
    for point in card.operating_points:
        low, high = point.fpr_interval
        found_low, found_high = point.tpr_interval
        of_it = by_source.get(f"{point.fpr:g}", {})
        worst = max(of_it, key=lambda name: of_it[name], default="")
        rows.append(
            f"| {point.fpr:g} | {point.threshold:.4f} | {point.false_alarms} of {point.n_real} "
            f"[{low:.4f}, {high:.4f}] | {point.tpr:.3f} [{found_low:.3f}, {found_high:.3f}] | "
            + (f"{worst} {of_it[worst]:.3f} |" if worst else "– |")
        )
    return "\n".join(
        [
            _POINTS,
            "| false-positive rate | fake from | reals above it | detection rate | worst source |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )
