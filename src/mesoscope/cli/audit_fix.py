"""``mesoscope audit --fix``: write the mended copy, audit it, show before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesoscope.cli.audit import watch
from mesoscope.cli.echo import echo

if TYPE_CHECKING:
    from pathlib import Path

    from mesoscope.data.audit.finding import Audit
    from mesoscope.data.audit.fix import FixResult
    from mesoscope.data.audit.fix_plan import FixOptions
    from mesoscope.data.audit.options import AuditOptions


def mend(found: Audit, out: Path, options: FixOptions, asked: AuditOptions) -> Audit:
    """Mend what can be mended into a folder, audit that, and say what came of it.

    Returns:
        The audit of the copy.
    """
    from mesoscope.data.audit.fix_audit import fix_and_audit
    from mesoscope.files.names import shown

    def say(mended: FixResult) -> None:
        echo("\n".join(["", *map(shown, done(mended))]))

    after = fix_and_audit(found, out, options=options, audit_options=asked, watch=watch, told=say)
    echo("\n".join(["", *map(shown, before_and_after(found.to_dict(), after.to_dict()))]))
    return after


def done(mended: FixResult) -> list[str]:
    """What was written, and what was left out and why."""
    from mesoscope.report.audit import plural

    written = plural(mended.copied + mended.encoded, "picture")
    moved = f"{mended.moved:,} moved to another split"
    lines = [f"{mended.out}: {written}, {mended.encoded:,} encoded anew, {moved}"]
    for reason, count in mended.left_out.items():
        lines.append(f"  left out: {plural(count, 'picture')}, {reason}")
    lines.append(f"  what became of each picture: {mended.out / 'what_was_done.csv'}")
    return lines


def before_and_after(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A table of the audits of the set and of its copy, and what is still wrong with that."""
    from mesoscope.cli.figures_table import columns
    from mesoscope.report import audit as words

    rows = [["", "before", "after"]]
    rows.append(["pictures", f"{before['pictures']:,}", f"{after['pictures']:,}"])
    for severity, title in (("severe", "severe"), ("warning", "warnings"), ("note", "notes")):
        counts = [str(words.by_severity(one)[severity]) for one in (before, after)]
        rows.append([title, *counts])
    for key, title in (("accuracy", "told without a face"), ("auc", "AUC of all facts")):
        rows.append([title, *(_together(one, key) for one in (before, after))])
    strongest = next((cue for cue in before["cues"] if not cue["scope"]), None)
    if strongest is not None:
        rows.append([f"AUC of {strongest['title']}", words.format_auc_interval(strongest)])
        same = (c for c in after["cues"] if (c["name"], c["scope"]) == (strongest["name"], ""))
        rows[-1].append(next((words.format_auc_interval(cue) for cue in same), "the same for all"))
    lines = columns(rows)
    left = [f for f in after["findings"] if f["severity"] != "note"]
    lines += [f"{f['severity']:8} still: {f['title']}" for f in left]
    lines.append(
        "Nothing severe is left in what files say. Traces of how the classes were made or "
        "compressed before can stay in the pixels: test on a source that was held out."
        if not any(f["severity"] == "severe" for f in left)
        else "What is still severe no copy can mend: see docs/reference/audit.md."
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _together(audit: dict[str, Any], key: str) -> str:
    from mesoscope.report import audit as words

    whole = next((one for one in audit["together"] if not one["scope"]), None)
    if whole is None:
        return "–"
    return (
        words.percent(whole["accuracy"]) if key == "accuracy" else words.format_auc_interval(whole)
    )
