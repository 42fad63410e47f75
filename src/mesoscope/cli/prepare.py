"""``mesoscope prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import detection, options
from mesoscope.cli.main import DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.cli.options import FiniteRange, WholeRange
from mesoscope.cli.printing import columns, echo, escape_text, plural
from mesoscope.cli.progress import bar
from mesoscope.errors import OptionError
from mesoscope.types.label import CLASSES
from mesoscope.types.options import option_infos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.prepare import Prepared, PrepareOptions, PreparePlan

_AUTO = "auto"  # recognise the set
_SHORT = 3  # counts that fit on one line
_DETECTION = [name for name, info in option_infos().items() if info.prepares]


def _shares(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[float, float, float]:
    try:
        train, validation, test = map(float, value.split(","))
    except ValueError as error:
        raise click.BadParameter(
            "give three numbers separated by commas, as in .8,.1,.1", context, parameter
        ) from error
    return train, validation, test


@click.command("prepare")
@click.argument("places", nargs=-1, required=True, metavar="[SET] ROOT")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path),
    help="The data set's folder: new, empty, or one to continue.",
)  # fmt: skip
@click.option(
    "--set",
    "named",
    metavar="SET",
    help="Name of the set, in place of the first argument.  [default: recognised]",
)
@detection.detection_options(only=_DETECTION, model=False)
@options.stored(
    __name__,
    click.option(
        "--split", type=click.Choice(["official", "group"]), default="official", show_default=True,
        help="Keep the set's own splits if it has some, or draw new ones by group.",
    ),
    click.option(
        "--shares", default=".8,.1,.1", show_default=True, metavar="TRAIN,VALIDATION,TEST",
        callback=_shares, help="Shares of drawn splits; they add up to 1.",
    ),
    click.option(
        "--donors-apart", is_flag=True,
        help="Leave out fakes whose donor face is of a person in another split.",
    ),
    click.option(
        "--quality", metavar="NAME", help="Compression to use if the set has several, as in c23."
    ),
    click.option(
        "--margin", type=FiniteRange(1, 10), default=1.3, show_default=True,
        help="Side of the crop over the longest side of the face.",
    ),
    click.option(
        "--size", "size_px", type=WholeRange(16, 4096), default=256, show_default=True,
        help="Side of the crops in pixels.",
    ),
    click.option(
        "--format", "format", type=click.Choice(["png", "jpg"]), default="png",
        show_default=True, help="Format of all crops, real and fake.",
    ),
    click.option(
        "--jpeg-quality", type=WholeRange(1, 100), default=95, show_default=True,
        help="JPEG quality of --format jpg.",
    ),
    click.option(
        "--largest-only/--all-faces", default=True,
        help="Keep one person of each clip or picture, or every face.  [default: one]",
    ),
    click.option(
        "--limit", type=WholeRange(1), metavar="N",
        help="Maximum number of clips or pictures of each split, class and method.",
    ),
    click.option(
        "--seed", default=0, show_default=True, help="Seed of drawn splits and of --limit."
    ),
)  # fmt: skip
@options.jobs
@click.option("--dry-run", is_flag=True, help="Print what would be done, and write nothing.")
def command(places: tuple[str, ...], out: Path, named: str | None, jobs: int, dry_run: bool) -> int:
    """Make a data set of faces from a public set.

    ROOT is the set's folder; SET is its name, recognised if left out. Frames are sampled, faces are
    found, cropped, and written to OUT/{train,validation,test}/{real,fake} with a manifest.csv. The
    same command continues after a stop.
    """
    from mesoscope.data.prepare import PrepareOptions, make_plan
    from mesoscope.runtime.allocator import keep_heap

    keep_heap(options.KEPT_BYTES)
    layout, root = _set_and_root(places, named)
    values = options.stored_values(__name__)
    all_faces = not values.pop("largest_only")
    prepare_options = PrepareOptions(**detection.values(), **values, all_faces=all_faces)
    plan = make_plan(root, layout=layout, options=prepare_options)
    _print_set(plan)
    if dry_run:
        _print_plan(plan, out)
        return DONE
    return _run(root, out, prepare_options, plan, jobs)


def _set_and_root(places: Sequence[str], named: str | None) -> tuple[str, Path]:
    """Return the set's name and its folder from ``ROOT``, ``SET ROOT`` and ``--set SET``."""
    if len(places) > 2:
        raise OptionError(
            f"{len(places)} arguments, but one set is prepared at a time: give SET ROOT, or ROOT"
        )
    first = places[0] if len(places) == 2 else None
    if first is not None and named is not None and first != named:
        raise OptionError(f"the set has two names, {first!r} and --set {named!r}: give one of them")
    if first is None and named is None and not Path(places[0]).exists():
        from mesoscope.data.layouts.recognise import LAYOUTS

        if places[0].lower() in (_AUTO, *LAYOUTS):
            raise OptionError(
                f"{places[0]} is the name of a set, not a folder: also give its folder, as in: "
                f"mesoscope prepare {places[0]} ROOT --out dataset"
            )
    return (first or named or _AUTO), Path(places[-1])


