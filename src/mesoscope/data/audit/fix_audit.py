"""Clean a data set into a copy, and audit the copy with the same options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.data.audit.audit import audit as audit_samples
from mesoscope.data.audit.fix import fix_dataset
from mesoscope.data.audit.options import unwatched
from mesoscope.data.audit.outputs import write_json
from mesoscope.data.manifest import read_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mesoscope.data.audit.finding import Audit
    from mesoscope.data.audit.fix import FixResult
    from mesoscope.data.audit.fix_plan import FixOptions
    from mesoscope.data.audit.options import AuditOptions, Watch

__all__ = ["AFTER", "fix_and_audit"]

AFTER = "audit.json"  # file in the copy with its audit


def fix_and_audit(
    audit: Audit,
    out: Path,
    *,
    options: FixOptions | None = None,
    audit_options: AuditOptions | None = None,
    watch: Watch = unwatched,
    told: Callable[[FixResult], None] | None = None,
) -> Audit:
    """Write a cleaned copy of a data set and audit it; ``audit.json`` in it holds the result.

    Args:
        audit: Audit of the whole set from this process, with its facts.
        out: A new or empty folder.
        options: Options of the cleaning.
        audit_options: Options of the copy's audit, as for the set.
        watch: Wraps long iterations for a progress bar.
        told: Called with the result of the cleaning, before the copy is audited.

    Returns:
        The audit of the copy.

    Raises:
        As for :func:`.fix.fix_dataset` and :func:`.audit.audit`.
    """
    mended = fix_dataset(audit, out, options=options, watch=watch)
    if told is not None:
        told(mended)
    after = audit_samples(read_dataset(out), root=out, options=audit_options, watch=watch)
    hint = f"the copy is complete: audit it again with mesoscope audit {out} --json FILE.json"
    write_json(after, out / AFTER, hint=hint)
    return after
