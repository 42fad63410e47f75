"""``mesoscope evaluate``."""

from __future__ import annotations

import dataclasses
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mesoscope.cli import detection, evaluate_against, evaluate_job, options
from mesoscope.cli.main import DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.cli.options import FiniteRange, WholeRange
from mesoscope.cli.printing import columns, echo, escape_text
from mesoscope.cli.progress import bar
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.manifest import Sample
    from mesoscope.detection.detector import Detector, DetectorSpec
    from mesoscope.evaluation.judge import Judge
    from mesoscope.report.record import Evaluation, Figures
    from mesoscope.report.robustness import Robustness, RobustnessCurve
    from mesoscope.types import Json, Verdict


@click.command("evaluate")
@click.argument(
    "datasets", nargs=-1, required=True, metavar="DATASET…", type=click.Path(path_type=Path)
)
# --fpr only adds figures to the report here: labels do not change.
@detection.detection_options(without=("fpr",), faces="whole")
@click.option(
    "--job", metavar="JOB",
    help="Judge nothing: take the verdicts that this job of mesoscope scan holds, a folder or URL.",
)  # fmt: skip
@options.ledger
@click.option(
    "--split",
    type=click.Choice(["validation", "test", "all", "train"]),
    default="validation",
    show_default=True,
    help="Split to use, or all. Items without a split are always used.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the page, metrics.json and predictions.csv.",
)
@click.option(
    "--fpr", "report_fpr", type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Report on this false-positive rate: the effect of the model's threshold for it, and the "
    "threshold that gives it on these pictures.",
)  # fmt: skip
@click.option(
    "--prevalence", "prevalences", multiple=True,
    type=FiniteRange(0, 1, min_open=True, max_open=True),
    help="Share of forged faces for which to compute the share of true alarms; may be repeated.",
)  # fmt: skip
@click.option(
    "--against", metavar="MODEL",
    help="Judge with this model, too, and report the differences with 95 % intervals.",
)  # fmt: skip
@options.jobs
@click.option(
    "--resamples",
    type=WholeRange(0),
    default=1000,
    show_default=True,
    help="Number of bootstrap resamples for the 95 % intervals; 0 omits them.",
)
@click.option(
    "--seed", type=WholeRange(0), default=0, show_default=True,
    help="Seed of the bootstrap and of --robustness.",
)  # fmt: skip
@click.option(
    "--robustness",
    is_flag=True,
    help="Also judge some of the pictures under corruptions: compressed, resized, blurred and so "
    "on.",
)
@click.option(
    "--limit",
    type=WholeRange(0),
    default=100,
    show_default=True,
    help="With --robustness: number of pictures of each source and class; 0 takes all.",
)
@click.pass_context
def command(
    context: click.Context,
    datasets: tuple[Path, ...],
    job: str | None,
    ledger: str | None,
    split: str,
    out: Path,
    report_fpr: float | None,
    prevalences: tuple[float, ...],
    against: str | None,
    jobs: int,
    resamples: int,
    seed: int,
    robustness: bool,
    limit: int,
) -> int:
    """Measure a model on labelled pictures and clips.

    A DATASET is a folder with real and fake, or with validation/real, validation/fake and the like,
    with a manifest, or of shards. A clip is one item. With clips, the default of --faces is auto.
    With --job, model and options are those of the scan.
    Writes metrics.json, predictions.csv, told.csv, plots, and report.html, which shows all of it
    and opens without a network. Exit codes: 0 done, 1 some could not be read, 2 usage or data set,
    3 model or missing extra, 130 interrupted: the results of --robustness so far are kept.
    """
    from mesoscope import report

    report.require()  # a missing package is an error before the long work
    from mesoscope.data.manifest import read_datasets
    from mesoscope.data.sample import split_of, subset
    from mesoscope.evaluation.evaluate import evaluate
    from mesoscope.evaluation.outputs import METRICS, open_folder, write_results
    from mesoscope.evaluation.robustness import measure_robustness
    from mesoscope.models.file import file_sha256, find_model
    from mesoscope.report.page import notes, write_page
    from mesoscope.report.record import write_metrics
    from mesoscope.report.tables import alarm_rows, answer_rows
    from mesoscope.runtime.allocator import keep_heap

    _check_limit(context)
    evaluate_job.check_options(context)
    keep_heap(options.KEPT_BYTES)
    samples = split_of(read_datasets(datasets, clips=True), split, datasets)
    path = find_model(detection.model())
    detector: Detector | None = None
    spec: DetectorSpec | None = None
    if job is None:
        spec = detection.spec(faces=_finder(context, samples), jobs=jobs)
        judge: Judge = (detector := detection.build(dataclasses.replace(spec, model=path)))
    else:
        judge = judged = evaluate_job.read_job(job, ledger, samples, datasets, path)
        path = judged.model_file
    other = evaluate_against.other_detector(spec, path, against)
    open_folder(out)
    conditions: dict[str, Json] = {"split": split, "model_sha256": file_sha256(path)}
    if job is not None:
        conditions["job"] = job
    with bar(total=len(samples)) as progress:

        def watch(_verdict: Verdict) -> None:
            progress.update()

        result = evaluate(
            samples,
            judge,
            seed=seed,
            resamples=resamples,
            conditions=conditions,
            fpr=report_fpr,
            prevalences=prevalences,
            watch=watch,
            clips=True,
        )
    result = evaluate_against.compared(result, other, samples, seed=seed, resamples=resamples)
    write_results(result, out)
    for note in notes(result):
        echo(f"mesoscope: {escape_text(note)}", err=True)
    echo("\n".join(figures_table(result)))
    echo("\n".join(["", *columns(answer_rows(result.answer_counts))]))
    evaluate_against.print_differences(result)
    if report_fpr is not None or prevalences:
        rows, missing = alarm_rows(result.alarms)
        echo("\n".join(["", *columns(rows), *missing]))
    code = INPUT_FAILED if result.unreadable else DONE
    if robustness and detector is not None:
        chosen = subset(samples, limit=limit, seed=seed)
        with bar(total=len(chosen), what="robustness") as progress:
            measured, interrupted = measure_robustness(
                chosen, detector, split=split, limit=limit, seed=seed, resamples=resamples,
                watch=progress.update,
            )  # fmt: skip
        if measured is None or measured.n_unreadable:
            code = INPUT_FAILED
        code = INTERRUPTED if interrupted else code
        _print_robustness(measured, out)
        if measured is not None:
            result = dataclasses.replace(result, robustness=measured)
            write_metrics(result, out / METRICS)
    page = write_page(result, out, command=_command_line(context, spec))
    echo(f"page: {page}")
    return code


