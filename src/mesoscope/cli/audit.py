"""``mesoscope audit``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from click.core import ParameterSource

from mesoscope.cli import options
from mesoscope.cli.bars import counted
from mesoscope.cli.echo import echo
from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED
from mesoscope.cli.numbers import WholeRange

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mesoscope.data.audit.finding import Audit
    from mesoscope.data.audit.fix_plan import Encode

_FAILS = {"severe": ("severe",), "warning": ("severe", "warning"), "never": ()}
_OF_FIX = ("out", "size", "quality", "encode")


@click.command("audit")
@click.argument("dataset", metavar="DATASET", type=click.Path(path_type=Path))
@click.option(
    "--report", "page", metavar="FILE.html", type=click.Path(path_type=Path, dir_okay=False),
    help="Write everything as one page that opens without a network.",
)  # fmt: skip
@click.option(
    "--json", "record", metavar="FILE.json", type=click.Path(path_type=Path, dir_okay=False),
    help="Write everything as JSON.",
)  # fmt: skip
@click.option(
    "--pictures/--no-pictures", default=True, show_default=True,
    help="Show small copies of examples on the page.",
)  # fmt: skip
@click.option(
    "--suspects/--no-suspects", default=True, show_default=True,
    help="Look for wrong labels: a model scores every picture.",
)  # fmt: skip
@options.model
@click.option(
    "--check-faces", type=WholeRange(0), default=0, show_default=True, metavar="N",
    help="Look for a face in N pictures of each source and class.",
)  # fmt: skip
@click.option(
    "--sample", type=WholeRange(1), metavar="N",
    help="Look at N pictures of each source, split and class only.",
)  # fmt: skip
@click.option(
    "--fail-on", type=click.Choice(list(_FAILS)), default="severe", show_default=True,
    help="Exit with 10 where a finding is as bad as this.",
)  # fmt: skip
@click.option("--fix", is_flag=True, help="Write a mended copy into --out.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="With --fix: the folder of the mended copy; it must be new or empty.",
)  # fmt: skip
@click.option(
    "--encode", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
    help="With --fix: encode pictures anew; auto where their encoding tells the class.",
)  # fmt: skip
@click.option(
    "--size", type=WholeRange(16), metavar="PX",
    help="With --fix: the side of pictures that are encoded anew.  [default: what nearly all have]",
)  # fmt: skip
@click.option(
    "--quality", type=WholeRange(1, 100), default=90, show_default=True,
    help="With --fix: their JPEG quality.",
)  # fmt: skip
@click.option(
    "--resamples", type=WholeRange(20), default=200, show_default=True,
    help="Of the bootstrap behind the 95 % intervals.",
)  # fmt: skip
@click.option(
    "--seed", type=WholeRange(0), default=0, show_default=True, help="Of all that is drawn."
)
@options.jobs
@options.max_pixels
@click.pass_context
def command(
    context: click.Context,
    dataset: Path,
    page: Path | None,
    record: Path | None,
    pictures: bool,
    suspects: bool,
    model: str,
    check_faces: int,
    sample: int | None,
    fail_on: str,
    fix: bool,
    out: Path | None,
    encode: str,
    size: int | None,
    quality: int,
    resamples: int,
    seed: int,
    jobs: int,
    max_pixels: float,
) -> int:
    """Find what would let a model cheat on a data set, before it is trained on.

    DATASET is a folder with train/real, train/fake and the like, or with a manifest. Nothing in it
    is changed. Exit codes: 0 nothing severe, 1 some pictures could not be read, 2 usage or data
    set, 3 missing extra or model, 10 something severe was found (see --fail-on).
    """
    _refuse(context, fix=fix, out=out, sample=sample)
    from mesoscope.data.audit.audit import audit
    from mesoscope.data.audit.fix_plan import FixOptions
    from mesoscope.data.audit.options import AuditOptions
    from mesoscope.data.audit.outputs import refuse_output, write_json, write_page
    from mesoscope.data.manifest import read_dataset
    from mesoscope.data.subset import subset_of_splits
    from mesoscope.models.file import find_model
    from mesoscope.runtime.allocator import keep_heap

    for path in (page, record):
        if path is not None:
            refuse_output(path, dataset)
    if page is not None:
        from mesoscope import report

        report.require("jinja2")
    keep_heap(options.KEPT_BYTES)
    asked = AuditOptions(
        suspects=suspects,
        model=find_model(model) if suspects else None,
        check_faces=check_faces,
        resamples=resamples,
        seed=seed,
        threads=jobs,
        max_pixels=int(max_pixels * options.MEGAPIXEL),
    )
    if out is not None:
        from mesoscope.data.audit.fix import refuse_folder

        refuse_folder(dataset, out)
    how = FixOptions(
        encode=cast("Encode", encode),
        size_px=size,
        quality=quality,
        seed=seed,
        threads=jobs,
        max_pixels=asked.max_pixels,
    )
    samples = read_dataset(dataset)
    chosen = samples if sample is None else subset_of_splits(samples, limit=sample, seed=seed)
    found = audit(chosen, root=dataset, options=asked, watch=watch)
    _say(found, len(samples))
    if record is not None:
        write_json(found, record)
    if page is not None:
        shown = context.params["dataset"]
        write_page(
            found, page, pictures=pictures,
            command=shlex.join(["mesoscope", "audit", str(shown), "--report", str(page)]),
            fix=shlex.join(["mesoscope", "audit", str(shown), "--fix", "--out", "clean"]),
        )  # fmt: skip
        echo(f"page: {page}")
    if out is None:
        return _code(found, fail_on)
    from mesoscope.cli.audit_fix import mend

    return _code(mend(found, out, how, asked), fail_on)


def watch(what: str, items: Iterable[Any], total: int) -> Iterable[Any]:
    """A progress bar around a long part."""
    return counted(items, total, what)


def lines(found: Mapping[str, Any], of: int) -> list[str]:
    """The summary: what it comes to, each finding with what to do, what was not looked at."""
    from mesoscope.report import audit as words

    headline = words.headline(found)
    sources = len({part["source"] for part in found["parts"]})
    sampled = "" if of == found["pictures"] else f" of {of:,}"
    size = ", ".join(
        (
            f"{words.plural(found['pictures'], 'picture')}{sampled}",
            words.plural(sources, "source"),
            words.plural(found["groups"], "group"),
        )
    )
    made = [
        size,
        headline.line,
        headline.more,
    ]
    for finding in found["findings"]:
        made += ["", f"{finding['severity']:8} {finding['title']}{_where(finding)}"]
        if finding["fix"]:
            made.append(f"         {finding['fix']}")
    if found["not_done"]:
        made += ["", "not looked at:", *(f"  {line}" for line in found["not_done"])]
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in made]


def _where(finding: Mapping[str, Any]) -> str:
    """The source of a finding whose title does not name it; "A" is in "AUC", and names nothing."""
    scope, kind = finding["scope"], finding["kind"]
    alone = kind.startswith("cue.") and kind != "cue.together"
    return f" [{scope}]" if scope and (alone or scope not in finding["title"]) else ""


def _say(found: Audit, of: int) -> None:
    from mesoscope.files.names import shown

    for line in lines(found.to_dict(), of):
        echo(shown(line))


def _code(found: Audit, fail_on: str) -> int:
    if any(finding.severity in _FAILS[fail_on] for finding in found.findings):
        return ALARM
    unread = found.facts is not None and found.facts.unreadable
    return INPUT_FAILED if unread else DONE


def _refuse(context: click.Context, *, fix: bool, out: Path | None, sample: int | None) -> None:
    """Options that need each other, or rule each other out."""
    given = [
        name
        for name in _OF_FIX
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given and not fix:
        raise click.UsageError(f"--{given[0]} goes with --fix: add it, or leave --{given[0]} out")
    if fix and out is None:
        raise click.UsageError("--fix writes a mended copy: say where to with --out FOLDER")
    if fix and sample is not None:
        raise click.UsageError("--fix needs the whole set: leave --sample out")
