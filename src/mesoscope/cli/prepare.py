"""``mesoscope prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import options
from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo
from mesoscope.cli.main import DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.cli.numbers import FiniteRange, WholeRange
from mesoscope.errors import OptionError
from mesoscope.files.names import visible
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.prepare import Prepared, PrepareOptions, PreparePlan

AUTO = "auto"
_ON_ONE_LINE = 3  # counts of a set


def _shares(
    context: click.Context, parameter: click.Parameter, value: str
) -> tuple[float, float, float]:
    try:
        train, validation, test = map(float, value.split(","))
    except ValueError as error:
        raise click.BadParameter(
            "give three numbers with commas between, as in .8,.1,.1", context, parameter
        ) from error
    return train, validation, test


@click.command("prepare")
@click.argument("places", nargs=-1, required=True, metavar="[SET] ROOT")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path),
    help="The data set's folder: new, empty, or to go on with.",
)  # fmt: skip
@click.option("--set", "named", metavar="SET", help="As the first argument.  [default: recognise]")
@options.frames
@options.faces
@options.finder_model
@click.option(
    "--split", type=click.Choice(["official", "group"]), default="official", show_default=True,
    help="Keep the set's own splits where it has some, or draw new ones by group.",
)  # fmt: skip
@click.option(
    "--shares", default=".8,.1,.1", show_default=True, metavar="TRAIN,VALIDATION,TEST",
    callback=_shares, help="Of drawn splits.",
)  # fmt: skip
@click.option(
    "--donors-apart", is_flag=True,
    help="Leave out fakes that wear the face of a person of another split.",
)  # fmt: skip
@click.option("--quality", metavar="NAME", help="One compression of several, as in c23.")
@click.option(
    "--margin", type=FiniteRange(1, 10), default=1.3, show_default=True,
    help="The crop's side in longest sides of the face.",
)  # fmt: skip
@click.option(
    "--size", type=WholeRange(16, 4096), default=256, show_default=True,
    help="Side of the crops in pixels.",
)  # fmt: skip
@click.option(
    "--format", "file_format", type=click.Choice(["png", "jpg"]), default="png",
    show_default=True, help="Of all crops, real and fake.",
)  # fmt: skip
@click.option(
    "--jpeg-quality", type=WholeRange(1, 100), default=95, show_default=True,
    help="Of --format jpg.",
)  # fmt: skip
@click.option(
    "--largest-only/--all-faces", default=True,
    help="Keep one person of each clip or picture, or every face.  [default: one]",
)  # fmt: skip
@click.option(
    "--min-face", type=WholeRange(1), default=40, show_default=True,
    help="Leave faces out with fewer pixels along their longest side.",
)  # fmt: skip
@options.max_pixels
@click.option(
    "--limit", type=WholeRange(1), metavar="N",
    help="At most so many clips or pictures of each split, class and method.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Of drawn splits and of --limit.")
@options.jobs
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def command(
    places: tuple[str, ...],
    out: Path,
    named: str | None,
    frames: int,
    faces: str,
    finder_model: str | None,
    split: str,
    shares: tuple[float, float, float],
    donors_apart: bool,
    quality: str | None,
    margin: float,
    size: int,
    file_format: str,
    jpeg_quality: int,
    largest_only: bool,
    min_face: int,
    max_pixels: float,
    limit: int | None,
    seed: int,
    jobs: int,
    dry_run: bool,
) -> int:
    """Make a data set of faces from a public set.

    ROOT is the set's folder; SET is its name, recognised where it is left out. Frames are sampled,
    faces are found and cropped, and written to OUT/{train,validation,test}/{real,fake} with a
    manifest.csv. The same command goes on where it was stopped.
    """
    from mesoscope.data.prepare import PrepareOptions, make_plan
    from mesoscope.runtime.allocator import keep_heap

    keep_heap(options.KEPT_BYTES)
    layout, root = _set_and_root(places, named)
    chosen = PrepareOptions(
        frames=frames,
        faces=faces,
        finder_model=finder_model,
        split=split,
        shares=shares,
        donors_apart=donors_apart,
        quality=quality,
        margin=margin,
        size_px=size,
        format=file_format,
        jpeg_quality=jpeg_quality,
        all_faces=not largest_only,
        min_face_px=min_face,
        max_pixels=int(max_pixels * options.MEGAPIXEL),
        limit=limit,
        seed=seed,
    )
    plan = make_plan(root, layout=layout, options=chosen)
    _say_found(plan)
    if dry_run:
        _say_planned(plan, out)
        return DONE
    return _run(root, out, chosen, plan, jobs)


def _set_and_root(places: Sequence[str], named: str | None) -> tuple[str, Path]:
    """The set's name and its folder, from ``ROOT``, ``SET ROOT`` and ``--set SET``."""
    if len(places) > 2:
        raise OptionError(
            f"{len(places)} arguments, and one set is prepared at a time: give SET ROOT, or ROOT"
        )
    first = places[0] if len(places) == 2 else None
    if first is not None and named is not None and first != named:
        raise OptionError(f"the set is named twice, {first!r} and --set {named!r}: name it once")
    if first is None and named is None and not Path(places[0]).exists():
        from mesoscope.data.layouts.recognise import LAYOUTS

        if places[0].lower() in (AUTO, *LAYOUTS):
            raise OptionError(
                f"{places[0]} names a set, and no folder: give its folder, too, as in: "
                f"mesoscope prepare {places[0]} ROOT --out dataset"
            )
    return (first or named or AUTO), Path(places[-1])