def _finder(context: click.Context, samples: Sequence[Sample]) -> str | None:
    """Return ``auto`` if faces must be found in clips and ``--faces`` is not given.

    Raises:
        OptionError: The samples hold clips, and ``--robustness`` is given.
    """
    from mesoscope.data.manifest_rows import is_clip

    clips = sum(is_clip(sample.file) for sample in samples if not sample.shard)
    if not clips:
        return None
    if context.params["robustness"]:
        raise OptionError(
            f"--robustness needs pictures, but {clips:,} of the {len(samples):,} samples are "
            "clips: leave it out, or make a data set of their faces with mesoscope prepare plain"
        )
    if context.get_parameter_source("faces") is not ParameterSource.DEFAULT:
        return None
    echo(
        f"mesoscope: {clips:,} of the {len(samples):,} samples are clips: faces are found "
        "(--faces auto)",
        err=True,
    )
    return "auto"


def _check_limit(context: click.Context) -> None:
    given = context.get_parameter_source("limit") is ParameterSource.COMMANDLINE
    if given and not context.params["robustness"]:
        raise click.UsageError("--limit needs --robustness: add it, or leave --limit out")


def _print_robustness(robustness: Robustness | None, out: Path) -> None:
    """Write ``robustness.csv``, and print its table and what is missing from it."""
    from mesoscope.evaluation.outputs import ROBUSTNESS
    from mesoscope.report.robustness import write_robustness

    for note in robustness_notes(robustness):
        echo(f"mesoscope: {escape_text(note)}", err=True)
    if robustness is None:
        return
    write_robustness(robustness, out / ROBUSTNESS)
    echo(f"\nRobustness, means over sources, on {robustness.n_done:,} pictures:")
    echo("\n".join(columns(robustness_rows(robustness))))