def _run(root: Path, out: Path, options: PrepareOptions, plan: PreparePlan, jobs: int) -> int:
    """Prepare with a progress bar and return the exit code."""
    from mesoscope.data.prepare import prepare

    progress = bar(total=len(plan.jobs), unit="items")
    done: int | None = None

    def watch(count: int) -> None:
        nonlocal done
        if done is None:  # items of an earlier run do not count in the rate
            progress.initial = progress.n = count
            progress.refresh()
        else:
            progress.update(count - done)
        done = count

    try:
        with progress:
            prepared = prepare(root, out, options=options, jobs=jobs, plan=plan, watch=watch)
    except KeyboardInterrupt:
        echo(
            f"mesoscope: interrupted: {done or 0:,} of {len(plan.jobs):,} items are done: the same "
            "command continues",
            err=True,
        )
        return INTERRUPTED
    _print_result(prepared)
    return INPUT_FAILED if prepared.census.left_out["unreadable"] else DONE


def _print_set(plan: PreparePlan) -> None:
    reading = plan.reading
    counts = [
        (f"{c.found:,}" if c.expected is None else f"{c.found:,} of {c.expected:,}", c.what)
        for c in reading.counts
    ]
    name = f"{reading.title} in {reading.root}"
    if len(counts) <= _SHORT:
        echo(escape_text(f"{name}: {', '.join(map(' '.join, counts))}"))
    else:
        width = max(len(count) for count, _ in counts)
        echo(escape_text(f"{name}:"))
        for count, what in counts:
            echo(escape_text(f"  {count:>{width}}  {what}"))
    echo(f"terms: {plan.terms}")
    for note in (*reading.notes, *plan.notes):
        echo(escape_text(f"note: {note}"))


def _print_plan(plan: PreparePlan, out: Path) -> None:
    rows = [
        (split, CLASSES[label], method, count)
        for (split, label, method), count in sorted(
            plan.counted().items(), key=lambda pair: (_order(pair[0][0]), *pair[0][1:])
        )
    ]
    _print_table(("split", "class", "method", "items"), rows)
    echo(
        f"{len(plan.jobs):,} items, {plan.at_most:,} faces at most, about "
        f"{_megabytes(plan.bytes_about)} in {out}: nothing is written with --dry-run"
    )


def _print_result(prepared: Prepared) -> None:
    census = prepared.census
    _print_table(("split", "class", "method", "items", "faces"), census.rows())
    for line in census.left_out_lines():
        echo(f"left out: {line}")
    for warning in census.warnings():
        echo(escape_text(f"warning: {warning}"))
    left_out = ", left_out.csv what was left out" if census.left_out.total() else ""
    faces = plural(census.total, "face")
    echo(f"{faces} in {prepared.folder}: manifest.csv lists them{left_out}")


def _order(split: str) -> int:
    return ("train", "validation", "test").index(split)


def _print_table(header: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    cells = [[f"{v:,}" if isinstance(v, int) else str(v) for v in row] for row in rows]
    for line in columns([header, *cells], right=range(3, len(header))):
        echo(line)


def _megabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):,.1f} MB"
