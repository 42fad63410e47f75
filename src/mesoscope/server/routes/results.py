"""``/v1/results``: the history, its kept files, evidence maps and reports."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from mesoscope.media.image import FileBytes
from mesoscope.server.batching import QueueClosed, QueueFull
from mesoscope.server.checking import CheckItem, hash_upload
from mesoscope.server.problems import Problem
from mesoscope.server.reports import make_report
from mesoscope.server.routes.check import BODY, busy
from mesoscope.server.routes.dependencies import (
    IdInPath,
    Limit,
    Place,
    error_responses,
    json_response,
    key_of,
    result_json,
    row_or_404,
    service_of,
)
from mesoscope.server.schemas import EXAMPLE_RESULT, EvidencesShape, ResultShape, ResultsShape
from mesoscope.server.spool import MEDIA_TYPES, media_type
from mesoscope.server.store import Filters
from mesoscope.server.uploads import Bounds, receive
from mesoscope.types.label import Label, Opinion

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Row

    from mesoscope.types import Json

router = APIRouter()
REPORT_CSP = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
_FILES = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in (*MEDIA_TYPES.values(), "application/octet-stream")
}
_REPORT = {
    "content": {
        "text/html": {"schema": {"type": "string"}},
        "application/pdf": {"schema": {"type": "string", "format": "binary"}},
    }
}
Form = Annotated[Literal["html", "pdf"], Query(alias="format")]
Case = Annotated[str, Query(max_length=200, description="number or name of the case")]
By = Annotated[str, Query(max_length=200, description="author of the report")]
Moment = Annotated[datetime | None, Query(description="ISO 8601")]


@router.get(
    "/v1/results",
    summary="The history",
    response_model=ResultsShape,
    responses={
        **error_responses(),
        200: {
            "content": {
                "application/json": {"example": {"results": [EXAMPLE_RESULT], "next": None}}
            }
        },
    },
)
def page(
    request: Request,
    label: Literal[Label, "none"] | None = None,
    kind: Literal["image", "clip"] | None = None,
    q: Annotated[
        str | None, Query(max_length=200, description="part of a file's name, ignoring case")
    ] = None,
    job: Annotated[str | None, Query(max_length=32, pattern=r"^[A-Za-z0-9_-]+$")] = None,
    sha256: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None,
    says: Opinion | None = None,
    since: Moment = None,
    until: Moment = None,
    before: Place = None,
    limit: Limit = 50,
) -> Response:
    """Return the caller's results, the latest first."""
    if q is not None and "\0" in q:
        raise Problem("request.unprocessable", "q: no name holds a NUL character")
    filters = Filters(label, kind, q, job, sha256, _seconds(since), _seconds(until), says)
    store = service_of(request).store
    rows = store.page(key_of(request), filters, before=before, limit=limit)
    shown: list[Json] = [dict(result_json(row)) for row in rows]
    return json_response({"results": shown, "next": rows[-1].n if len(rows) == limit else None})


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        raise Problem("request.unprocessable", "a time outside what can be told") from None


@router.get(
    "/v1/results/{result_id}",
    summary="One result",
    response_model=ResultShape,
    responses={
        **error_responses(404),
        200: {"content": {"application/json": {"example": EXAMPLE_RESULT}}},
    },
)
def get_result(request: Request, result_id: IdInPath) -> Response:
    """Return a result of the history."""
    row = service_of(request).store.result(result_id, key_of(request))
    return json_response(result_json(row_or_404(row, "result")))


@router.delete(
    "/v1/results/{result_id}",
    summary="Delete a result",
    status_code=204,
    response_class=Response,
    responses=error_responses(404),
)
def forget(request: Request, result_id: IdInPath) -> Response:
    """Delete a result, its feedback and its kept file."""
    service = service_of(request)
    gone = service.store.forget(result_id, key_of(request))
    place, kept = row_or_404(gone, "result")
    if kept is not None and place == service.place:
        service.kept.remove(kept)
    return Response(status_code=204)


@router.get(
    "/v1/results/{result_id}/picture",
    summary="The kept file of a result",
    response_class=FileResponse,
    responses={
        **error_responses(404),
        200: {"content": _FILES},
        206: {"description": "A range of it", "content": _FILES},
    },
)
def picture(request: Request, result_id: IdInPath) -> Response:
    """Return the file as uploaded. Its media type is that of its content."""
    service = service_of(request)
    row = row_or_404(service.store.result(result_id, key_of(request)), "result")
    path = service.kept.find(row.place, row.kept)
    if path is None:
        raise Problem("picture.missing", "this file was not kept, or is kept no longer")
    kind = media_type(path) or "application/octet-stream"
    headers = {"Content-Security-Policy": REPORT_CSP, "Cache-Control": "private, no-store"}
    return FileResponse(path, media_type=kind, headers=headers)


