"""``mesoscope scan --engine``: a scan that is shared among machines."""

from __future__ import annotations

import os
import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from mesoscope.cli import detection
from mesoscope.cli.job import (
    ScanBar,
    again_text,
    by_label,
    resume_line,
    skipped_text,
    stopped_by_signals,
)
from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED, INTERRUPTED
from mesoscope.cli.options import WholeRange
from mesoscope.cli.printing import echo, plural
from mesoscope.distributed.progress import PartsWatcher
from mesoscope.errors import MissingExtra, OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mesoscope.distributed.progress import PartsSummary
    from mesoscope.scan.parts import Part

engine = click.option(
    "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
    help="What the files are judged by: threads of this machine, or a Ray cluster.",
)  # fmt: skip
address = click.option(
    "--address", metavar="HOST:PORT",
    help="The Ray cluster; auto for this machine's own.  [default: one is started here]",
)  # fmt: skip
task_files = click.option(
    "--task-files", type=WholeRange(1), metavar="N",
    help="With --engine ray: files of a task, and of a part of the results.  [default: 256, or one "
    "tar file]",
)  # fmt: skip
shards = click.option(
    "--shards", is_flag=True,
    help="With --engine ray: judge the pictures and clips in tar files (WebDataset).",
)  # fmt: skip

http = click.option(
    "--http", is_flag=True,
    help="With --engine ray: fetch the http:// and https:// URLs of a list, too.",
)  # fmt: skip
gpus = click.option(
    "--gpus", type=WholeRange(0), metavar="N",
    help="With --engine ray: N GPUs of the cluster score for all workers.  [default: 0]",
)  # fmt: skip


def refuse_for_local(
    paths: Sequence[str],
    out: str | None,
    address: str | None,
    task_files: int | None,
    gpus: int | None,
    *,
    shards: bool,
    http: bool,
) -> None:
    """Refuse what only an engine of many machines does.

    Raises:
        OptionError: Such an option or place was given.
    """
    if address is not None or task_files is not None or gpus is not None:
        raise OptionError(
            "--address, --task-files and --gpus belong to --engine ray: give that, too"
        )
    if shards:
        raise OptionError("--shards belongs to --engine ray: give that, too, or unpack the tars")
    if http:
        raise OptionError("--http belongs to --engine ray: give that, too")
    for place in (*paths, *([] if out is None else [out])):
        if "://" in place and not os.path.exists(place):  # noqa: PTH110
            raise OptionError(f"{place}: object stores are read and written with --engine ray")


def refuse_options(
    out: str | None, report: Path | None, *, ledger: str | None, lines: bool
) -> None:
    """Refuse what only a scan of this machine does.

    Raises:
        OptionError: Such an option was given, or there is nowhere to keep the results.
    """
    if out is None or out == "-":
        raise OptionError("--engine ray keeps a job: name its place, as in --out job/ or "
                          "--out s3://bucket/job")  # fmt: skip
    if lines:
        raise OptionError("--table and --json belong to --engine local: export the job later")
    if report is not None:
        later = shlex.join(["mesoscope", "report", out, "-o", str(report)])
        raise OptionError(f"--report belongs to --engine local: write it later, as in {later}")
    given = click.get_current_context().get_parameter_source("ledger")
    if ledger is not None and given is click.core.ParameterSource.COMMANDLINE:
        raise OptionError("--ledger belongs to --engine local: with ray, parts keep the verdicts")


def scan_on_ray(
    paths: Sequence[str],
    out: str,
    *,
    address: str | None,
    shards: bool,
    http: bool,
    task_files: int | None,
    gpus: int | None,
    resume: bool,
    jobs: int,
    batch_size: int,
    fail_on: str | None,
) -> int:
    """Scan into the parts of a job, or go on with one; gives back the exit code."""
    if find_spec("ray") is None:  # missed before the long work
        raise MissingExtra("ray", extra="scale")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray is to tell nobody that it runs
    spec = detection.spec(batch_size=batch_size)
    with stopped_by_signals(), _Screen("shards" if shards else "files") as shown:
        from mesoscope.distributed.on_ray import RayEngine
        from mesoscope.distributed.scan import PartsInterrupted, scan_into_parts

        try:
            done = scan_into_parts(
                spec, paths, out, lambda: RayEngine(address=address, judges=jobs, gpus=gpus or 0),
                resume=resume, shards=shards, http=http, task_files=task_files, watcher=shown,
            )  # fmt: skip
        except PartsInterrupted as stopped:
            done = stopped.summary
            echo(_closing(done), err=True)
            left = plural(done.left, "shard") if done.shards else done.left
            echo(f"{left} left; resume with: {resume_line('')}", err=True)
            return INTERRUPTED
    echo(_closing(done), err=True)
    export = shlex.join(["mesoscope", "export", out, "-o", "results.csv"])
    echo(f"write the verdicts to a file: {export}", err=True)
    if fail_on and done.labels[fail_on]:
        return ALARM
    return INPUT_FAILED if done.failed else DONE


class _Screen(ScanBar, PartsWatcher):
    """Shows a scan into parts: a bar on standard error."""

    def judged(self, part: Part) -> None:
        """Count the verdicts of a part."""
        self.count(part.labels, part.sources)


def _closing(done: PartsSummary) -> str:
    files = plural(done.labels.total(), "file")
    parts = [f"{files} in {done.place}: {by_label(done.labels) or 'none judged'}"]
    if done.failed:
        parts.append(f"{done.failed} could not be read")
    rate = done.judged / done.elapsed_s if done.elapsed_s else 0.0
    parts.append(f"{done.judged} of them now, in {done.elapsed_s:.1f} s ({rate:.0f}/s)")
    parts.append(f"{done.core_s / 3600:.4f} core-hours")
    if done.skipped:
        parts.append(skipped_text(done.skipped))
    if done.again:
        parts.append(again_text(done.again))
    return "; ".join(parts)
