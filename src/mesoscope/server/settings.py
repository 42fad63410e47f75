"""Settings and limits of a service; frozen and validated."""

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
    """Hard limits of one caller.

    Attributes:
        check_bytes: Size of the body of ``POST /v1/check``.
        job_bytes: Size of the body of ``POST /v1/jobs``.
        json_bytes: Size of any other body.
        pictures: Pictures in one ``POST /v1/check``.
        parts: Parts of one multipart body: fields and files.
        picture_bytes: Size of one picture, unpacked.
        clip_bytes: Size of one clip, unpacked.
        files: Files in one job's archive.
        unpacked_bytes: Total unpacked size of one archive.
        spool_bytes: Total size of uploads on disk.
        waiting: Pictures in the queue; beyond, callers are asked to retry.
        requests: Concurrent requests, except event streams.
        listeners: Concurrent event streams.
        open_jobs: Unfinished jobs of one key.
        idle_s: Longest pause of an upload.
        check_s: Longest upload of a check.
        job_s: Longest upload of a job.
        header_s: Longest wait for the headers of a request.
        answer_s: Longest wait of a check for its verdicts.
        page: Results per response.
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
    """Settings of a service.

    Attributes:
        data: Private data folder: uploads, jobs, kept pictures, the ledger.
        ledger: URL of the database; ``None`` for a file in ``data``.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        model: Name of a shipped model or path of a model file.
        options: Options of the detector.
        keys: Whether callers need a key.
        names: Accepted host names besides the address; ``*`` accepts any.
        origins: Origins allowed to call from a browser; none by default.
        rate: Default requests per minute of a key; 0 = no limit.
        keep_days: Retention of judged files; 0 = none.
        keep_results_days: Retention of verdicts; 0 = none.
        sign: Private key file that signs reports.
        log_names: Write the names of uploaded files to the log.
        window_s: Longest wait of a picture for others in its batch.
        limits: The limits.
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
                f"a picture cannot be kept longer than its verdict: `keep_days` is "
                f"{self.keep_days:g} and `keep_results_days` {self.keep_results_days:g}: raise "
                "`keep_results_days`"
            )
        for origin in self.origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise OptionError(
                    f"{origin}: not an origin: write scheme and host alone, as in "
                    "https://news.example"
                )

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """Accepted host names, without ports, lower case; empty for any."""
        named = tuple(name.lower().strip("[]") for name in self.names)
        if "*" in named:
            return ()
        if is_loopback(self.host):
            return (*LOOPBACK_NAMES, self.host.lower(), *named)
        if self.host in ("0.0.0.0", "::") and not named:  # noqa: S104 - compared, not bound
            return ()
        return (*LOOPBACK_NAMES, self.host.lower(), *named)


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
