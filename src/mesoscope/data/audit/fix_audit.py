"""Mend a data set into a copy, and audit the copy as the set was audited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.data.audit.audit import audit as audit_samples
from mesoscope.data.audit.fix import mend
from mesoscope.data.audit.options import unwatched
from mesoscope.data.audit.outputs import write_json
from mesoscope.data.manifest import read_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mesoscope.data.audit.finding import Audit
    from mesoscope.data.audit.fix import Mended
    from mesoscope.data.audit.fix_plan import FixOptions
    from mesoscope.data.audit.options import AuditOptions, Watch

__all__ = ["AFTER", "mend_and_audit"]

AFTER = "audit.json"  # of the copy, in it


def mend_and_audit(
    audit: Audit,
    out: Path,
    *,
    options: FixOptions | None = None,
    audit_options: AuditOptions | None = None,
    watch: Watch = unwatched,
    told: Callable[[Mended], None] | None = None,
) -> Audit:
    """Write a mended copy of a data set, and audit that; ``audit.json`` in it holds the audit.

    Args:
        audit: Of the whole set, made here and now, with its facts.
        out: A new or empty folder.
        options: How it is mended.
        audit_options: How the copy is audited: as the set was.
        watch: Wraps the long parts for a progress bar.
        told: Called with what was mended, before the copy is audited.

    Returns:
        The audit of the copy.

    Raises:
        As :func:`mesoscope.data.audit.fix.mend` and :func:`mesoscope.data.audit.audit.audit`.
    """
    mended = mend(audit, out, options=options, watch=watch)
    if told is not None:
        told(mended)
    after = audit_samples(read_dataset(out), root=out, options=audit_options, watch=watch)
    write_json(after, out / AFTER)
    return after
