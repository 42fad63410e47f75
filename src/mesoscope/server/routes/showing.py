"""What is made of a result when somebody asks: its evidence maps, reports of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mesoscope.media.image import FileBytes
from mesoscope.server.batching import QueueClosed, QueueFull
from mesoscope.server.judging import Question, hash_upload
from mesoscope.server.problems import Problem
from mesoscope.server.reports import make_report
from mesoscope.server.routes.asked import IdInPath, answered, found, key_of, refusals, service_of
from mesoscope.server.routes.check import BODY, busy
from mesoscope.server.routes.results import ALONE
from mesoscope.server.shapes import EvidencesShape
from mesoscope.server.uploads import Bounds, receive

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Row

router = APIRouter()
_REPORT = {
    "content": {
        "text/html": {"schema": {"type": "string"}},
        "application/pdf": {"schema": {"type": "string", "format": "binary"}},
    }
}
Form = Annotated[Literal["html", "pdf"], Query(alias="format")]
Case = Annotated[str, Query(max_length=200, description="number or name of the case")]
By = Annotated[str, Query(max_length=200, description="who hands it over")]


@dataclass(frozen=True, slots=True)
class _KeptFile:
    """A kept file, under the name that its sender gave it."""

    path: Path
    name: str

    def source(self) -> FileBytes:
        return FileBytes.of(self.name, self.path.read_bytes())


@router.get(
    "/v1/results/{result_id}/evidence",
    summary="Evidence maps of a picture that was kept",
    response_model=EvidencesShape,
    responses=refusals(404, 409, 415),
)
async def evidence(request: Request, result_id: IdInPath) -> Response:
    """Made anew from the kept picture, as by a check with `heat=true`; nothing is recorded."""
    service = service_of(request)
    row = await _result(request, result_id)
    path = service.kept.find(row.place, row.kept)
    if path is None:
        raise Problem("picture.missing", "this file was not kept, or is kept no longer")
    if row.kind == "clip":
        told = "a clip has no single map: check one of its frames"
        raise Problem("source.unsupported", told, status=415)
    if row.model != service.judges.plain.model_id:
        raise Problem(
            "model.changed",
            f"the result is of {row.model}, which is no longer in force: check it anew",
        )
    question = Question(_KeptFile(path, row.name), result_id, heat=True)
    try:
        (future,) = service.batcher.submit([question], weights=[path.stat().st_size])
    except QueueFull:
        raise busy() from None
    except QueueClosed:
        raise Problem("service.stopping", "the service is about to stop", retry_after_s=5) from None
    answer = await asyncio.wrap_future(future)
    return answered({"evidence": answer.evidence or []})


@router.get(
    "/v1/results/{result_id}/report",
    summary="A report to hand over",
    response_class=Response,
    responses={**refusals(404, 501), 200: _REPORT},
)
async def report(
    request: Request, result_id: IdInPath, form: Form = "html", case: Case = "", by: By = ""
) -> Response:
    """HTML or PDF, signed where the service has a key; with evidence where the file was kept."""
    row = await _result(request, result_id)
    service = service_of(request)
    return await _made(request, row, service.kept.find(row.place, row.kept), form, case, by)


@router.post(
    "/v1/results/{result_id}/report",
    summary="A report with the picture of a file that was not kept",
    response_class=Response,
    responses={**refusals(404, 408, 501, 507), 200: _REPORT},
    openapi_extra=BODY,
)
async def report_with(
    request: Request, result_id: IdInPath, form: Form = "html", case: Case = "", by: By = ""
) -> Response:
    """As without a body, but with the judged file sent along, for its picture and evidence.

    It must be the very file, by its SHA-256, and is gone when the report is made.
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
    return cast("Row[Any]", found(row, "result"))


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
        "Content-Security-Policy": ALONE,
    }
    return Response(data, media_type=kind, headers=headers)
