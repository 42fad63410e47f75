"""``mesoscope evaluate``."""

from __future__ import annotations

import dataclasses
import math
import shlex
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mesoscope.cli import options
from mesoscope.cli.bars import bar
from mesoscope.cli.main import DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.errors import DatasetError, OutputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.manifest import Sample
    from mesoscope.report.record import Evaluation, Figures
    from mesoscope.report.robustness import Robustness
    from mesoscope.types import Json, Verdict

METRICS, PREDICTIONS, ROBUSTNESS = "metrics.json", "predictions.csv", "robustness.csv"


@click.command("evaluate")
@click.argument(
    "datasets", nargs=-1, required=True, metavar="DATASET…", type=click.Path(path_type=Path)
)
@options.model
@click.option(
    "--split",
    type=click.Choice(["validation", "test", "all", "train"]),
    default="validation",
    show_default=True,
    help="Which pictures; all means every split.",
)
@options.faces_of_crops
@options.finder_model
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the page, metrics.json and predictions.csv.",
)
@options.threshold
@click.option(
    "--fpr", type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Report on this false-positive rate: the model's threshold for it, and the one it takes "
    "on these pictures.",
)  # fmt: skip
@options.no_guard
@click.option(
    "--prevalence", "prevalences", multiple=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Say how many alarms are true where such a share of faces is forged; may be repeated.",
)  # fmt: skip
@options.jobs
@click.option(
    "--resamples",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Of the bootstrap behind the 95 % intervals; 0 leaves them out.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the bootstrap."
)
@click.option(
    "--robustness",
    is_flag=True,
    help="Judge some of the pictures compressed, resized, blurred, cropped and the like, too.",
)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="With --robustness: pictures of a source and class; 0 takes all.",
)
@options.max_pixels
@click.pass_context
def command(
    context: click.Context,
    datasets: tuple[Path, ...],
    model: str,
    split: str,
    faces: str,
    finder_model: str | None,
    out: Path,
    threshold: float | None,
    fpr: float | None,
    no_guard: bool,
    prevalences: tuple[float, ...],
    jobs: int,
    resamples: int,
    seed: int,
    robustness: bool,
    limit: int,
    max_pixels: float,
) -> int:
    """Measure a model on labelled pictures.

    A DATASET is a folder with validation/real, validation/fake and the like, with a
    manifest, or of shards. Writes metrics.json, predictions.csv, plots, and report.html, which
    shows all of it and opens without a network. Exit codes: 0 done, 1 some pictures could not be
    read, 2 usage or data set, 3 model or missing extra, 130 interrupted: what was judged of
    --robustness by then is kept.
    """
    from mesoscope import report  # this and what follows is loaded when used

    report.require()  # whatever may be missing is missed before the long work
    from mesoscope.cli.robustness import withstand
    from mesoscope.data.manifest import read_datasets
    from mesoscope.detector import Detector
    from mesoscope.evaluation import evaluate
    from mesoscope.heap import keep_heap
    from mesoscope.model_file import file_sha256, find_model
    from mesoscope.report.alarms import alarm_rows
    from mesoscope.report.page import notes, write_page
    from mesoscope.report.record import write_metrics, write_predictions
    from mesoscope.robustness import choose

    _limit_is_used(context)
    keep_heap(options.KEPT_BYTES)
    path = find_model(model)
    detector = Detector(
        path,
        faces=faces,
        finder_model=finder_model,
        threshold=threshold,
        jobs=jobs,
        max_pixels=int(max_pixels * options.MEGAPIXEL),
        guard=not no_guard,
    )
    samples = of_split(read_datasets(datasets), split, datasets)
    _try_folder(out)
    conditions: dict[str, Json] = {"split": split, "model_sha256": file_sha256(path)}
    with bar(total=len(samples)) as shown:

        def watch(_verdict: Verdict) -> None:
            shown.update()

        found = evaluate(
            samples,
            detector,
            seed=seed,
            resamples=resamples,
            conditions=conditions,
            fpr=fpr,
            prevalences=prevalences,
            watch=watch,
        )
    write_metrics(found, out / METRICS)
    write_predictions(found, out / PREDICTIONS)
    for note in notes(found):
        click.echo(f"mesoscope: {note}", err=True)
    click.echo("\n".join(table(found)))
    if fpr is not None or prevalences:
        rows, missing = alarm_rows(found.alarms)
        click.echo("\n".join(["", *columns(rows), *missing]))
    code = INPUT_FAILED if found.unreadable else DONE
    if robustness:
        chosen = choose(samples, limit=limit, seed=seed)
        changed, interrupted = withstand(
            chosen, detector, split=split, limit=limit, seed=seed, resamples=resamples
        )
        code = INTERRUPTED if interrupted else code
        for line in _after(changed, out):
            click.echo(line)
        if changed is not None:
            found = dataclasses.replace(found, robustness=changed)
            write_metrics(found, out / METRICS)
    page = write_page(found, out, command=_line(context))
    click.echo(f"page: {page}")
    return code


