"""Output folder of an evaluation: checked before the work, written after it."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from mesoscope.errors import OutputError
from mesoscope.errors.failures import cause
from mesoscope.report.against import write_differences
from mesoscope.report.record import write_metrics, write_predictions
from mesoscope.report.tables import write_answer_counts

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.report.record import Evaluation

__all__ = [
    "AGAINST",
    "ANSWER_COUNTS",
    "METRICS",
    "PREDICTIONS",
    "ROBUSTNESS",
    "open_folder",
    "write_results",
]

METRICS, PREDICTIONS, ANSWER_COUNTS = "metrics.json", "predictions.csv", "told.csv"
ROBUSTNESS, AGAINST = "robustness.csv", "against.csv"


def open_folder(out: Path) -> None:
    """Create the folder and test that it is writable, before long work.

    Raises:
        OutputError: The folder is not writable.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        for name in (
            METRICS,
            PREDICTIONS,
            ANSWER_COUNTS,
            ROBUSTNESS,
            AGAINST,
        ):  # they may belong to another user
            if (out / name).exists():
                with (out / name).open("ab"):
                    pass
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written: {cause(error)}: choose another `out`"
        ) from error


def write_results(evaluation: Evaluation, out: Path) -> None:
    """Write ``metrics.json``, ``predictions.csv``, ``told.csv`` and, if any, ``against.csv``.

    Raises:
        OutputError: A file is not writable.
    """
    write_metrics(evaluation, out / METRICS)
    write_predictions(evaluation, out / PREDICTIONS)
    write_answer_counts(evaluation.answer_counts, out / ANSWER_COUNTS)
    (out / AGAINST).unlink(missing_ok=True)  # left by an earlier evaluation
    if evaluation.against is not None:
        write_differences(evaluation.against, out / AGAINST)
