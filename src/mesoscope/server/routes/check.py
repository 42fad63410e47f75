"""``POST /v1/check``: pictures in, verdicts out, at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from mesoscope.server.batching import QueueClosed, QueueFull
from mesoscope.server.checking import CheckItem
from mesoscope.server.problems import Problem, of_code
from mesoscope.server.routes.dependencies import (
    error_responses,
    key_of,
    known_query,
    log_fields,
    service_of,
)
from mesoscope.server.schemas import EXAMPLE_CHECK, CheckShape
from mesoscope.server.store import new_id
from mesoscope.server.uploads import Bounds, receive

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from concurrent.futures import Future

    from mesoscope.server.checking import CheckResult
    from mesoscope.server.service import Service
    from mesoscope.server.spool import Upload


class PlainRoute(APIRoute):
    """A route whose endpoint is called at once where a request has no query.

    FastAPI validates the query of each request, which takes a third of the event loop's time for a
    check. Without a query there is nothing to validate.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request."""
        validated = super().get_route_handler()
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                return await validated(request)
            response: Response = await endpoint(request)
            return response

        return handle


router = APIRouter(route_class=PlainRoute)
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                    "required": ["file"],
                }
            },
        },
    }
}
Name = Annotated[
    str, Query(max_length=400, description="file name of a raw body; multipart bodies have names")
]


@router.post(
    "/v1/check",
    summary="Judge pictures",
    response_model=CheckShape,
    responses={
        **error_responses(408, 415, 507),
        200: {"content": {"application/json": {"example": EXAMPLE_CHECK}}},
    },
    dependencies=[Depends(known_query)],
    openapi_extra=BODY,
)
async def check(
    request: Request,
    heat: Annotated[bool, Query(description="return evidence maps")] = False,
    provenance: Annotated[bool, Query(description="return the provenance of the file")] = False,
    preview: Annotated[bool, Query(description="return the picture as a JPEG")] = False,
    name: Name = "",
) -> Response:
    """Judge one picture, sent as raw bytes, or several, as multipart/form-data.

    The type of a file is detected by its content, not by its name or media type. A single file
    that cannot be read is a problem; of several, each has its own result.
    """
    service = service_of(request)
    limits = service.settings.limits
    bounds = Bounds(
        limits.check_bytes, limits.picture_bytes, limits.pictures, limits.parts,
        limits.idle_s, limits.check_s,
    )  # fmt: skip
    if service.batcher.full:  # refused before the upload, which may be long
        raise busy()
    uploads = await receive(request, service.spool, bounds, name=name)
    try:
        facts: dict[str, object] = {"files": len(uploads), "bytes": sum(u.size for u in uploads)}
        if service.settings.log_names:
            facts["names"] = [upload.name for upload in uploads]
        log_fields(request, facts)
        _spend(request, service, len(uploads))
        items = [
            CheckItem(
                upload,
                new_id(),
                heat=heat,
                provenance=provenance,
                whole=service.kept.wanted,
                preview=preview,
            )
            for upload in uploads
        ]
        _refuse_clips(uploads)
        answers = await _judged(request, service, items, uploads)
        ids = await _recorded(request, service, items, answers)
    finally:
        for upload in uploads:
            upload.close()
    if len(answers) == 1 and (error := answers[0].verdict.error) is not None:
        raise of_code(error["code"], error["message"])
    bodies = [answer.body(one) for answer, one in zip(answers, ids, strict=True)]
    return Response(b'{"results":[%s]}' % b",".join(bodies), media_type="application/json")


def _spend(request: Request, service: Service, files: int) -> None:
    if files > 1:  # the guard has counted one
        rate = request.scope["state"]["rate"]
        service.rates.spend(key_of(request) or "", rate, files - 1)


def _refuse_clips(uploads: Sequence[Upload]) -> None:
    for upload in uploads:
        if upload.kind == "video" or upload.is_zip:
            raise Problem(
                "source.unsupported",
                f"{upload.name}: clips and archives take longer: send it to /v1/jobs",
                status=415,
            )


def busy() -> Problem:
    """Return the error of a full queue."""
    return Problem("queue.full", "as many files wait as may: try again", retry_after_s=1)


async def _judged(
    request: Request, service: Service, items: Sequence[CheckItem], uploads: Sequence[Upload]
) -> list[CheckResult]:
    try:
        futures = service.batcher.submit(items, weights=[upload.size for upload in uploads])
    except QueueFull:
        raise busy() from None
    except QueueClosed:
        raise Problem(
            "service.stopping", "the service is about to stop: try again", retry_after_s=5
        ) from None
    answers = await _wait_while_connected(request, futures, service.settings.limits.answer_s)
    for answer in answers:
        service.count(answer)
    return answers


async def _wait_while_connected(
    request: Request, futures: Sequence[Future[CheckResult]], longest_s: float
) -> list[CheckResult]:
    """Wait for results; if the client disconnects, pending ones are cancelled.

    Raises:
        ClientDisconnect: The client has disconnected.
        Problem: It took too long.
    """
    gone = asyncio.ensure_future(_disconnected(request))
    waiting = asyncio.gather(*(asyncio.wrap_future(future) for future in futures))
    try:
        done, _ = await asyncio.wait(
            (waiting, gone), timeout=longest_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            waiting.cancel()
            raise Problem(
                "answer.timeout",
                "the verdict took too long: send a smaller file, or send it to /v1/jobs",
                retry_after_s=10,
            )
        if not waiting.done():
            waiting.cancel()  # cancels pending futures
            # Running threads read the uploads, which must stay until they finish.
            await asyncio.gather(
                *(asyncio.wrap_future(f) for f in futures if not f.cancelled()),
                return_exceptions=True,
            )
            raise ClientDisconnect
        return list(waiting.result())
    finally:
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _recorded(
    request: Request,
    service: Service,
    items: Sequence[CheckItem],
    answers: Sequence[CheckResult],
) -> list[str | None]:
    """Return the ids of committed results; ``None`` if results are not kept."""
    key = key_of(request)
    if service.kept.wanted:  # files are written, so not in the event loop
        rows = [
            await asyncio.to_thread(service.record, item, answer, key)
            for item, answer in zip(items, answers, strict=True)
        ]
    else:
        rows = [service.record(q, a, key) for q, a in zip(items, answers, strict=True)]
    ids: list[str | None] = []
    for item, row in zip(items, rows, strict=True):
        if row is not None:
            await asyncio.wrap_future(row)
        ids.append(None if row is None else item.id)
    return ids
