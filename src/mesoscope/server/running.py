"""Run a service with uvicorn, with a header timeout and a graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mesoscope.errors import OptionError
from mesoscope.errors.failures import cause
from mesoscope.server.app import make_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from mesoscope.server.middleware import Log
    from mesoscope.server.service import Service

try:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Protocol
except ImportError:  # no httptools wheel for this platform: slower
    _Protocol = H11Protocol  # type: ignore[misc,assignment]

STOP_S = 60  # time for requests in progress to end
_BACKLOG = 2048


class HeaderTimeoutProtocol(_Protocol):
    """Closes connections whose request does not begin in time.

    uvicorn has no timeout for slow request headers.
    """

    header_s = 15.0
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - the type of asyncio
        """Start the timer."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Stop the timer at a request, and restart it for the next one."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._due is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._due = self.loop.call_later(self.header_s, self._give_up)

    def _stop(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _give_up(self) -> None:
        self._due = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def serve(service: Service, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C; requests in progress end, jobs are requeued.

    Args:
        service: A service that is not open yet.
        ready: Called with the address when it is open.

    Raises:
        OptionError: The address cannot be bound.
    """
    server, listening = prepare(service)
    with listening:
        if ready is not None:
            ready(address_of(listening))
        with _stopped_cleanly(), _uvicorn_logs_as_json(service.log):
            server.run([listening])


@contextlib.contextmanager
def _stopped_cleanly() -> Iterator[None]:
    """Context in which a signal that stopped the service does not also end the process.

    uvicorn raises caught signals again at its end, so the process would seem killed.
    """
    ends = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in ends]
    try:
        yield
    finally:
        for number, handler in zip(ends, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _uvicorn_logs_as_json(log: Log) -> Iterator[None]:
    """Context in which uvicorn's log goes to the JSON log."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log.write(record.getMessage(), {"logger": record.name}, record.levelname.lower())

    uvicorn_logger, lines = logging.getLogger("uvicorn"), Lines(logging.WARNING)
    before = uvicorn_logger.propagate
    uvicorn_logger.addHandler(lines)
    uvicorn_logger.propagate = False
    try:
        yield
    finally:
        uvicorn_logger.removeHandler(lines)
        uvicorn_logger.propagate = before


def prepare(service: Service) -> tuple[uvicorn.Server, socket.socket]:
    """Create a server and its socket, without starting.

    Raises:
        OptionError: The address cannot be bound.
    """
    settings = service.settings
    protocol = type("Protocol", (HeaderTimeoutProtocol,), {"header_s": settings.limits.header_s})
    config = uvicorn.Config(
        make_app(service),
        host=settings.host,
        port=settings.port,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_S,
        backlog=_BACKLOG,
    )
    server = _Server(config)
    server.service = service
    return server, _listen(settings.host, settings.port)


class _Server(uvicorn.Server):
    """Notifies the service of a shutdown at once: event streams are closed."""

    service: Service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle SIGTERM or SIGINT."""
        self.service.stopping = True
        super().handle_exit(sig, frame)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host.strip("[]"), port))
        listening.listen(_BACKLOG)  # connections from now on are answered
    except OSError as error:
        raise OptionError(
            f"{host} port {port}: cannot be listened on: {cause(error)}: choose another `port`"
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """Return the URL of a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
