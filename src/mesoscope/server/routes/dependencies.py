"""Shared by routes: the service of a request, OpenAPI error responses, rows as JSON."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Path, Query, Request
from starlette.responses import Response

from mesoscope.server.checking import compact
from mesoscope.server.problems import Problem
from mesoscope.server.schemas import EXAMPLE_PROBLEM, ProblemShape

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

    from mesoscope.server.service import Service
    from mesoscope.types import Json

IdInPath = Annotated[str, Path(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_-]+$")]
Limit = Annotated[int, Query(ge=1, le=200, description="maximum number")]
Place = Annotated[int | None, Query(ge=0, le=2**62, description="`next` of the previous page")]

_DESCRIPTIONS = {
    400: "The request cannot be understood",
    401: "A key is missing or not valid",
    403: "Calls from this origin are not allowed",
    404: "It does not exist, or belongs to another caller",
    408: "The upload took too long",
    409: "The job is already finished",
    413: "Too many bytes, pixels or files",
    415: "The file format is not supported",
    422: "A file cannot be read, or a value is out of range",
    429: "Too many requests; retry after Retry-After",
    500: "The service failed",
    501: "An optional package is not installed",
    503: "The database is not available, or the service is about to stop",
    507: "The storage is full",
}
_EVERY_ROUTE = (400, 401, 403, 413, 422, 429, 500, 503)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI descriptions of error responses: those of every route and these."""
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "model": ProblemShape,
            "content": {"application/problem+json": {"example": EXAMPLE_PROBLEM}},
        }
        for status in sorted({*_EVERY_ROUTE, *statuses})
    }


def known_query(request: Request) -> None:
    """Refuse a query parameter that the route does not have, such as the name of another model.

    Raises:
        Problem: One is unknown; the detail names those that the route has.
    """
    route = cast("APIRoute", request.scope["route"])
    names = sorted(param.alias for param in route.dependant.query_params)
    for given in request.query_params:
        if given not in names:
            listing = ", ".join(names) or "none"
            raise Problem("request.unprocessable", f"query.{given}: unknown; known are: {listing}")


def service_of(request: Request) -> Service:
    """Return the service of a request."""
    return cast("Service", request.app.state.service)


def key_of(request: Request) -> str | None:
    """Return the id of the caller's key; ``None`` if no keys are required."""
    return cast("str | None", request.scope["state"]["key"])


def log_fields(request: Request, facts: dict[str, object]) -> None:
    """Add fields to the request's log line."""
    request.scope["state"]["exchange"].facts.update(facts)


def json_response(value: Json | dict[str, Json], status: int = 200) -> Response:
    """Return a JSON response, encoded as all verdicts."""
    return Response(compact(value), status, media_type="application/json")


def format_utc(seconds: float | None) -> str | None:
    """Format a time in UTC, ISO 8601."""
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def result_json(row: Any) -> dict[str, Json]:  # noqa: ANN401 - a row
    """Return the JSON form of a result."""
    return {
        "id": row.id,
        "job": row.job,
        "seq": row.seq,
        "created": format_utc(row.created),
        "name": row.name,
        "sha256": row.sha256,
        "picture": row.kept is not None,
        "verdict": json.loads(row.verdict),
        "provenance": None if row.provenance is None else json.loads(row.provenance),
        "feedback": None if row.says is None else {"says": row.says, "note": row.note},
    }


def job_json(row: Any) -> dict[str, Json]:  # noqa: ANN401 - a row
    """Return the JSON form of a job."""
    error = None
    if row.error_code is not None:
        error = {"code": row.error_code, "message": row.error_message or ""}
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "total": row.total,
        "done": row.done,
        "failed": row.failed,
        "fake": row.fake,
        "created": format_utc(row.created),
        "finished": format_utc(row.finished),
        "error": error,
    }


def row_or_404(row: Any, what: str) -> Any:  # noqa: ANN401 - a row
    """Return a row that must exist.

    Raises:
        Problem: It does not exist, or belongs to another caller.
    """
    if row is None:
        raise Problem(f"{what}.missing", f"there is no such {what}, or it is another caller's")
    return row
