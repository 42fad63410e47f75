"""``mesoscope evaluate --against``: a second model on the same items."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mesoscope.cli import detection
from mesoscope.cli.environment import models_folder
from mesoscope.cli.printing import columns, echo
from mesoscope.cli.progress import bar
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesoscope.data.manifest import Sample
    from mesoscope.detection.detector import Detector, DetectorSpec
    from mesoscope.report.record import Evaluation
    from mesoscope.types import Verdict

__all__ = ["compared", "other_detector", "print_differences"]


def other_detector(spec: DetectorSpec | None, path: Path, against: str | None) -> Detector | None:
    """Return the detector of ``--against`` with the options of the evaluated one, if asked for.

    Args:
        spec: The evaluated detector's specification; ``None`` with ``--job``.
        path: The evaluated model's file.
        against: Name or path of the other model.

    Raises:
        ModelError: The model is missing or invalid.
        OptionError: It is the evaluated model.
    """
    from mesoscope.models.added import named_model
    from mesoscope.models.file import find_model, model_id

    if against is None or spec is None:
        return None
    other = find_model(named_model(against, models_folder()))
    if model_id(other) == model_id(path):
        raise OptionError(f"--against {against}: that is the evaluated model: name another one")
    return detection.build(dataclasses.replace(spec, model=other))


def compared(
    result: Evaluation,
    other: Detector | None,
    samples: Sequence[Sample],
    *,
    seed: int,
    resamples: int,
) -> Evaluation:
    """Judge the samples with the other model, if any, and add the comparison to the result."""
    from mesoscope.evaluation.against import compare_evaluations
    from mesoscope.evaluation.evaluate import evaluate

    if other is None:
        return result
    with bar(total=len(samples), what=f"against {other.card.name}") as progress:

        def watch(_verdict: Verdict) -> None:
            progress.update()

        before = evaluate(samples, other, resamples=0, watch=watch, clips=True)
    found = compare_evaluations(result, before, seed=seed, resamples=resamples)
    return dataclasses.replace(result, against=found)


def print_differences(result: Evaluation) -> None:
    """Print the table of both models and their differences, if there is one."""
    from mesoscope.report.against import against_rows

    if result.against is None:
        return
    echo(f"\n{result.against.against} → {result.against.model}, on the same items:")
    echo("\n".join(columns(against_rows(result.against))))
