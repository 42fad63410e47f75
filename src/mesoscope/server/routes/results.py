"""``/v1/results``: the history, its kept files, and reports of it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, Response

from mesoscope.server.problems import Problem
from mesoscope.server.routes.asked import (
    IdInPath,
    Limit,
    Place,
    answered,
    found,
    key_of,
    refusals,
    result_json,
    service_of,
)
from mesoscope.server.shapes import EXAMPLE_RESULT, ResultShape, ResultsShape
from mesoscope.server.spool import MEDIA_TYPES, media_type
from mesoscope.server.store import Filters
from mesoscope.types.label import Label, Opinion

if TYPE_CHECKING:
    from mesoscope.types import Json

router = APIRouter()
ALONE = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
_FILES = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in (*MEDIA_TYPES.values(), "application/octet-stream")
}
Moment = Annotated[datetime | None, Query(description="ISO 8601")]


@router.get(
    "/v1/results",
    summary="The history",
    response_model=ResultsShape,
    responses={
        **refusals(),
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
        str | None, Query(max_length=200, description="part of a file's name, in whatever case")
    ] = None,
    job: Annotated[str | None, Query(max_length=32, pattern=r"^[A-Za-z0-9_-]+$")] = None,
    sha256: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None,
    says: Opinion | None = None,
    since: Moment = None,
    until: Moment = None,
    before: Place = None,
    limit: Limit = 50,
) -> Response:
    """A caller's results, the latest first."""
    if q is not None and "\0" in q:
        raise Problem("request.unprocessable", "q: no name holds a NUL character")
    filters = Filters(label, kind, q, job, sha256, _seconds(since), _seconds(until), says)
    store = service_of(request).store
    rows = store.page(key_of(request), filters, before=before, limit=limit)
    shown: list[Json] = [dict(result_json(row)) for row in rows]
    return answered({"results": shown, "next": rows[-1].n if len(rows) == limit else None})


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
        **refusals(404),
        200: {"content": {"application/json": {"example": EXAMPLE_RESULT}}},
    },
)
def get_result(request: Request, result_id: IdInPath) -> Response:
    """A result of the history."""
    row = service_of(request).store.result(result_id, key_of(request))
    return answered(result_json(found(row, "result")))


@router.delete(
    "/v1/results/{result_id}",
    summary="Forget a result",
    status_code=204,
    response_class=Response,
    responses=refusals(404),
)
def forget(request: Request, result_id: IdInPath) -> Response:
    """Take a result, what was said of it, and its kept file away."""
    service = service_of(request)
    gone = service.store.forget(result_id, key_of(request))
    place, kept = found(gone, "result")
    if kept is not None and place == service.place:
        service.kept.remove(kept)
    return Response(status_code=204)


@router.get(
    "/v1/results/{result_id}/picture",
    summary="The file that was judged, where it was kept",
    response_class=FileResponse,
    responses={
        **refusals(404),
        200: {"content": _FILES},
        206: {"description": "A range of it", "content": _FILES},
    },
)
def picture(request: Request, result_id: IdInPath) -> Response:
    """The file as it was sent. Only pictures and clips are sent as such, whatever their name."""
    service = service_of(request)
    row = found(service.store.result(result_id, key_of(request)), "result")
    path = service.kept.find(row.place, row.kept)
    if path is None:
        raise Problem("picture.missing", "this file was not kept, or is kept no longer")
    kind = media_type(path) or "application/octet-stream"
    headers = {"Content-Security-Policy": ALONE, "Cache-Control": "private, no-store"}
    return FileResponse(path, media_type=kind, headers=headers)
