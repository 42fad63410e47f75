"""Begin a job in parts, or go on with one: its place, its facts, its tasks."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import TYPE_CHECKING

from mesoscope.distributed.listing import ListedCounts, list_sources
from mesoscope.distributed.tasks import write_tasks
from mesoscope.errors import JobError, OptionError
from mesoscope.files.store import is_object, open_store
from mesoscope.scan.folder import LEDGER, LEDGER_URL, check_same
from mesoscope.scan.parts import JOB, PLAN, VERSION, JobParts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesoscope.detection.detector import Detector
    from mesoscope.distributed.judge import TaskOrder
    from mesoscope.files.store import Store
    from mesoscope.types import Json

__all__ = ["begin_or_resume", "plan_tasks"]


def begin_or_resume(
    order: TaskOrder, places: Sequence[str], detector: Detector, *, resume: bool | None
) -> JobParts:
    """Open a job in parts for a scan; create it if it is new.

    Args:
        order: Of the scan, with the place of the job.
        places: The sources, as they were named.
        detector: Of the order.
        resume: Whether the job must exist; ``None`` accepts both.

    Raises:
        JobError: The job exists or not, against ``resume``; or it was begun with another version,
            model, options or sources.
        OutputError: The place cannot be read or written.
    """
    store = open_store(order.place)
    stands = store.exists(PLAN)  # before that, nothing was judged, and all may still change
    if resume is False and stands:
        raise JobError(f"{store.name}: holds a job already: go on with `resume`, or name another "
                       "place")  # fmt: skip
    if stands:
        job = JobParts(order.place)
        _refuse_others(job, order, places, detector)
        store.sweep()
        return job
    if not store.exists(JOB):
        _refuse_place(store, resume=resume)
    facts: dict[str, Json] = {
        "version": VERSION,
        "mesoscope": order.version,
        "model": detector.model_id,
        "settings": detector.options.deciding(),
        "spec": order.spec,
        "sources": [_absolute(place) for place in places],
        "shards": order.shards,
        "begun": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
    }
    store.write(JOB, json.dumps(facts, indent=1).encode())
    return JobParts(order.place)


def plan_tasks(
    job: JobParts,
    places: Sequence[str],
    size: int,
    listed: Callable[[], None],
    *,
    shards: bool = False,
    http: bool = False,
) -> ListedCounts:
    """List the sources of a job and cut them into tasks, unless that was done.

    Args:
        job: The job.
        places: The sources, as they were named.
        size: Sources of a task.
        listed: Called after each source.
        shards: The sources are tar files.
        http: A list may name web addresses.

    Returns:
        What was left out of the listing.

    Raises:
        OptionError: A list that is none; or a task of less than one source.
        OutputError: A source or the job's place cannot be read or written.
    """
    if size < 1:
        raise OptionError(f"task_files must be at least 1, got {size}")
    before = job.plan()
    if before is not None:
        return ListedCounts(int(before["skipped"]), int(before["again"]))
    counts = ListedCounts()
    found = list_sources(
        places, counts, leave_out=job.name, shards=shards, http=http, listed=listed
    )
    tasks, sources = write_tasks(job.store, found, size)
    told = {"tasks": tasks, "sources": sources, "skipped": counts.skipped, "again": counts.again}
    job.store.write(PLAN, json.dumps(told).encode())
    return counts


def _refuse_place(store: Store, *, resume: bool | None) -> None:
    """Refuse a place that holds something else, and one to resume that holds nothing."""
    if store.exists(LEDGER) or store.exists(LEDGER_URL):
        raise JobError(f"{store.name}: holds a job of one machine, with a ledger: go on with it "
                       "without `engine`, or name another place")  # fmt: skip
    if resume:
        raise JobError(f"{store.name}: there is no job to go on with: leave `resume` out")
    if store.names(""):
        raise JobError(f"{store.name}: neither empty nor a job: name a new place for the job")


def _refuse_others(
    job: JobParts, order: TaskOrder, places: Sequence[str], detector: Detector
) -> None:
    facts = job.facts()
    if facts.get("mesoscope") != order.version:
        raise JobError(
            f"{job.name}: begun by mesoscope {facts.get('mesoscope')}, and this is "
            f"{order.version}: install the same version, or name another place"
        )
    check_same(job.name, facts, detector)
    if facts.get("spec") != order.spec:
        raise JobError(
            f"{job.name}: begun with another model file or finder's model of the same name: give "
            "the same file, or name another place"
        )
    if bool(facts.get("shards")) != order.shards:
        raise JobError(
            f"{job.name}: begun {'without' if order.shards else 'with'} `shards`: go on as it was "
            "begun, or name another place"
        )
    if facts.get("sources") != [_absolute(place) for place in places]:
        begun = facts.get("sources")
        named = " ".join(map(str, begun)) if isinstance(begun, list) else begun
        raise JobError(f"{job.name}: begun with other sources, {named}: give the same, or name "
                       "another place")  # fmt: skip


def _absolute(place: str) -> str:
    return place.rstrip("/") if is_object(place) else os.path.abspath(place)  # noqa: PTH100
