"""Watchers of a run's progress, and the log and curves in its folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mesoscope.files.atomic import write_text
from mesoscope.runtime.log import logger
from mesoscope.training.fit.loop import Watcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mesoscope.training.fit.checkpoint import TrainingState


def draw_curves(history: Sequence[dict[str, Any]], out: Path) -> None:
    """Plot training loss and validation AUC by source over the epochs.

    Args:
        history: One record per epoch, as in ``log.jsonl``.
        out: The PNG file to write.
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


T = TypeVar("T")


class RunWatcher(Watcher, Protocol):
    """Receives all progress of a run; the command line draws bars and lines from it."""

    def count(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:
        """Wrap an iterable for a progress bar."""
        ...


class LoggedWatcher:
    """Log one line per epoch; the default watcher.

    Args:
        epochs: Number of epochs of the run.
    """

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def step(self, *, done: int, total: int, loss: float, images_per_s: float) -> None:
        """Do nothing: there are many steps."""

    def epoch(self, record: dict[str, Any], state: TrainingState) -> None:
        """Log the record of the epoch."""
        logger.info(epoch_line(record, state, self._epochs))

    def count(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:  # noqa: ARG002
        """Return the items."""
        return items


def epoch_line(record: dict[str, Any], state: TrainingState, epochs: int) -> str:
    """Describe an epoch in one line.

    Args:
        record: The epoch's line of ``log.jsonl``.
        state: State of the run.
        epochs: Number of epochs of the run.
    """
    by_source = ", ".join(f"{k} {v:.3f}" for k, v in record["auc_by_source"].items())
    best = " (best)" if state.best_epoch == record["epoch"] else ""
    return (
        f"epoch {record['epoch']}/{epochs}: loss {record['loss']:.4f}, validation AUC "
        f"{record['auc']:.4f}{best} ({by_source}), {record['images_per_s']:.0f} images/s, "
        f"{record['elapsed_s']:.0f} s"
    )


class LogWatcher:
    """Update ``log.jsonl`` and the curves, and pass on all progress."""

    def __init__(self, run: Path, watcher: RunWatcher) -> None:
        self._run = run
        self.step = watcher.step
        self._watcher = watcher

    def epoch(self, record: dict[str, Any], state: TrainingState) -> None:
        """Rewrite both files and pass the record on."""
        write_log(self._run, state)
        draw_curves(state.history, self._run / "curves.png")
        self._watcher.epoch(record, state)


class SilentWatcher:
    """Do nothing; for all processes but the first."""

    def step(self, *, done: int, total: int, loss: float, images_per_s: float) -> None:
        """Do nothing."""

    def epoch(self, record: dict[str, Any], state: TrainingState) -> None:
        """Do nothing."""

    def count(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:  # noqa: ARG002
        """Return the items."""
        return items


def write_log(run: Path, state: TrainingState) -> None:
    """Write ``log.jsonl``, one line per finished epoch."""
    # Rewritten whole from the checkpoint's history: a killed run leaves no line of an epoch that is
    # trained again.
    write_text(run / "log.jsonl", "".join(json.dumps(r) + "\n" for r in state.history))
