"""``/v1/jobs``: clips and archives, worked on in the background."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from mesoscope.server.problems import Problem
from mesoscope.server.routes.check import BODY, Name
from mesoscope.server.routes.dependencies import (
    IdInPath,
    Limit,
    Place,
    error_responses,
    job_json,
    json_response,
    key_of,
    known_query,
    log_fields,
    result_json,
    row_or_404,
    service_of,
)
from mesoscope.server.schemas import EXAMPLE_JOB, JobShape, JobsShape, ResultsShape
from mesoscope.server.store import FINISHED, DatabaseUnreachable
from mesoscope.server.uploads import Bounds, receive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mesoscope.server.service import Service

router = APIRouter()
EVENTS_S = 0.3  # polling interval of a watched job
QUIET_S = 15.0  # interval of comments that keep the connection open
_EXAMPLE = {"content": {"application/json": {"example": EXAMPLE_JOB}}}


@router.post(
    "/v1/jobs",
    status_code=202,
    summary="Judge a clip or an archive",
    response_model=JobShape,
    responses={**error_responses(408, 415, 507), 202: _EXAMPLE},
    dependencies=[Depends(known_query)],
    openapi_extra=BODY,
)
async def begin(request: Request, name: Name = "") -> Response:
    """Accept a clip, or a ZIP archive of pictures and clips, and return the job's id at once.

    An accepted job is finished, also after a restart of the service.
    """
    service = service_of(request)
    limits = service.settings.limits
    key = key_of(request)
    if service.stopping:
        raise Problem("service.stopping", "the service is about to stop", retry_after_s=5)
    if await run_in_threadpool(service.job_store.count_open, key) >= limits.open_jobs:
        raise Problem(
            "queue.full",
            f"{limits.open_jobs} jobs of this caller are not finished: wait for some",
            retry_after_s=30,
        )
    bounds = Bounds(
        limits.job_bytes, limits.job_bytes, 1, limits.parts, limits.idle_s, limits.job_s
    )
    (upload,) = await receive(request, service.spool, bounds, name=name, on_disk=True)
    try:
        facts: dict[str, object] = {"bytes": upload.size}
        log_fields(request, {**facts, "name": upload.name} if service.settings.log_names else facts)
        job_id = await run_in_threadpool(service.jobs.add, upload, key)
    finally:
        await run_in_threadpool(upload.close)
    row = await run_in_threadpool(service.job_store.get, job_id, key)
    made = json_response(job_json(row_or_404(row, "job")), 202)
    made.headers["Location"] = f"/v1/jobs/{job_id}"
    return made


@router.get("/v1/jobs", summary="Jobs", response_model=JobsShape, responses=error_responses())
def list_jobs(request: Request, before: Place = None, limit: Limit = 50) -> Response:
    """Return the caller's jobs, the latest first."""
    rows = service_of(request).job_store.page(key_of(request), before=before, limit=limit)
    more = rows[-1].n if len(rows) == limit else None
    return json_response({"jobs": [job_json(row) for row in rows], "next": more})


@router.get(
    "/v1/jobs/{job_id}",
    summary="State of a job",
    response_model=JobShape,
    responses={**error_responses(404), 200: _EXAMPLE},
)
def get_job(request: Request, job_id: IdInPath) -> Response:
    """Return state and counts of a job."""
    row = service_of(request).job_store.get(job_id, key_of(request))
    return json_response(job_json(row_or_404(row, "job")))


@router.get(
    "/v1/jobs/{job_id}/results",
    summary="Results of a job",
    response_model=ResultsShape,
    responses=error_responses(404),
)
def results_of_job(
    request: Request,
    job_id: IdInPath,
    after: Annotated[
        int | None, Query(ge=-1, le=2**31 - 1, description="`next` of the previous page")
    ] = None,
    limit: Limit = 50,
) -> Response:
    """Return the results so far, in the order of the archive's files.

    `next` is null when a page holds the last that is known; while the job runs, more may follow.
    """
    service = service_of(request)
    row_or_404(service.job_store.get(job_id, key_of(request)), "job")
    rows = service.store.job_results(job_id, after=-1 if after is None else after, limit=limit)
    more = rows[-1].seq if len(rows) == limit else None
    return json_response({"results": [result_json(row) for row in rows], "next": more})


@router.delete(
    "/v1/jobs/{job_id}",
    summary="Cancel a job",
    response_model=JobShape,
    responses={**error_responses(404, 409), 200: _EXAMPLE},
)
def cancel(request: Request, job_id: IdInPath) -> Response:
    """Cancel a job: its results are kept, and its upload is deleted."""
    service = service_of(request)
    row_or_404(service.job_store.get(job_id, key_of(request)), "job")
    if not service.jobs.cancel(job_id):
        raise Problem("job.finished", "the job is finished already, so it cannot be cancelled")
    return json_response(
        job_json(row_or_404(service.job_store.get(job_id, key_of(request)), "job"))
    )


@router.get(
    "/v1/jobs/{job_id}/events",
    summary="Progress of a job as server-sent events",
    response_class=StreamingResponse,
    responses={
        **error_responses(404),
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
    },
)
async def events(request: Request, job_id: IdInPath) -> StreamingResponse:
    """Send events: `progress` with the job's JSON at each change, then `end`."""
    service = service_of(request)
    key = key_of(request)
    row_or_404(await run_in_threadpool(service.job_store.get, job_id, key), "job")
    if service.listeners >= service.settings.limits.listeners:
        raise Problem(
            "queue.full", "too many listen to jobs: ask for the job now and then", retry_after_s=10
        )
    return StreamingResponse(
        _event_stream(service, job_id, key),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _event_stream(service: Service, job_id: str, key: str | None) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    last: dict[str, Any] = {}
    spoke = loop.time()
    service.listeners += 1
    try:
        while not service.stopping:
            row = None
            with contextlib.suppress(DatabaseUnreachable):  # it may come back
                row = await run_in_threadpool(service.job_store.get, job_id, key)
                if row is None:
                    return
            if row is not None and (job := job_json(row)) != last:
                last, spoke = job, loop.time()
                event = "end" if row.state in FINISHED else "progress"
                yield f"event: {event}\nid: {row.done}\ndata: {json.dumps(job)}\n\n".encode()
                if event == "end":
                    return
            elif loop.time() - spoke > QUIET_S:
                spoke = loop.time()
                yield b": still there\n\n"
            await asyncio.sleep(EVENTS_S)
    finally:
        service.listeners -= 1
