"""The measured figures in the card of a model file."""

from __future__ import annotations

from typing import Any

__all__ = ["figures_for_card", "with_decisions"]


CONDITIONS = "validation split, which also chose the epoch, the calibration and the thresholds"


def figures_for_card(metrics: dict[str, Any], *, conditions: str = CONDITIONS) -> dict[str, Any]:
    """Select the figures of the validation split that go into the model file.

    Args:
        metrics: :meth:`mesoscope.report.record.Evaluation.to_dict` of the exported file.
        conditions: What the pictures are, and what else they chose.
    """
    keys = (
        "n", "accuracy", "auc", "eer", "ece", "ece_by_chance", "ece_by_chance_high", "decided",
        "error_among_decided",
    )  # fmt: skip

    def short(entry: dict[str, Any]) -> dict[str, Any]:
        kept = {key: entry[key] for key in keys}
        kept["intervals"] = {k: entry["intervals"][k] for k in ("accuracy", "auc")}
        return kept

    return {
        "conditions": conditions,
        **short(metrics),
        "by_source": {name: short(entry) for name, entry in metrics["by_source"].items()},
    }


def with_decisions(metrics: dict[str, Any]) -> dict[str, Any]:
    """Take the shares of decided faces from ``decisions``, where newer thresholds are counted.

    Args:
        metrics: ``metrics`` of a card; returned as they are without ``decisions`` or sources.
    """
    found = metrics.get("decisions")
    if found is None or "by_source" not in metrics:
        return metrics
    shares = ("decided", "error_among_decided")
    newer = found["by_source"]
    by_source = {
        name: {**entry, **({s: newer[name][s] for s in shares} if name in newer else {})}
        for name, entry in metrics["by_source"].items()
    }
    return {**metrics, **{share: found[share] for share in shares}, "by_source": by_source}