def _command_line(context: click.Context, spec: DetectorSpec | None) -> str:
    """Return the command that repeats the evaluation, one option per line."""
    lines = [shlex.join(["mesoscope", "evaluate", *map(str, context.params["datasets"])])]
    model = detection.model() if spec is None else str(spec.model)
    lines.append(shlex.join(["--model", model]))
    if spec is not None:
        lines += [shlex.join(argument.split("=", 1)) for argument in spec.arguments()]
    for option in context.command.params:
        value = context.params.get(option.name or "")
        if not isinstance(option, click.Option) or value is None:
            continue
        if option.is_flag:
            lines += [option.opts[0]] if value else []
        elif option.name == "jobs" and spec is None:
            continue
        elif option.name != "limit" or context.params["robustness"]:
            for item in value if option.multiple else (value,):
                text = f"{item:g}" if isinstance(item, float) else str(item)
                lines.append(shlex.join([option.opts[0], text]))
    return " \\\n  ".join(lines)


def figures_table(evaluation: Evaluation) -> list[str]:
    """Return the table of figures: a line per source, then all of them and their mean."""
    guarded = [] if evaluation.card.guard is None else ["unfamiliar"]
    rows = [["source", "n", "accuracy", "AUC", "decided", "wrong", *guarded, "coverage"]]
    sources = list(evaluation.by_source.items())
    if len(sources) > 1:
        sources.append(("all", evaluation.overall))
    for name, figures in sources:
        shares = ("decided", "error_among_decided", *guarded)
        rows.append(
            [
                name,
                str(figures.counts["n"]),
                _with_interval(figures, "accuracy"),
                _with_interval(figures, "auc"),
                *(_number(figures.values[share]) for share in shares),
                f"{figures.values['coverage']:.3f}",
            ]
        )
    if len(sources) > 1:
        mean = evaluation.mean_over_sources
        means = [_with_interval(mean, "accuracy"), _with_interval(mean, "auc")]
        rows.append(["mean over sources", "", *means, *[""] * (len(rows[0]) - 4)])
    return columns(rows)


def robustness_rows(robustness: Robustness) -> list[list[str]]:
    """Return the rows of the robustness table: each corruption at its most harmful level."""
    rows = [["changed", "at its worst", "accuracy", "AUC", "change of AUC", "decided", "wrong"]]
    rows.append(["nothing", "", *_robustness_cells(robustness.unchanged.mean_over_sources)])
    rows[-1][4] = ""  # the unchanged pictures have no change of AUC
    rows += [
        [*_corruption(curve), *_robustness_cells(curve.hardest.mean_over_sources)]
        for curve in robustness.curves
    ]
    return rows


def robustness_notes(robustness: Robustness | None) -> list[str]:
    """Return warnings about an incomplete measurement of robustness."""
    if robustness is None:
        return ["robustness: no picture was judged under all corruptions, so there are no figures"]
    if robustness.complete:
        return []
    done = f"{robustness.n_done:,} of {robustness.n_planned:,} pictures"
    return [f"robustness: interrupted after {done}: the figures cover those only"]


def _corruption(curve: RobustnessCurve) -> tuple[str, str]:
    kind, level = curve.corruption, curve.hardest.level
    return kind.title, "" if level is None else kind.describe(level)


def _robustness_cells(figures: Figures) -> list[str]:
    return [
        *(_with_interval(figures, name) for name in ("accuracy", "auc")),
        _with_interval(figures, "auc_change", sign="+"),
        *(_number(figures.values[name]) for name in ("decided", "error_among_decided")),
    ]


def _number(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{sign}.3f}"


def _with_interval(figures: Figures, name: str, sign: str = "") -> str:
    value, (low, high) = figures.values[name], figures.intervals[name]
    if math.isnan(value) or math.isnan(low):
        return _number(value, sign)
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
