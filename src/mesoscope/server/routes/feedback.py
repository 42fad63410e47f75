"""``/v1/feedback``: what people say of results, and that as a labelled data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from mesoscope.server.problems import Problem
from mesoscope.server.reports import write_data_set
from mesoscope.server.routes.dependencies import (
    error_responses,
    json_response,
    key_of,
    result_json,
    row_or_404,
    service_of,
)
from mesoscope.server.schemas import EXAMPLE_RESULT, FeedbackShape, ResultShape

if TYPE_CHECKING:
    from pathlib import Path

router = APIRouter()


@router.post(
    "/v1/feedback",
    summary="Give feedback on a result",
    response_model=ResultShape,
    responses={
        **error_responses(404),
        200: {"content": {"application/json": {"example": EXAMPLE_RESULT}}},
    },
)
def say(request: Request, said: FeedbackShape) -> Response:
    """Store a person's verdict on a result; it replaces an earlier one."""
    if "\0" in said.note:
        raise Problem("request.unprocessable", "note: a text without NUL characters is needed")
    note = said.note.encode("utf-8", "replace").decode()
    store = service_of(request).store
    row_or_404(store.result(said.result, key_of(request)), "result")
    store.add_feedback(said.result, said.says, note)
    row = store.result(said.result, key_of(request))
    return json_response(result_json(row_or_404(row, "result")))


@router.get(
    "/v1/feedback/dataset",
    summary="Feedback as a labelled data set",
    response_class=FileResponse,
    responses={
        **error_responses(404),
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
    },
)
def data_set(request: Request) -> Response:
    """Return a ZIP archive with `manifest.csv` and the kept pictures, to train and evaluate on.

    Results marked as unsure are left out; labels of pictures that were not kept are in
    `not_kept.csv`.
    """
    service = service_of(request)
    path = service.spool.new_path()
    try:
        count = write_data_set(path, service.store.with_feedback(key_of(request)), service.kept)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    if not count:
        path.unlink(missing_ok=True)
        raise Problem("result.missing", "nobody has called a result real or forged yet")
    return FileResponse(
        path,
        media_type="application/zip",
        filename="feedback.zip",
        background=BackgroundTask(_remove, path),
    )


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
