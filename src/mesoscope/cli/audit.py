"""``mesoscope audit``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from click.core import ParameterSource

from mesoscope.cli import options
from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo
from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED
from mesoscope.errors import OptionError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mesoscope.data.audit.finding import Audit
    from mesoscope.data.audit.fix_plan import Encode
    from mesoscope.data.sample import Sample

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
    "--check-faces", type=click.IntRange(0), default=0, show_default=True, metavar="N",
    help="Look for a face in N pictures of each source and class.",
)  # fmt: skip
@click.option(
    "--sample", type=click.IntRange(1), metavar="N",
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
    "--size", type=click.IntRange(16), metavar="PX",
    help="With --fix: the side of pictures that are encoded anew.  [default: what nearly all have]",
)  # fmt: skip
@click.option(
    "--quality", type=click.IntRange(1, 100), default=90, show_default=True,
    help="With --fix: their JPEG quality.",
)  # fmt: skip
@click.option(
    "--resamples", type=click.IntRange(20), default=200, show_default=True,
    help="Of the bootstrap behind the 95 % intervals.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn."
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
    for path in (page, record):
        _try_file(path, dataset)
    from mesoscope.data.audit.audit import audit
    from mesoscope.data.audit.fix_plan import FixOptions
    from mesoscope.data.audit.options import AuditOptions
    from mesoscope.data.manifest import read_dataset
    from mesoscope.models.file import find_model
    from mesoscope.runtime.allocator import keep_heap

    if page is not None:
        from mesoscope import report

        report.require("jinja2")
    keep_heap(options.KEPT_BYTES)
    asked = AuditOptions(
        suspects=suspects,
        model=find_model(model) if suspects else None,
        faces=check_faces,
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
    chosen = samples if sample is None else draw(samples, sample, seed)
    found = audit(chosen, root=dataset, options=asked, watch=watch)
    _say(found, len(samples))
    if record is not None:
        _write_json(found, record)
    if page is not None:
        _write_page(found, page, context, pictures=pictures)
    if out is None:
        return _code(found, fail_on)
    from mesoscope.cli.audit_fix import mend

    return _code(mend(found, out, how, asked), fail_on)


def draw(samples: Sequence[Sample], limit: int, seed: int) -> list[Sample]:
    """So many pictures of each source, split and class, in their order."""
    from mesoscope.evaluation.robustness import choose

    kept: set[int] = set()
    for split in {sample.split for sample in samples}:
        of_split = [sample for sample in samples if sample.split == split]
        kept |= {id(sample) for sample in choose(of_split, limit=limit, seed=seed)}
    return [sample for sample in samples if id(sample) in kept]


def watch(what: str, items: Iterable[Any], total: int) -> Iterable[Any]:
    """A progress bar around a long part."""
    shown: Iterable[Any] = bar(items, total=total, what=what)
    return shown


def lines(found: Mapping[str, Any], of: int) -> list[str]:
    """The summary: what it comes to, each finding with what to do, what was not looked at."""
    from mesoscope.report import audit_words as words

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


def _try_file(path: Path | None, dataset: Path) -> None:
    """What cannot be written is missed before the long work, and nothing is written into the set.

    Raises:
        OptionError: The folder is not there, or the file would lie among the pictures.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise OptionError(f"{path}: there is no folder {path.parent}: make it first")
    if path.is_dir():
        raise OptionError(f"{path}: a folder: give the name of a file in it")
    if dataset.resolve() in path.parent.resolve().parents:
        raise OptionError(f"{path}: would lie among the set's pictures: choose another folder")
    if path.name.lower().startswith("manifest.") and path.parent.resolve() == dataset.resolve():
        raise OptionError(f"{path}: would replace the set's manifest: choose another name")


def _write_json(found: Audit, path: Path) -> None:
    text = json.dumps(found.to_dict(), indent=1) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _write_page(found: Audit, path: Path, context: click.Context, *, pictures: bool) -> None:
    from mesoscope.data.audit.cues import FACTS
    from mesoscope.report.audit_page import write_audit_page

    wanted = {example.path for finding in found.findings for example in finding.examples}
    sources = None
    if pictures and found.facts is not None:
        facts = found.facts
        sources = {
            name: sample.picture
            for name, sample in zip(facts.names, facts.samples, strict=True)
            if name in wanted
        }
    shown = context.params["dataset"]
    write_audit_page(
        found.to_dict(),
        path,
        pictures=sources,
        families={name: fact.family for name, fact in FACTS.items()},
        command=shlex.join(["mesoscope", "audit", str(shown), "--report", str(path)]),
        fix=shlex.join(["mesoscope", "audit", str(shown), "--fix", "--out", "clean"]),
    )
    echo(f"page: {path}")
