"""The ASGI application: routes, error responses, the web page, around one service."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from mesoscope import __version__
from mesoscope.errors import MesoscopeError
from mesoscope.server.middleware import RequestMiddleware
from mesoscope.server.problems import MEDIA_TYPE, Problem, of_error, of_os_error
from mesoscope.server.routes import check, feedback, health, jobs, results
from mesoscope.server.routes.dependencies import json_response
from mesoscope.server.store import DatabaseUnreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from mesoscope.server.service import Service


_ABOUT = (
    "Tells whether faces in pictures and clips were forged. `p_fake` is the calibrated probability "
    'that a face is forged: higher = more fake. "No face" and "cannot tell" are answers.'
)


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI schema, made once.

    Every error response is problem JSON, so FastAPI's own error schema is removed.
    """
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=_ABOUT, routes=app.routes
        )
        schemas = made["components"]["schemas"]
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path, methods in made["paths"].items():
            for operation in methods.values():
                if path not in ("/healthz", "/readyz"):
                    operation["security"] = [{"key": []}, {}]
                for status, answer in operation["responses"].items():
                    if status.isdigit() and int(status) >= 400:
                        _only_problem(answer)
        app.openapi_schema = made
    return app.openapi_schema


def allowed(app: FastAPI, path: str) -> list[str]:
    """Return the methods that a path allows."""
    for template, methods in openapi(app)["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return sorted(name.upper() for name in methods)
    return ["GET", "HEAD"]  # the page and its files


def _only_problem(answer: dict[str, Any]) -> None:
    content = answer.setdefault("content", {})
    kept = content.get("application/problem+json", {})
    content.clear()
    content["application/problem+json"] = {
        **kept, "schema": {"$ref": "#/components/schemas/ProblemShape"},
    }  # fmt: skip


STATIC = Path(__file__).parent / "static"
_OF_STATUS = {
    400: "request.invalid", 404: "request.not_found", 405: "request.method",
    413: "request.too_large", 415: "request.unsupported",
}  # fmt: skip


def make_app(service: Service) -> FastAPI:
    """Create the application of a service; it opens and closes the service.

    Args:
        service: A service that is not open yet.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.open)
        yield
        await run_in_threadpool(service.close)

    # FastAPI's own documentation pages are off: they load scripts from elsewhere.
    app = FastAPI(
        title="mesoscope",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    for part in (check, jobs, results, feedback, health):
        app.include_router(part.router)
    app.add_api_route("/openapi.json", _openapi, include_in_schema=False)
    app.router.default = _page  # for unknown paths; a mount at / would hide the routes
    app.add_middleware(RequestMiddleware, service=service)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(DatabaseUnreachable, _unreachable)
    app.add_exception_handler(MesoscopeError, _error)
    app.add_exception_handler(OSError, _os_error)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    return app


_static = StaticFiles(directory=STATIC, html=True, check_dir=False)


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the page and its files."""
    if scope["type"] != "http" or scope["path"].startswith("/v1/"):
        raise HTTPException(404)
    await _static(scope, receive, send)


async def _openapi(request: Request) -> Response:
    return json_response(openapi(request.app))


def _respond(request: Request, problem: Problem) -> Response:
    exchange = request.scope["state"]["exchange"]
    if problem.code != "request.not_found":
        request.app.state.service.telemetry.refused.labels(problem.code).inc()
    body = problem.to_bytes(exchange.id)
    return Response(body, problem.status, problem.headers, media_type=MEDIA_TYPE)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class
    return _respond(request, error)


async def _unreachable(request: Request, error: Exception) -> Response:
    _log(request, error)
    detail = "the database does not answer now: try again"
    return _respond(request, Problem("ledger.unreachable", detail, retry_after_s=5))


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, MesoscopeError)  # noqa: S101
    problem = of_error(error)
    if problem.status >= 500:
        _log(request, error)
    return _respond(request, problem)


async def _os_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)  # noqa: S101
    _log(request, error)
    return _respond(request, of_os_error(error))


def _log(request: Request, error: Exception) -> None:
    exchange = request.scope["state"]["exchange"]
    fields: dict[str, object] = {
        "request": exchange.id,
        "error": f"{type(error).__name__}: {error}",
    }
    request.app.state.service.log.write("a request failed", fields, "error")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = _OF_STATUS.get(error.status_code, "request.invalid")
    details = {404: "there is nothing at this address", 405: "use one of the methods in Allow"}
    detail = details.get(error.status_code, str(error.detail))
    problem = Problem(code, detail, status=error.status_code, headers=error.headers)
    if error.status_code == 405:  # a route knows its own methods, not those of others on its path
        problem.headers["Allow"] = ", ".join(allowed(request.app, request.url.path))
    return _respond(request, problem)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _respond(request, Problem("request.unprocessable", f"{where}: {first['msg']}"))
