"""What a service is asked to do, and the limits that it keeps; frozen, checked when made."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError
from mesoscope.types import DetectOptions

if TYPE_CHECKING:
    from pathlib import Path

MEBI = 1 << 20
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one caller may ask for; all are hard.

    Attributes:
        check_bytes: Of the body of ``POST /v1/check``.
        job_bytes: Of the body of ``POST /v1/jobs``.
        json_bytes: Of any other body.
        pictures: In one ``POST /v1/check``.
        parts: Of one multipart body: fields and files.
        picture_bytes: Of one picture, unpacked.
        clip_bytes: Of one clip, unpacked.
        files: In one job's archive.
        unpacked_bytes: Of all files of one archive together.
        spool_bytes: Of all uploads on disk at once.
        waiting: Pictures that wait for a thread; beyond, callers are told to come back.
        requests: In progress at once, but for those that only listen.
        listeners: Streams of events at once.
        open_jobs: Of one key, not finished.
        idle_s: An upload may stand still for so long.
        check_s: The whole upload of a check.
        job_s: The whole upload of a job.
        header_s: The head of a request.
        answer_s: A check may wait for its verdicts.
        page: Results in one answer.
    """

    check_bytes: int = 64 * MEBI
    job_bytes: int = 2048 * MEBI
    json_bytes: int = MEBI
    pictures: int = 32
    parts: int = 64
    picture_bytes: int = 64 * MEBI
    clip_bytes: int = 2048 * MEBI
    files: int = 20_000
    unpacked_bytes: int = 16_384 * MEBI
    spool_bytes: int = 16_384 * MEBI
    waiting: int = 64
    requests: int = 512
    listeners: int = 64
    open_jobs: int = 100
    idle_s: float = 15.0
    check_s: float = 60.0
    job_s: float = 3600.0
    header_s: float = 15.0
    answer_s: float = 120.0
    page: int = 200

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise OptionError(f"the limit {name} must be above 0 and finite, got {value}")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """A service.

    Attributes:
        data: Its private folder: uploads on their way, jobs, kept pictures, the ledger.
        ledger: URL of its database; ``None`` for a file in ``data``.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        model: Name of a shipped model or path of a model file.
        options: By which it judges.
        keys: Whether callers must show a key.
        names: Host names that callers may use besides the address; with ``*`` any.
        origins: Sites whose pages may call from a browser; none by default.
        rate: Requests a minute of one key that has no rate of its own; 0 = no limit.
        keep_days: So long a judged file is kept; 0 = never.
        keep_results_days: So long a verdict is kept; 0 = never.
        sign: Private key file that signs reports.
        log_names: Write the names of uploaded files into the log.
        window_s: So long a picture may wait for others, to be scored in one batch with them.
        limits: See :class:`Limits`.
    """

    data: Path
    ledger: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    model: str = "mesoscope"
    options: DetectOptions = field(default_factory=DetectOptions)
    keys: bool = False
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    rate: int = 0
    keep_days: float = 0.0
    keep_results_days: float = 30.0
    sign: Path | None = None
    log_names: bool = False
    window_s: float = 0.002
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise OptionError(f"port must lie in 0..65535, got {self.port}")
        for name in ("rate", "keep_days", "keep_results_days", "window_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptionError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.keep_days > self.keep_results_days:
            raise OptionError(
                "a picture cannot be kept longer than its verdict: "
                f"{self.keep_days:g} days and {self.keep_results_days:g} days"
            )
        for origin in self.origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise OptionError(
                    f"{origin}: not an origin: write scheme and host alone, as in "
                    "https://news.example"
                )

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Host names that a request may carry, without ports, lower case; empty = any."""
        named = tuple(name.lower().strip("[]") for name in self.names)
        if "*" in named:
            return ()
        if is_loopback(self.host):
            return (*LOOPBACK_NAMES, self.host.lower(), *named)
        if self.host in ("0.0.0.0", "::") and not named:  # noqa: S104 - compared, not bound
            return ()
        return (*LOOPBACK_NAMES, self.host.lower(), *named)


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
