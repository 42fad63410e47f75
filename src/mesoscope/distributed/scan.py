"""Scan on many machines: sources into tasks, tasks to judges, verdicts into parts."""

from __future__ import annotations

import json
from contextlib import closing
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from mesoscope.distributed.begin import begin_or_resume, plan_tasks
from mesoscope.distributed.judge import TaskOrder
from mesoscope.distributed.progress import PartsInterrupted, PartsSummary, PartsWatcher
from mesoscope.errors import JobError, OptionError, OutputError
from mesoscope.scan.parts import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from mesoscope.detection.detector import DetectorSpec

__all__ = ["Engine", "PartsInterrupted", "PartsSummary", "PartsWatcher", "scan_into_parts"]

TASK_FILES = 256
TASK_SHARDS = 1


class Engine(Protocol):
    """Gives tasks to judges: Ray, or this process in tests."""

    def run(self, order: TaskOrder, tasks: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield what :class:`~mesoscope.distributed.judge.TaskJudge` answers, in any order."""
        ...

    def close(self) -> None:
        """Let go of the machines."""
        ...


def scan_into_parts(
    spec: DetectorSpec,
    places: Sequence[str],
    out: str,
    engine: Callable[[], Engine],
    *,
    resume: bool | None = None,
    shards: bool = False,
    http: bool = False,
    task_files: int | None = None,
    watcher: PartsWatcher | None = None,
) -> PartsSummary:
    """Judge pictures and clips, and store the verdicts in the parts of a job.

    Parts that stand are not judged again.

    Args:
        spec: What the detectors are built from, on every machine.
        places: Files and folders, URLs of objects and prefixes, or one list (Parquet).
        out: Folder of the job, on a drive that all machines share, or its URL.
        engine: Makes what gives the tasks to machines; called once there are some.
        resume: Whether the job must exist; ``None`` accepts both.
        shards: The sources are tar files, and each picture and clip in them has a verdict.
        http: A list may name ``http://`` and ``https://`` URLs, which are then fetched.
        task_files: Sources of a task, for a new job: by default 256, or one tar file.
        watcher: Receives progress.

    Returns:
        The counts, when the scan is complete.

    Raises:
        PartsInterrupted: Ctrl-C was pressed; finished parts are kept.
        JobError: The job exists or not, against ``resume``; it was begun with another version,
            model, options or sources; or a machine has another version or model.
        OptionError: Sources that do not go together, or a list that is none.
        MissingExtra: The client of an object store is not installed.
        OutputError: A store or the engine is not available; finished parts are kept.
    """
    if http and shards:
        raise OptionError("`http` and `shards`: tar files are read from folders and object stores "
                          "only: give one of both")  # fmt: skip
    started, seen = perf_counter(), watcher or PartsWatcher()
    order = TaskOrder.of(out, spec, shards=shards)
    job = begin_or_resume(order, places, spec.build(), resume=resume)
    summary = PartsSummary(job.name, shards)
    size = task_files if task_files is not None else TASK_SHARDS if shards else TASK_FILES
    try:
        counts = plan_tasks(job, places, size, seen.listed, shards=shards, http=http)
        plan = job.plan() or {}
        summary.sources = int(plan["sources"])
        summary.skipped, summary.again = counts.skipped, counts.again
        # One of another spec was written by a machine that a stopped scan could not refuse.
        parts = {p.task: p for p in job.footers(job.written_tasks()) if p.spec == order.spec}
        for part in parts.values():
            summary.add(part)
        todo = [task for task in range(int(plan["tasks"])) if task not in parts]
        seen.planned(summary.left)
        with closing(_answers(order, todo, engine)) as answers:
            for part in answers:
                parts[part.task] = part
                summary.add(part)
                summary.judged += part.rows
                seen.judged(part)
        if len(parts) != int(plan["tasks"]):  # a manifest would call it complete
            raise OutputError(
                f"{job.name}: the engine ended, and {summary.left} of {summary.sources} sources "
                "are not judged: go on with `resume`"
            )
        job.write_manifest([parts[task] for task in sorted(parts)])
    except KeyboardInterrupt:
        summary.elapsed_s = perf_counter() - started
        raise PartsInterrupted(summary) from None
    summary.elapsed_s = perf_counter() - started
    return summary


def _answers(
    order: TaskOrder, todo: Sequence[int], engine: Callable[[], Engine]
) -> Generator[Part, None, None]:
    """The parts as they are written; the first refusal or fault ends it."""
    if not todo:
        return
    with closing(engine()) as running:
        for answer in running.run(order, todo):
            if answer["refusal"]:
                raise JobError(str(answer["refusal"]))
            if answer["fault"]:
                raise OutputError(str(answer["fault"]))
            yield Part.from_dict(json.loads(answer["part"]))
