"""How a run went, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def draw_curves(history: Sequence[dict[str, Any]], out: Path) -> None:
    """Draw training loss and validation AUC by source over the epochs.

    Args:
        history: One record an epoch, as in ``log.jsonl``.
        out: The picture, PNG.
    """
    epochs = [record["epoch"] for record in history]
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [record["loss"] for record in history], color="#444444", marker=".")
    left.set(title="training loss", xlabel="epoch")
    for source in sorted(history[-1]["auc_by_source"]):
        values = [record["auc_by_source"][source] for record in history]
        right.plot(epochs, values, marker=".", label=source)
    right.plot(
        epochs, [record["auc"] for record in history], color="black", linewidth=2, label="mean"
    )
    right.axhline(0.5, color="#999999", linestyle=":", linewidth=1)
    right.set(title="validation AUC", xlabel="epoch", ylim=(0.45, 1.0))
    right.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(out, dpi=120)
