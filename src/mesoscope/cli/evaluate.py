"""``mesoscope evaluate``."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mesoscope.cli import options
from mesoscope.cli.bars import bar
from mesoscope.cli.data_folder import finders_folder
from mesoscope.cli.echo import echo, visible
from mesoscope.cli.figures_table import columns, table
from mesoscope.cli.main import DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.cli.numbers import FiniteRange, WholeRange
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.manifest import Sample
    from mesoscope.report.robustness import Robustness
    from mesoscope.types import Json, Verdict


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
    help="Which pictures and clips; all means every split. What has no split is always taken.",
)
@options.faces_of_crops
@options.finder_model
@options.frames
@options.every
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the page, metrics.json and predictions.csv.",
)
@options.threshold
@click.option(
    "--fpr", type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Report on this false-positive rate: the model's threshold for it, and the one it takes "
    "on these pictures.",
)  # fmt: skip
@options.no_guard
@click.option(
    "--prevalence", "prevalences", multiple=True,
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Say how many alarms are true where such a share of faces is forged; may be repeated.",
)  # fmt: skip
@options.jobs
@click.option(
    "--resamples",
    type=WholeRange(0),
    default=1000,
    show_default=True,
    help="Of the bootstrap behind the 95 % intervals; 0 leaves them out.",
)
@click.option("--seed", type=WholeRange(0), default=0, show_default=True, help="Of the bootstrap.")
@click.option(
    "--robustness",
    is_flag=True,
    help="Judge some of the pictures compressed, resized, blurred, cropped and the like, too.",
)
@click.option(
    "--limit",
    type=WholeRange(0),
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
    frames: int,
    every_s: float | None,
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
    """Measure a model on labelled pictures and clips.

    A DATASET is a folder with real and fake, or with validation/real, validation/fake and the like,
    with a manifest, or of shards. A clip is one item. Where there are clips, faces are found
    (--faces auto) unless told otherwise. Writes metrics.json, predictions.csv, told.csv, plots, and
    report.html, which shows all of it and opens without a network. Exit codes: 0 done, 1 some could
    not be read, 2 usage or data set, 3 model or missing extra, 130 interrupted: what was judged of
    --robustness by then is kept.
    """
    from mesoscope import report  # this and what follows is loaded when used

    report.require()  # whatever may be missing is missed before the long work
    from mesoscope.data.manifest import read_datasets
    from mesoscope.data.subset import split_of, subset
    from mesoscope.detection.detector import Detector
    from mesoscope.evaluation.evaluate import evaluate
    from mesoscope.evaluation.outputs import METRICS, open_folder, write_results
    from mesoscope.evaluation.robustness import measure_robustness
    from mesoscope.models.file import file_sha256, find_model
    from mesoscope.report.page import notes, write_page
    from mesoscope.report.record import write_metrics
    from mesoscope.report.tables import alarm_rows, answer_rows
    from mesoscope.runtime.allocator import keep_heap

    _limit_is_used(context)
    keep_heap(options.KEPT_BYTES)
    samples = split_of(read_datasets(datasets, clips=True), split, datasets)
    faces, finder_model = _finder(context, samples, faces, finder_model)
    path = find_model(model)
    detector = Detector(
        path,
        faces=faces,
        finder_model=finder_model,
        threshold=threshold,
        jobs=jobs,
        max_pixels=int(max_pixels * options.MEGAPIXEL),
        guard=not no_guard,
        frames=frames,
        every_s=every_s,
    )
    open_folder(out)
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
            clips=True,
        )
    write_results(found, out)
    for note in notes(found):
        echo(f"mesoscope: {visible(note)}", err=True)
    echo("\n".join(table(found)))
    echo("\n".join(["", *columns(answer_rows(found.told))]))
    if fpr is not None or prevalences:
        rows, missing = alarm_rows(found.alarms)
        echo("\n".join(["", *columns(rows), *missing]))
    code = INPUT_FAILED if found.unreadable else DONE
    if robustness:
        chosen = subset(samples, limit=limit, seed=seed)
        with bar(total=len(chosen), what="robustness") as shown:
            changed, interrupted = measure_robustness(
                chosen, detector, split=split, limit=limit, seed=seed, resamples=resamples,
                watch=shown.update,
            )  # fmt: skip
        if changed is None or changed.n_unreadable:
            code = INPUT_FAILED
        code = INTERRUPTED if interrupted else code
        for line in _after(changed, out):
            echo(line)
        if changed is not None:
            found = dataclasses.replace(found, robustness=changed)
            write_metrics(found, out / METRICS)
    page = write_page(found, out, command=_line(context))
    echo(f"page: {page}")
    return code


def _finder(
    context: click.Context, samples: Sequence[Sample], faces: str, finder_model: str | None
) -> tuple[str, str | None]:
    """How faces are found: those in clips must be, whatever is right for pictures.

    Raises:
        OptionError: Clips are there, and ``--robustness`` is asked for.
    """
    from mesoscope.data.manifest_rows import is_clip

    clips = sum(is_clip(sample.file) for sample in samples if not sample.shard)
    if not clips:
        return faces, finder_model
    if context.params["robustness"]:
        raise OptionError(
            f"--robustness changes pictures, and {clips:,} of the {len(samples):,} samples are "
            "clips: leave it out, or make a data set of their faces with mesoscope prepare plain"
        )
    if context.get_parameter_source("faces") is not ParameterSource.DEFAULT:
        return faces, finder_model
    from mesoscope.faces.kept import kept_finder

    echo(
        f"mesoscope: {clips:,} of the {len(samples):,} samples are clips: faces are found "
        "(--faces auto)",
        err=True,
    )
    context.params["faces"] = "auto"  # the command on the page says it, too
    model = kept_finder(finders_folder()) if finder_model is None else finder_model
    return "auto", None if model is None else str(model)


def _limit_is_used(context: click.Context) -> None:
    given = context.get_parameter_source("limit") is ParameterSource.COMMANDLINE
    if given and not context.params["robustness"]:
        raise click.UsageError("--limit goes with --robustness: add it, or leave --limit out")


def _after(changed: Robustness | None, out: Path) -> list[str]:
    """Write ``robustness.csv``, say what is missing; returns the lines of its table."""
    from mesoscope.cli.robustness import lines, notes
    from mesoscope.evaluation.outputs import ROBUSTNESS
    from mesoscope.report.robustness import write_table

    for note in notes(changed):
        echo(f"mesoscope: {visible(note)}", err=True)
    if changed is None:
        return []
    write_table(changed, out / ROBUSTNESS)
    say = f"Robustness, means over sources, on {changed.n_done:,} pictures:"
    return ["", say, *columns(lines(changed))]


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
            if option.name == "frames" and value == option.default:
                continue
            for one in value if option.multiple else (value,):
                shown = f"{one:g}" if isinstance(one, float) else str(one)
                lines.append(shlex.join([option.opts[0], shown]))
    return " \\\n  ".join(lines)
