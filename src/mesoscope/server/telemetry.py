"""What the one who runs the service sees: metrics for Prometheus, log lines as JSON."""

from __future__ import annotations

import json
import sys
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Telemetry:
    """Counts of one service."""

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
        """Show a value that is asked for when somebody looks."""
        Gauge(name, says, registry=self.registry).set_function(ask)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return bytes(generate_latest(self.registry))


class Log:
    """Lines of JSON; no pictures, and names of files only where that is asked for.

    Args:
        stream: Where they go.
        names: Whether fields called ``name`` or ``names`` are written.
    """

    def __init__(self, stream: TextIO | None = None, *, names: bool = False) -> None:
        self._stream = stream
        self._names = names
        self._lock = threading.Lock()

    def write(self, event: str, fields: dict[str, object], level: str = "info") -> None:
        """Write one line; a log that cannot be written ends nothing."""
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
