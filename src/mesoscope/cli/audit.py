"""``mesoscope audit``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mesoscope.cli import detection, options
from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED
from mesoscope.cli.options import WholeRange
from mesoscope.cli.printing import columns, echo, plural
from mesoscope.cli.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from mesoscope.data.audit.finding import Audit
    from mesoscope.data.audit.fix import FixResult
    from mesoscope.data.audit.fix_plan import FixOptions
    from mesoscope.data.audit.options import AuditOptions

_FAIL_ON = {"severe": ("severe",), "warning": ("severe", "warning"), "never": ()}
_FIX = f"{__name__}.fix"  # key of the stored options of --fix
_FIX_OPTIONS = ("out", "size", "quality", "encode")


@click.command("audit")
@click.argument("dataset", metavar="DATASET", type=click.Path(path_type=Path))
@click.option(
    "--report", "page", metavar="FILE.html", type=click.Path(path_type=Path, dir_okay=False),
    help="Write everything as one .html page, which opens without a network.",
)  # fmt: skip
@click.option(
    "--json", "record", metavar="FILE.json", type=click.Path(path_type=Path, dir_okay=False),
    help="Write everything as JSON.",
)  # fmt: skip
@click.option(
    "--pictures/--no-pictures", default=True, show_default=True,
    help="Show thumbnails of examples on the page.",
)  # fmt: skip
@options.stored(
    __name__,
    click.option(
        "--suspects/--no-suspects", default=True, show_default=True,
        help="Look for wrong labels: a model scores every picture.",
    ),
)  # fmt: skip
@detection.detection_options(only=("max_pixels",))
@options.stored(
    __name__,
    click.option(
        "--check-faces", type=WholeRange(0), default=0, show_default=True, metavar="N",
        help="Run the face finder on N pictures of each source and class; 0 skips it.",
    ),
)  # fmt: skip
@click.option(
    "--sample", type=WholeRange(1), metavar="N",
    help="Audit only N pictures of each source, split and class.",
)  # fmt: skip
@click.option(
    "--fail-on", type=click.Choice(list(_FAIL_ON)), default="severe", show_default=True,
    help="Exit with 10 from this severity on.",
)  # fmt: skip
@click.option("--fix", is_flag=True, help="Write a fixed copy into --out, and audit it.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="With --fix: the folder of the copy, new or empty.",
)  # fmt: skip
@options.stored(
    _FIX,
    click.option(
        "--encode", type=click.Choice(["auto", "always", "never"]), default="auto",
        show_default=True,
        help="With --fix: re-encode pictures; auto does so if their encoding separates the "
        "classes.",
    ),
    click.option(
        "--size", type=WholeRange(16), metavar="PX",
        help="With --fix: short side of re-encoded pictures.  [default: from the pictures]",
    ),
    click.option(
        "--quality", type=WholeRange(1, 100), default=90, show_default=True,
        help="With --fix: JPEG quality of re-encoded pictures.",
    ),
)  # fmt: skip
@options.stored(
    __name__,
    click.option(
        "--resamples", type=WholeRange(20), default=200, show_default=True,
        help="Number of bootstrap resamples for the 95 % intervals.",
    ),
)  # fmt: skip
@options.seed
@options.jobs
@click.pass_context
def command(
    context: click.Context,
    dataset: Path,
    page: Path | None,
    record: Path | None,
    pictures: bool,
    sample: int | None,
    fail_on: str,
    fix: bool,
    out: Path | None,
    seed: int,
    jobs: int,
) -> int:
    """Find shortcuts and leaks in a data set.

    DATASET is a folder with train/real, train/fake and the like, or with a manifest. Nothing in it
    is changed. Exit codes: 0 nothing severe, 1 some pictures could not be read, 2 usage or data
    set, 3 missing extra or model, 10 something severe was found (see --fail-on).
    """
    _check_options(context, fix=fix, out=out, sample=sample)
    from mesoscope.data.audit.audit import audit, refuse_output, write_json, write_page
    from mesoscope.data.audit.fix_plan import FixOptions
    from mesoscope.data.audit.options import AuditOptions
    from mesoscope.data.manifest import read_dataset
    from mesoscope.data.sample import subset_of_splits
    from mesoscope.models.file import find_model
    from mesoscope.runtime.allocator import keep_heap

    for path in (page, record):
        if path is not None:
            refuse_output(path, dataset)
    if page is not None:
        from mesoscope import report

        report.require("jinja2")
    keep_heap(options.KEPT_BYTES)
    values = options.stored_values(__name__)
    audit_options = AuditOptions(
        model=find_model(detection.model()) if values["suspects"] else None,
        seed=seed,
        threads=jobs,
        **values,
        **detection.values(),
    )
    if out is not None:
        from mesoscope.data.audit.fix import refuse_folder

        refuse_folder(dataset, out)
    values = dict(options.stored_values(_FIX))
    fix_options = FixOptions(
        size_px=values.pop("size"),
        seed=seed,
        threads=jobs,
        max_pixels=audit_options.max_pixels,
        **values,
    )
    samples = read_dataset(dataset)
    chosen = samples if sample is None else subset_of_splits(samples, limit=sample, seed=seed)
    result = audit(chosen, root=dataset, options=audit_options, watch=watch)
    _print_summary(result, len(samples))
    if record is not None:
        write_json(result, record)
    if page is not None:
        write_page(
            result, page, pictures=pictures,
            command=shlex.join(["mesoscope", "audit", str(dataset), "--report", str(page)]),
            fix=shlex.join(["mesoscope", "audit", str(dataset), "--fix", "--out", "clean"]),
        )  # fmt: skip
        echo(f"page: {page}")
    if out is None:
        return _exit_code(result, fail_on)

    return _exit_code(write_fixed_copy(result, out, fix_options, audit_options), fail_on)


def watch(what: str, items: Iterable[Any], total: int) -> Iterable[Any]:
    """Show a progress bar around items."""
    return counted(items, total, what)


def summary_lines(audit: Mapping[str, Any], total: int) -> list[str]:
    """Return the summary of an audit: headline, findings with remedies, skipped checks.

    Args:
        audit: JSON of the audit.
        total: Number of pictures in the data set, of which the audit may be a sample.
    """
    from mesoscope.report import audit as words

    headline = words.headline(audit)
    sources = len({part["source"] for part in audit["parts"]})
    sampled = "" if total == audit["pictures"] else f" of {total:,}"
    size = ", ".join(
        (
            f"{plural(audit['pictures'], 'picture')}{sampled}",
            plural(sources, "source"),
            plural(audit["groups"], "group"),
        )
    )
    lines = [size, headline.line, headline.more]
    for finding in audit["findings"]:
        lines += ["", f"{finding['severity']:8} {finding['title']}{_scope(finding)}"]
        if finding["fix"]:
            lines.append(f"         {finding['fix']}")
    if audit["not_done"]:
        lines += ["", "not checked:", *(f"  {line}" for line in audit["not_done"])]
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _scope(finding: Mapping[str, Any]) -> str:
    """Return the source of a finding in brackets, unless its title names it.

    Titles of single cues never name it; a source "A" may still occur in one, as in "AUC".
    """
    scope, kind = finding["scope"], finding["kind"]
    single = kind.startswith("cue.") and kind != "cue.together"
    return f" [{scope}]" if scope and (single or scope not in finding["title"]) else ""


def _print_summary(audit: Audit, total: int) -> None:
    from mesoscope.files.escape import escape_name

    for line in summary_lines(audit.to_dict(), total):
        echo(escape_name(line))


def _exit_code(audit: Audit, fail_on: str) -> int:
    if any(finding.severity in _FAIL_ON[fail_on] for finding in audit.findings):
        return ALARM
    return INPUT_FAILED if audit.facts is not None and audit.facts.unreadable else DONE


def _check_options(
    context: click.Context, *, fix: bool, out: Path | None, sample: int | None
) -> None:
    """Raise a usage error if options need or exclude each other."""
    given = [
        name
        for name in _FIX_OPTIONS
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given and not fix:
        raise click.UsageError(f"--{given[0]} needs --fix: add it, or leave --{given[0]} out")
    if fix and out is None:
        raise click.UsageError("--fix writes a fixed copy: name its folder with --out FOLDER")
    if fix and sample is not None:
        raise click.UsageError("--fix needs the whole data set: leave --sample out")


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
