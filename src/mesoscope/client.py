"""A service as a detector: the same questions over HTTP, the same answers.

>>> from mesoscope.client import Client
>>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
...     client.check("face.jpg").label
'real'
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import threading
from contextlib import ExitStack
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import httpx

from mesoscope import errors
from mesoscope.errors import MesoscopeError, ServiceError, SourceError
from mesoscope.errors.failures import cause
from mesoscope.media.image import Source, open_file, open_image, source_name
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.media.walk import Unreadable
from mesoscope.runtime.threads import map_ordered
from mesoscope.types import ModelCard, Thresholds, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from typing_extensions import Self

__all__ = ["Client"]

_BUSY = (429, 503)
_LONGEST_WAIT_S = 60.0
_BACK_OFF_S = 0.5
_CONNECT_S = 5.0  # longest wait for a connection
_FIRST_TRIES = 3  # while the service has never answered: 1.5 s of waiting in between
_POLL_S = (0.1, 2.0)  # between two looks at a job: at first, and at last
_OF_FILES = {
    one.code: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, SourceError)
}


class Client:
    """Asks a service what :class:`~mesoscope.Detector` would say; make one and keep it.

    Pictures are sent one a request and judged together by the service; clips become jobs, which
    are waited for. A service that is busy is asked again when it says.

    Args:
        url: Where it is, as ``http://127.0.0.1:8000``.
        key: For services that ask for one.
        jobs: Requests at the same time.
        tries: So often a request is sent until it is given up. An address where nothing has
            answered yet is given up after three.
        timeout_s: So long an answer may take; clips may take as long as they do. A connection
            may take 5 s at most.

    Raises:
        ServiceError: Not the address of a service.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        jobs: int = 8,
        tries: int = 8,
        timeout_s: float = 60.0,
    ) -> None:
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise ServiceError(f"{url}: not the address of a service: begin it with http://")
        self._jobs = jobs
        self._tries = tries
        self._closed = threading.Event()
        self._answered = False
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        limits = httpx.Limits(max_connections=jobs + 2, max_keepalive_connections=jobs + 2)
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=timeout, limits=limits, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections."""
        self._closed.set()
        self._http.close()

    @cached_property
    def model(self) -> dict[str, Any]:
        """What ``GET /v1/model`` says: the model, the thresholds in force, the limits."""
        return self._json(self._send("GET", "/v1/model"))

    @property
    def card(self) -> ModelCard:
        """What the service's model says of itself."""
        return ModelCard.from_json(json.dumps(self.model["card"]))

    @property
    def model_id(self) -> str:
        """``name@first 8 digits of the file's SHA-256``."""
        return str(self.model["id"])

    @property
    def thresholds(self) -> Thresholds:
        """Those in force."""
        return Thresholds(self.model["real_below"], self.model["fake_above"], "of the service")

    def check(self, source: Source) -> Verdict:
        """Judge one picture or one clip.

        Args:
            source: A path, a file's bytes, a PIL image, or an RGB or grey ``uint8`` array.

        Raises:
            SourceError: It cannot be read, here or by the service.
            ServiceError: The service refuses, or cannot be reached.
        """
        name = source_name(source)
        with ExitStack() as stack:
            file, is_clip = self._opened(source, stack)
            shown = PurePath(name).name
            try:
                if is_clip:
                    result = self._job(file, shown)
                else:
                    answer = self._send("POST", "/v1/check", {"name": shown}, file)
                    (result,) = self._json(answer)["results"]
            except SourceError as error:  # the service knows no folders of this machine
                raise type(error)(str(error).replace(shown, name, 1)) from error
        return _renamed(Verdict.from_json(json.dumps(result["verdict"])), name)

    def check_many(
        self, sources: Iterable[Source | Unreadable], *, keep_going: bool = False
    ) -> Iterator[Verdict]:
        """Judge any number of pictures and clips, in their order, several at the same time.

        Args:
            sources: As for :meth:`check`; read only as far ahead as needed.
            keep_going: A source that cannot be read becomes a verdict with an error and no label
                instead of an exception.

        Yields:
            One verdict a source.

        Raises:
            SourceError: As :meth:`check`, at that source's turn, unless ``keep_going``.
            ServiceError: As :meth:`check`, whatever ``keep_going`` says.
        """
        answers = map_ordered(self._tried, sources, threads=self._jobs, depth=4 * self._jobs)
        for verdict, error in answers:
            if error is not None and not keep_going:
                raise error
            yield verdict

    def _tried(self, source: Source | Unreadable) -> tuple[Verdict, SourceError | None]:
        name = source.path if isinstance(source, Unreadable) else source_name(source)
        try:
            if isinstance(source, Unreadable):
                raise source.error
            verdict = self.check(source)
        except SourceError as error:
            told = {"code": error.code, "message": str(error)}
            return (
                Verdict(
                    source=name, kind="image", label=None, p_fake=None, model=self.model_id,
                    reason="unreadable", frames_read=0, error=told,
                ),
                error,
            )  # fmt: skip
        if verdict.error is not None:
            error_class = _OF_FILES.get(verdict.error["code"], SourceError)
            return verdict, error_class(verdict.error["message"])
        return verdict, None

    def _opened(self, source: Source, stack: ExitStack) -> tuple[bytes | BinaryIO, bool]:
        """A source's bytes or its open file, and whether it is a clip."""
        if isinstance(source, str | os.PathLike):
            file = stack.enter_context(open_file(source))
            kind = sniff(file.read(SNIFF_BYTES))
            file.seek(0)
            return (file, True) if kind == "video" else (file.read(), False)
        if isinstance(source, bytes):
            is_clip = sniff(source[:SNIFF_BYTES]) == "video"
            return (io.BytesIO(source) if is_clip else bytes(source)), is_clip
        return _png(source), False

    def _job(self, file: bytes | BinaryIO, name: str) -> dict[str, Any]:
        """Have a clip judged as a job; the verdict's result."""
        job = self._json(self._send("POST", "/v1/jobs", {"name": name}, file))
        path = f"/v1/jobs/{job['id']}"
        wait_s = _POLL_S[0]
        try:
            while job["state"] in ("queued", "running"):
                self._sleep(wait_s)
                wait_s = min(1.5 * wait_s, _POLL_S[1])
                job = self._json(self._send("GET", path))
        except KeyboardInterrupt:
            self._http.delete(path)
            raise
        results = self._json(self._send("GET", f"{path}/results"))["results"]
        if not results:
            error = job["error"] or {"code": "service.failed", "message": job["state"]}
            raise ServiceError(
                f"{name}: the service did not judge it: {error['message']}", problem=error["code"]
            )
        result: dict[str, Any] = results[0]
        return result

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: bytes | BinaryIO | None = None,
    ) -> httpx.Response:
        """Send a request, again where that is worth it.

        Raises:
            SourceError: The service cannot read the file.
            ServiceError: It refuses, stays busy, or cannot be reached.
        """
        headers = {} if body is None else {"Content-Type": "application/octet-stream"}
        failure: ServiceError | None = None
        for turn in range(self._tries):
            if body is not None and not isinstance(body, bytes):
                body.seek(0)
            wait_s = _BACK_OFF_S * 2**turn
            try:
                answer = self._http.request(
                    method, path, params=query, content=body, headers=headers
                )
            except httpx.InvalidURL as error:
                raise ServiceError(f"{self.url}: not an address: {error}") from error
            except httpx.TransportError as error:
                failure = self._lost(error, path, turn)
            else:
                self._answered = True
                if answer.is_success:
                    return answer
                problem = _problem(answer)
                if answer.status_code not in _BUSY:
                    raise problem
                assert isinstance(problem, ServiceError)  # noqa: S101
                failure = problem
                wait_s = _retry_after_s(answer, wait_s)
            if turn + 1 < self._tries:
                self._sleep(min(wait_s, _LONGEST_WAIT_S))
        assert failure is not None  # noqa: S101 - there is one turn at least
        raise failure

    def _lost(self, error: httpx.TransportError, path: str, turn: int) -> ServiceError:
        """Describe a lost connection.

        Raises:
            ServiceError: It is not worth another try.
        """
        failure = ServiceError(
            f"{self.url}: cannot be reached: {cause(error)}: is the service running?"
        )
        # What has arrived and was not answered may have become a job already.
        sent = path == "/v1/jobs" and not isinstance(error, httpx.ConnectError)
        # A service that has answered may be starting again: it is worth a longer wait.
        if sent or (not self._answered and turn + 1 >= _FIRST_TRIES):
            raise failure from error
        return failure

    def _sleep(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise ServiceError("the client was closed while it waited for the service")

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            value: dict[str, Any] = answer.json()
        except ValueError as error:
            raise ServiceError(
                f"{self.url}: the answer is not JSON: is that a mesoscope service?"
            ) from error
        return value


def _problem(answer: httpx.Response) -> MesoscopeError:
    try:
        told = answer.json()
        code, detail = str(told["code"]), str(told["detail"])
    except (ValueError, KeyError, TypeError):
        return ServiceError(
            f"{answer.url}: {answer.status_code} {answer.reason_phrase}: is that a mesoscope "
            "service?",
            status=answer.status_code,
        )
    if code in _OF_FILES:
        return _OF_FILES[code](detail)
    return ServiceError(f"the service refuses: {detail}", problem=code, status=answer.status_code)


def _retry_after_s(answer: httpx.Response, otherwise_s: float) -> float:
    """Seconds that the service asks for; dates are left to our own pace."""
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() else otherwise_s


def _renamed(verdict: Verdict, name: str) -> Verdict:
    error = verdict.error
    if error is not None:
        error = {**error, "message": error["message"].replace(verdict.source, name, 1)}
    return dataclasses.replace(verdict, source=name, error=error)


def _png(source: Source) -> bytes:
    """A PIL image or an array as a PNG, which loses nothing."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(open_image(source).pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
