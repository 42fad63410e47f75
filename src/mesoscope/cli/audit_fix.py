"""``mesoscope audit --fix``: write the fixed copy, audit it, compare both audits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesoscope.cli.audit import watch
from mesoscope.cli.printing import columns, echo, plural

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.data.audit.finding import Audit
    from mesoscope.data.audit.fix import FixResult
    from mesoscope.data.audit.fix_plan import FixOptions
    from mesoscope.data.audit.options import AuditOptions


def write_fixed_copy(
    before: Audit, out: Path, options: FixOptions, audit_options: AuditOptions
) -> Audit:
    """Write a fixed copy of an audited data set, audit it, and print what changed.

    Returns:
        The audit of the copy.
    """
    from mesoscope.data.audit.fix import fix_and_audit
    from mesoscope.files.escape import escape_name

    def report(result: FixResult) -> None:
        echo("\n".join(["", *map(escape_name, result_lines(result))]))

    after = fix_and_audit(
        before, out, options=options, audit_options=audit_options, watch=watch, on_fixed=report
    )
    echo("\n".join(["", *map(escape_name, comparison_lines(before.to_dict(), after.to_dict()))]))
    return after


def result_lines(result: FixResult) -> list[str]:
    """Return the counts of written and left out pictures."""
    written = plural(result.copied + result.encoded, "picture")
    moved = f"{result.moved:,} moved to another split"
    lines = [f"{result.out}: {written}, {result.encoded:,} re-encoded, {moved}"]
    for reason, count in result.left_out.items():
        lines.append(f"  left out: {plural(count, 'picture')}, {reason}")
    lines.append(f"  action for each picture: {result.out / 'what_was_done.csv'}")
    return lines


def comparison_lines(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return a table of both audits, and the remaining findings of the copy."""
    from mesoscope.report import audit as words

    rows = [["", "before", "after"]]
    rows.append(["pictures", f"{before['pictures']:,}", f"{after['pictures']:,}"])
    for severity, title in (("severe", "severe"), ("warning", "warnings"), ("note", "notes")):
        counts = [str(words.by_severity(audit)[severity]) for audit in (before, after)]
        rows.append([title, *counts])
    for key, title in (("accuracy", "separable without a face"), ("auc", "AUC of all facts")):
        rows.append([title, *(_all_facts(audit, key) for audit in (before, after))])
    strongest = next((cue for cue in before["cues"] if not cue["scope"]), None)
    if strongest is not None:
        same = (c for c in after["cues"] if (c["name"], c["scope"]) == (strongest["name"], ""))
        remaining = next((words.format_auc_interval(cue) for cue in same), "the same for all")
        rows.append(
            [f"AUC of {strongest['title']}", words.format_auc_interval(strongest), remaining]
        )
    lines = columns(rows)
    left = [finding for finding in after["findings"] if finding["severity"] != "note"]
    lines += [f"{finding['severity']:8} still: {finding['title']}" for finding in left]
    lines.append(
        "What is still severe cannot be fixed by a copy: see docs/reference/audit.md."
        if any(finding["severity"] == "severe" for finding in left)
        else "Nothing severe is left in the files. Traces of how the classes were made or "
        "compressed before can remain in the pixels: test on a held-out source."
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _all_facts(audit: dict[str, Any], key: str) -> str:
    """Return the accuracy or the AUC of all facts together."""
    from mesoscope.report import audit as words

    together = next((entry for entry in audit["together"] if not entry["scope"]), None)
    if together is None:
        return "–"
    if key == "accuracy":
        return words.percent(together["accuracy"])
    return words.format_auc_interval(together)