def _run(root: Path, out: Path, chosen: PrepareOptions, plan: PreparePlan, jobs: int) -> int:
    """Prepare with a bar; Ctrl-C says how to go on."""
    from mesoscope.data.prepare import prepare

    progress = bar(total=len(plan.jobs), unit="items")
    done: int | None = None

    def watch(count: int) -> None:
        nonlocal done
        if done is None:  # what an earlier run has done is no part of this one's rate
            progress.initial = progress.n = count
            progress.refresh()
        else:
            progress.update(count - done)
        done = count

    try:
        with progress:
            prepared = prepare(root, out, options=chosen, jobs=jobs, plan=plan, watch=watch)
    except KeyboardInterrupt:
        echo(
            f"mesoscope: interrupted: {done or 0:,} of {len(plan.jobs):,} items are done: the same "
            "command goes on",
            err=True,
        )
        return INTERRUPTED
    _say_result(prepared)
    return INPUT_FAILED if prepared.census.left_out["unreadable"] else DONE


def _say_found(plan: PreparePlan) -> None:

    reading = plan.reading
    counts = [
        (f"{c.found:,}" if c.expected is None else f"{c.found:,} of {c.expected:,}", c.what)
        for c in reading.counts
    ]
    name = f"{reading.title} in {reading.root}"
    if len(counts) <= _ON_ONE_LINE:
        echo(visible(f"{name}: {', '.join(map(' '.join, counts))}"))
    else:
        wide = max(len(count) for count, _ in counts)
        echo(visible(f"{name}:"))
        for count, what in counts:
            echo(visible(f"  {count:>{wide}}  {what}"))
    echo(f"terms: {plan.terms}")
    for note in (*reading.notes, *plan.notes):
        echo(visible(f"note: {note}"))


def _say_planned(plan: PreparePlan, out: Path) -> None:
    rows = [
        (split, CLASSES[label], method, count)
        for (split, label, method), count in sorted(
            plan.counted().items(), key=lambda pair: (_order(pair[0][0]), *pair[0][1:])
        )
    ]
    _table(("split", "class", "method", "items"), rows)
    echo(
        f"{len(plan.jobs):,} items, {plan.at_most:,} faces at most, about "
        f"{_megabytes(plan.bytes_about)} in {out}: nothing is written, as --dry-run was given"
    )


def _say_result(prepared: Prepared) -> None:

    census = prepared.census
    _table(("split", "class", "method", "items", "faces"), census.rows())
    for line in census.left_out_lines():
        echo(f"left out: {line}")
    for warning in census.warnings():
        echo(visible(f"warning: {warning}"))
    faces = "1 face" if census.total == 1 else f"{census.total:,} faces"
    listed = ", left_out.csv says what is not" if census.left_out.total() else ""
    echo(f"{faces} in {prepared.folder}: manifest.csv lists them{listed}")


def _order(split: str) -> int:
    return ("train", "validation", "test").index(split)


def _table(head: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    """Text to the left, numbers to the right."""
    lines = [
        head,
        *([f"{v:,}" if isinstance(v, int) else str(v) for v in row] for row in rows),
    ]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    for line in lines:
        cells = [
            cell.rjust(width) if head[n] in ("items", "faces") else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        echo("  ".join(cells).rstrip())


def _megabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):,.1f} MB"