def _limit_is_used(context: click.Context) -> None:
    given = context.get_parameter_source("limit") is ParameterSource.COMMANDLINE
    if given and not context.params["robustness"]:
        raise click.UsageError("--limit goes with --robustness: add it, or leave --limit out")


def _after(changed: Robustness | None, out: Path) -> list[str]:
    """Write ``robustness.csv``, say what is missing; returns the lines of its table."""
    from mesoscope.cli.robustness import lines, notes
    from mesoscope.report.robustness import write_table

    for note in notes(changed):
        click.echo(f"mesoscope: {note}", err=True)
    if changed is None:
        return []
    write_table(changed, out / ROBUSTNESS)
    say = f"Robustness, means over sources, on {changed.n_done:,} pictures:"
    return ["", say, *columns(lines(changed))]


def of_split(samples: Sequence[Sample], split: str, roots: Sequence[Path]) -> list[Sample]:
    """The samples of a split, of every split for ``all``.

    Raises:
        DatasetError: There are none; the message names the splits that there are.
    """
    found = [sample for sample in samples if split in ("all", sample.split)]
    if not found:
        there = ", ".join(
            f"{name} ({n:,})" for name, n in Counter(s.split for s in samples).items()
        )
        where = ", ".join(str(root) for root in roots)
        raise DatasetError(
            f"{where}: no pictures in {split}: there are {there}: choose with --split"
        )
    return found


def table(evaluation: Evaluation) -> list[str]:
    """The lines of a small table: a row a source, and one of all; wrong is among the decided."""
    guarded = [] if evaluation.card.guard is None else ["unfamiliar"]
    rows = [["source", "n", "accuracy", "AUC", "decided", "wrong", *guarded, "coverage"]]
    sets = list(evaluation.by_source.items())
    if len(sets) > 1:
        sets.append(("all", evaluation.overall))
    for name, figures in sets:
        rows.append(
            [
                name,
                str(figures.counts["n"]),
                _shown(figures, "accuracy"),
                _shown(figures, "auc"),
                *(
                    _short(figures.values[key])
                    for key in ("decided", "error_among_decided", *guarded)
                ),
                f"{figures.values['coverage']:.3f}",
            ]
        )
    mean = evaluation.mean_over_sources
    if len(sets) > 1:
        rows.append(["mean over sources", "", _shown(mean, "accuracy"), _shown(mean, "auc")])
        rows[-1] += [""] * (len(rows[0]) - len(rows[-1]))
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, the second column to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), row[1].rjust(widths[1])]
            + [cell.ljust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        ).rstrip()
        for row in rows
    ]


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _shown(figures: Figures, name: str) -> str:
    value, (low, high) = figures.values[name], figures.intervals[name]
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _try_folder(out: Path) -> None:
    """Make the folder and write something into it: a full hour's work must not end here.

    Raises:
        OutputError: It cannot be made or written into.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        for name in (METRICS, PREDICTIONS, ROBUSTNESS):  # one left by another user, say
            if (out / name).exists():
                with (out / name).open("ab"):
                    pass
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written: {error.strerror}: choose another --out"
        ) from error


def _line(context: click.Context) -> str:
    """The command that does the same again, an option a line."""
    lines = [shlex.join(["mesoscope", "evaluate", *map(str, context.params["datasets"])])]
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if isinstance(option, click.Option) and option.is_flag:
            lines += [option.opts[0]] if value else []
        elif isinstance(option, click.Option) and value is not None:
            if option.name == "limit" and not context.params["robustness"]:
                continue
            for one in value if option.multiple else (value,):
                shown = f"{one:g}" if isinstance(one, float) else str(one)
                lines.append(shlex.join([option.opts[0], shown]))
    return " \\\n  ".join(lines)
