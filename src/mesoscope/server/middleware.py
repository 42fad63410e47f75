"""Middleware: authentication, rate limits, origins; headers, access log and metrics."""

from __future__ import annotations

import json
import re
import secrets
import sys
import threading
import time
import traceback
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.requests import ClientDisconnect

from mesoscope.server.problems import MEDIA_TYPE, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mesoscope.server.keys import Key
    from mesoscope.server.service import Service


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Telemetry:
    """Metrics of one service."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter(
            "mesoscope_requests", "Requests answered", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "mesoscope_request_seconds", "From the head of a request to the end of its answer",
            ["route"], buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.verdicts = Counter("mesoscope_verdicts", "Files judged", ["label"], registry=registry)
        self.refused = Counter(
            "mesoscope_refused", "Requests refused, by problem code", ["code"], registry=registry
        )
        self.in_progress = Gauge(
            "mesoscope_requests_in_progress", "Requests in progress", registry=registry
        )

    def watch(self, name: str, says: str, ask: Callable[[], float]) -> None:
        """Register a gauge that is computed on request."""
        Gauge(name, says, registry=self.registry).set_function(ask)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return bytes(generate_latest(self.registry))


class Log:
    """Structured log, JSON lines; no pictures, and file names only if enabled.

    Args:
        stream: Output stream.
        names: Whether fields called ``name`` or ``names`` are written.
    """

    def __init__(self, stream: TextIO | None = None, *, names: bool = False) -> None:
        self._stream = stream
        self._names = names
        self._lock = threading.Lock()

    def write(self, event: str, fields: dict[str, object], level: str = "info") -> None:
        """Write one line; errors of the stream are ignored."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        shown = {k: v for k, v in fields.items() if self._names or k not in ("name", "names")}
        line = json.dumps({"time": now, "level": level, "event": event, **shown}, default=str)
        stream = sys.stderr if self._stream is None else self._stream
        with self._lock:
            try:
                stream.write(line + "\n")
                stream.flush()
            except (OSError, ValueError):
                pass


OPEN_PATHS = ("/healthz", "/readyz")
UPLOADS = re.compile(r"/v1/(check|jobs|results/[^/]+/report)")  # these limit bodies themselves
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(self), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    ),
    (b"x-frame-options", b"DENY"),
)


class RequestMiddleware:
    """ASGI middleware: only admitted requests reach a route.

    Args:
        app: The routes.
        service: Source of settings, keys, metrics and log.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._hosts = frozenset(service.settings.allowed_hosts)
        self._origins = frozenset(service.settings.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        service = self._service
        service.in_progress += 1
        try:
            self._admit(exchange)
            await self._app(scope, exchange.receive, exchange.send)
        except _Preflight:
            await exchange.send({"type": "http.response.start", "status": 204, "headers": _CORS})
            await exchange.send({"type": "http.response.body", "body": b""})
        except Problem as problem:
            await self._refuse(exchange, problem)
        except ClientDisconnect:
            exchange.status = 499  # as in nginx: the client closed the connection
        except Exception as error:  # noqa: BLE001 - the service continues after any error
            service.log.write(
                "a request failed",
                {
                    "request": exchange.id, "error": f"{type(error).__name__}: {error}",
                    "trace": traceback.format_exc(),
                },
                "error",
            )  # fmt: skip
            await self._refuse(
                exchange, Problem("service.failed", "the service failed: its log says why")
            )
        finally:
            service.in_progress -= 1
            self._log_request(exchange)

    def _admit(self, exchange: _Exchange) -> None:
        scope, headers = exchange.scope, exchange.headers
        service = self._service
        host = _host_of(headers.get(b"host", b"").decode("latin-1"))
        if self._hosts and host not in self._hosts:
            raise Problem(
                "request.forbidden",
                "the service does not go by that host name: name it with `allow_host`",
            )
        path: str = scope["path"]
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and not self._is_own(origin, headers) and origin not in self._origins:
            raise Problem("request.forbidden", "pages of other sites may not call this service")
        if origin in self._origins:
            exchange.cors = origin
        if scope["method"] == "OPTIONS" and origin in self._origins:
            raise _Preflight
        limit = service.settings.limits.requests
        if service.in_progress > limit and path not in OPEN_PATHS:
            raise Problem(
                "queue.full", "too many requests are in progress: try again", retry_after_s=1
            )
        key: Key | None = None
        if path.startswith("/v1/") or path == "/metrics":
            if service.keys is not None:
                key = service.keys.find(_text(headers.get(b"authorization")))
            rate = service.settings.rate if key is None or key.rate is None else key.rate
            service.rates.spend("" if key is None else key.id, rate)
        scope["state"] = {
            **scope.get("state", {}), "key": None if key is None else key.id,
            "rate": rate if path.startswith("/v1/") else 0, "exchange": exchange,
        }  # fmt: skip
        if not UPLOADS.fullmatch(path):
            exchange.most_bytes = service.settings.limits.json_bytes

    def _is_own(self, origin: str, headers: dict[bytes, bytes]) -> bool:
        return (
            urlsplit(origin).netloc.lower() == headers.get(b"host", b"").decode("latin-1").lower()
        )

    async def _refuse(self, exchange: _Exchange, problem: Problem) -> None:
        if problem.code != "request.not_found":
            self._service.telemetry.refused.labels(problem.code).inc()
        if exchange.status:
            return  # the response has begun: it ends here
        body = problem.to_bytes(exchange.id)
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *((k.lower().encode(), v.encode("latin-1")) for k, v in problem.headers.items()),
        ]
        await exchange.send(
            {"type": "http.response.start", "status": problem.status, "headers": headers}
        )
        await exchange.send({"type": "http.response.body", "body": body})

    def _log_request(self, exchange: _Exchange) -> None:
        service = self._service
        took_s = time.perf_counter() - exchange.started
        route = exchange.scope.get("route")
        path = getattr(route, "path", None) or "other"
        service.telemetry.requests.labels(path, str(exchange.status)).inc()
        service.telemetry.seconds.labels(path).observe(took_s)
        if path in OPEN_PATHS:
            return
        state = exchange.scope.get("state", {})
        service.log.write(
            "request",
            {
                "request": exchange.id, "method": exchange.scope["method"], "route": path,
                "status": exchange.status, "ms": round(1000 * took_s, 2),
                "key": state.get("key"), **exchange.facts,
            },
        )  # fmt: skip


class _Preflight(Exception):  # noqa: N818 - not an error
    """A CORS preflight request."""


_CORS = [
    (b"access-control-allow-methods", b"GET, POST, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", b"600"),
]


class _Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.id = secrets.token_hex(8)
        self.started = time.perf_counter()
        self.status = 0
        self.cors = ""
        self.most_bytes = 0
        self.facts: dict[str, object] = {}  # for the log line
        self._receive = receive
        self._send = send
        self._size = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if self.most_bytes and message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size > self.most_bytes:
                raise Problem("request.too_large", "the body is too large: send less")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = {name for name, _ in message.get("headers", ())}
            headers = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
            headers += [pair for pair in HEADERS if pair[0] not in given]
            if b"cache-control" not in given and self.scope["path"].startswith("/v1/"):
                headers.append((b"cache-control", b"no-store"))
            if self.cors:
                headers += [
                    (b"access-control-allow-origin", self.cors.encode()), (b"vary", b"Origin"),
                ]  # fmt: skip
            message = {**message, "headers": headers}
        await self._send(message)


def _host_of(header: str) -> str:
    """Return the name in a ``Host`` header, without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")
