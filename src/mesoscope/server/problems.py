"""Error responses: RFC 9457 problem JSON with stable codes."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

from mesoscope.errors import (
    MesoscopeError,
    MissingExtra,
    OptionError,
    OutputError,
    SourceError,
    SourceTooLarge,
    SourceUnsupported,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesoscope.types import Json

MEDIA_TYPE = "application/problem+json"

# Codes of the service; those of files and verdicts are in mesoscope.errors.
TITLES: dict[str, tuple[int, str]] = {
    "request.invalid": (400, "The request cannot be understood"),
    "request.forbidden": (403, "Requests from there are not taken"),
    "request.not_found": (404, "There is nothing here"),
    "request.method": (405, "This address does not take that method"),
    "request.timeout": (408, "The upload took too long"),
    "request.too_large": (413, "The request is too large"),
    "request.unsupported": (415, "A body of another kind is needed"),
    "request.unprocessable": (422, "A value is outside its range"),
    "key.missing": (401, "A key is needed"),
    "key.invalid": (401, "Not a valid key"),
    "rate.limited": (429, "Too many requests"),
    "queue.full": (429, "The service is busy"),
    "answer.timeout": (503, "The verdict took too long"),
    "job.missing": (404, "No such job"),
    "job.finished": (409, "The job is finished already"),
    "result.missing": (404, "No such result"),
    "picture.missing": (404, "The picture was not kept"),
    "model.changed": (409, "The result is of another model"),
    "archive.invalid": (422, "The archive cannot be used"),
    "storage.full": (507, "There is no room left"),
    "ledger.unreachable": (503, "The database cannot be reached"),
    "service.stopping": (503, "The service is about to stop"),
    "service.failed": (500, "The service failed"),
    "report.failed": (500, "The report could not be made"),
}


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """An error response with status and headers.

    Args:
        code: A key of :data:`TITLES`, or the code of a :class:`~mesoscope.errors.MesoscopeError`.
        detail: One line: what, why, what next.
        status: Status, if not that of the code.
        headers: Further headers.
        retry_after_s: Seconds until a retry is useful.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail)
        usual, self.title = TITLES.get(code, (422, "The file cannot be judged"))
        self.code = code
        self.detail = detail
        self.status = usual if status is None else status
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)
        if self.status == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")

    def to_dict(self, request_id: str = "") -> dict[str, Json]:
        """Return the JSON object of RFC 9457, section 3."""
        return {
            "type": f"urn:mesoscope:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "instance": f"urn:mesoscope:request:{request_id}",
        }

    def to_bytes(self, request_id: str = "") -> bytes:
        """Return the object as JSON."""
        return json.dumps(self.to_dict(request_id), separators=(",", ":")).encode()


def of_error(error: MesoscopeError) -> Problem:
    """Convert an error of the package."""
    status = 500
    if isinstance(error, SourceTooLarge):
        status = 413
    elif isinstance(error, SourceUnsupported):
        status = 415
    elif isinstance(error, SourceError | OptionError):
        status = 422
    elif isinstance(error, MissingExtra):  # its message names a path of the server
        text = f"{error.package} is not installed where the service runs: extra {error.extra!r}"
        return Problem(error.code, text, status=501)
    elif isinstance(error, OutputError):
        return Problem("storage.full", "the service could not write: try again later")
    return Problem(error.code, str(error), status=status)


def of_code(code: str, message: str) -> Problem:
    """Convert the error of a verdict."""
    status = {"source.too_large": 413, "source.unsupported": 415}.get(code, 422)
    return Problem(code, message, status=status)


def of_os_error(error: OSError) -> Problem:
    """Convert a disk error; its path is not revealed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Problem(
            "storage.full", "there is no room for this upload: try again later", retry_after_s=60
        )
    return Problem(
        "storage.full", "the upload could not be written: try again later",
        status=503, retry_after_s=60,
    )  # fmt: skip