@dataclass(frozen=True, slots=True)
class _KeptFile:
    """A kept file under its original name."""

    path: Path
    name: str

    def source(self) -> FileBytes:
        return FileBytes.of(self.name, self.path.read_bytes())


@router.get(
    "/v1/results/{result_id}/evidence",
    summary="Evidence maps of a kept picture",
    response_model=EvidencesShape,
    responses=error_responses(404, 409, 415),
)
async def evidence(request: Request, result_id: IdInPath) -> Response:
    """Compute evidence maps of the kept picture, as a check with `heat=true`; nothing is stored."""
    service = service_of(request)
    row = await _result(request, result_id)
    path = service.kept.find(row.place, row.kept)
    if path is None:
        raise Problem("picture.missing", "this file was not kept, or is kept no longer")
    if row.kind == "clip":
        detail = "a clip has no single map: check one of its frames"
        raise Problem("source.unsupported", detail, status=415)
    if row.model != service.checker.plain.model_id:
        raise Problem(
            "model.changed",
            f"the result is of {row.model}, which is no longer in force: check it anew",
        )
    item = CheckItem(_KeptFile(path, row.name), result_id, heat=True)
    try:
        (future,) = service.batcher.submit([item], weights=[path.stat().st_size])
    except QueueFull:
        raise busy() from None
    except QueueClosed:
        raise Problem("service.stopping", "the service is about to stop", retry_after_s=5) from None
    answer = await asyncio.wrap_future(future)
    return json_response({"evidence": answer.evidence or []})


@router.get(
    "/v1/results/{result_id}/report",
    summary="Report of a result",
    response_class=Response,
    responses={**error_responses(404, 501), 200: _REPORT},
)
async def report(
    request: Request, result_id: IdInPath, form: Form = "html", case: Case = "", by: By = ""
) -> Response:
    """Return HTML or PDF, signed if the service has a key, with evidence if the file was kept."""
    row = await _result(request, result_id)
    service = service_of(request)
    return await _made(request, row, service.kept.find(row.place, row.kept), form, case, by)


@router.post(
    "/v1/results/{result_id}/report",
    summary="Report of a result, with its file uploaded again",
    response_class=Response,
    responses={**error_responses(404, 408, 501, 507), 200: _REPORT},
    openapi_extra=BODY,
)
async def report_with(
    request: Request, result_id: IdInPath, form: Form = "html", case: Case = "", by: By = ""
) -> Response:
    """Return a report with picture and evidence of the uploaded file, which was judged before.

    Its SHA-256 must be that of the result. It is deleted after the report is made.
    """
    service = service_of(request)
    row = await _result(request, result_id)
    limits = service.settings.limits
    bounds = Bounds(
        limits.job_bytes, limits.job_bytes, 1, limits.parts, limits.idle_s, limits.job_s
    )
    (upload,) = await receive(request, service.spool, bounds, on_disk=True)
    try:
        path = upload.path
        if path is None or (await run_in_threadpool(hash_upload, path)).sha256 != row.sha256:
            raise Problem(
                "request.unprocessable", "that is not the judged file: its SHA-256 is another"
            )
        return await _made(request, row, path, form, case, by)
    finally:
        await run_in_threadpool(upload.close)


async def _result(request: Request, result_id: str) -> Row[Any]:
    store = service_of(request).store
    row = await asyncio.to_thread(store.result, result_id, key_of(request))
    return cast("Row[Any]", row_or_404(row, "result"))


async def _made(
    request: Request, row: Row[Any], path: Path | None, form: str, case: str, by: str
) -> Response:
    for text in (case, by):
        if not text.isprintable():
            raise Problem("request.unprocessable", "case and by: printable text is needed")
    data = await make_report(service_of(request), row, path, form, case=case, by=by)
    kind = "application/pdf" if form == "pdf" else "text/html; charset=utf-8"
    headers = {
        "Content-Disposition": f'attachment; filename="report-{row.id[:8]}.{form}"',
        "Content-Security-Policy": REPORT_CSP,
    }
    return Response(data, media_type=kind, headers=headers)
