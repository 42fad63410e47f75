"""A load generator: so many connections that post pictures, each as soon as it has its answer.

Run by ``serving.py`` in a process of its own. It speaks HTTP by hand, on asyncio, so that it takes
as little of the machine as it can: it shares the cores with what it measures.

Usage: serving_load.py URL FOLDER CONNECTIONS SECONDS [--path /v1/check]; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

try:
    from uvloop import run
except ImportError:
    from asyncio import run

WARM_S = 1.0  # answered and not counted
RETRY_S = 0.05  # a caller that is told to come back waits so long, and not the second it is told


class Tally:
    """What the connections have seen."""

    def __init__(self) -> None:
        self.times: list[float] = []  # of answers with 200, in seconds
        self.statuses: dict[int, int] = {}
        self.lost = 0
        self.counting = False

    def add(self, status: int, took_s: float) -> None:
        if not self.counting:
            return
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.times.append(took_s)


class Caller(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends the next."""

    def __init__(self, requests: list[bytes], first: int, tally: Tally, ends: list[float]) -> None:
        self._requests, self._next, self._tally, self._ends = requests, first, tally, ends
        self._data = b""
        self._waiting = False
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        if time.perf_counter() >= self._ends[0] or self._transport.is_closing():
            self._transport.close()
            return
        request = self._requests[self._next % len(self._requests)]
        self._next += 1
        self._waiting = True
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head = self._data.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = self._data[:head].lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._data) < head + 4 + length:
            return
        status = int(self._data[9:12])
        self._data = b""
        self._waiting = False
        self._tally.add(status, time.perf_counter() - self._sent)
        if status in (429, 503):
            asyncio.get_running_loop().call_later(RETRY_S, self._send)
        else:
            self._send()

    def connection_lost(self, _) -> None:
        if self._waiting and self._tally.counting:
            self._tally.lost += 1
        if not self.closed.done():
            self.closed.set_result(None)


async def load(url: str, bodies: list[bytes], connections: int, seconds: float, path: str) -> dict:
    """Ask for so long; what came of it."""
    target = urlsplit(url)
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: {target.netloc}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        for body in bodies
    ]
    tally, ends = Tally(), [float("inf")]
    loop = asyncio.get_running_loop()
    callers = []
    for number in range(connections):
        first = number * len(requests) // connections
        _, caller = await loop.create_connection(
            lambda first=first: Caller(requests, first, tally, ends), target.hostname, target.port
        )
        callers.append(caller)
    await asyncio.sleep(WARM_S)
    tally.counting = True
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    took = time.perf_counter() - started
    tally.counting = False
    ends[0] = 0.0
    await asyncio.wait([caller.closed for caller in callers], timeout=60)
    times = sorted(tally.times)

    def at(share: float) -> float:
        return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")

    return {
        "rate": len(times) / took, "p50": at(0.5), "p99": at(0.99), "worst": at(1.0),
        "statuses": tally.statuses, "lost": tally.lost,
    }  # fmt: skip


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("url")
    made.add_argument("folder", type=Path)
    made.add_argument("connections", type=int)
    made.add_argument("seconds", type=float)
    made.add_argument("--path", default="/v1/check")
    chosen = made.parse_args()
    bodies = [p.read_bytes() for p in sorted(chosen.folder.rglob("*.jpg"))]
    print(
        json.dumps(run(load(chosen.url, bodies, chosen.connections, chosen.seconds, chosen.path)))
    )


if __name__ == "__main__":
    main()
