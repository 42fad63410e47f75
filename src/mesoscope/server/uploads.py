"""Receive request bodies as uploads: raw or multipart, limited in size, number and time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mesoscope.server.problems import Problem
from mesoscope.server.spool import Upload, clean_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from mesoscope.server.spool import UploadSpool

MEBI = 1 << 20
_HEAD_BYTES = 8192  # headers of one part


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one body.

    Attributes:
        body_bytes: Size of the body.
        file_bytes: Size of one file.
        files: Number of files.
        parts: Number of parts, files and others.
        idle_s: Longest pause.
        whole_s: Longest duration.
    """

    body_bytes: int
    file_bytes: int
    files: int
    parts: int
    idle_s: float
    whole_s: float


async def receive(
    request: Request, spool: UploadSpool, bounds: Bounds, *, name: str = "", on_disk: bool = False
) -> list[Upload]:
    """Receive the files of a request's body.

    Args:
        request: A request whose body was not read yet.
        spool: Storage of the files.
        bounds: Limits of the body.
        name: File name of a raw body.
        on_disk: Write files to disk whatever their size.

    Returns:
        One or more uploads; the caller closes them.

    Raises:
        Problem: The body is empty, too large, too slow or does not match its headers.
        ClientDisconnect: The client has disconnected.
    """
    uploads: list[Upload] = []
    try:
        content_type = request.headers.get("content-type", "")
        chunks = _chunks(request, bounds)
        if content_type.lower().partition(";")[0].strip() == "multipart/form-data":
            await _multipart(chunks, content_type, spool, bounds, uploads)
        else:
            await _raw(chunks, spool, bounds, name, uploads)
        _refuse_empty(uploads)
        for upload in uploads:
            if on_disk or upload.path is not None:
                await run_in_threadpool(upload.finish, on_disk=on_disk)
    except BaseException:
        for upload in uploads:
            upload.close()
        raise
    return uploads


def _refuse_empty(uploads: list[Upload]) -> None:
    if not uploads or (len(uploads) == 1 and not uploads[0].size):
        raise Problem(
            "request.invalid",
            "there is no file in the request: send its bytes, or multipart/form-data",
        )


def refuse_long(request: Request, most_bytes: int) -> None:
    """Refuse a body by its ``Content-Length``, before it is read.

    Raises:
        Problem: The body is too long.
    """
    length = request.headers.get("content-length")
    if length is not None and length.isascii() and length.isdigit() and int(length) > most_bytes:
        raise _too_large(most_bytes)


async def _chunks(request: Request, bounds: Bounds) -> AsyncIterator[bytes]:
    refuse_long(request, bounds.body_bytes)
    size = 0
    loop = asyncio.get_running_loop()
    ends = loop.time() + bounds.whole_s
    more = True
    while more:
        left_s = min(bounds.idle_s, ends - loop.time())
        try:
            message = await asyncio.wait_for(request.receive(), left_s)
        except asyncio.TimeoutError:
            raise Problem(
                "request.timeout",
                "the upload stood still or took too long: send it again",
                headers={"Connection": "close"},
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        data: bytes = message.get("body", b"")
        size += len(data)
        if size > bounds.body_bytes:
            raise _too_large(bounds.body_bytes)
        if data:
            yield data
        more = message.get("more_body", False)


def _too_large(most_bytes: int) -> Problem:
    return Problem(
        "request.too_large",
        f"more than the {most_bytes / MEBI:,.0f} MiB that are taken at once: send less",
        headers={"Connection": "close"},
    )


async def _raw(
    chunks: AsyncIterator[bytes],
    spool: UploadSpool,
    bounds: Bounds,
    name: str,
    uploads: list[Upload],
) -> None:
    upload = Upload(spool, clean_name(name))
    uploads.append(upload)
    async for data in chunks:
        upload.add(data)
        _check_file(upload, bounds)
        if upload.due:
            await run_in_threadpool(upload.flush)


def _check_file(upload: Upload, bounds: Bounds) -> None:
    if upload.size > bounds.file_bytes:
        raise Problem(
            "request.too_large",
            f"{upload.name}: more than the {bounds.file_bytes / MEBI:,.0f} MiB that one file may "
            "have",
            headers={"Connection": "close"},
        )


async def _multipart(
    chunks: AsyncIterator[bytes],
    content_type: str,
    spool: UploadSpool,
    bounds: Bounds,
    uploads: list[Upload],
) -> None:
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:  # RFC 2046, 5.1.1
        raise Problem("request.invalid", "multipart/form-data without a boundary: name it")
    form = _Form(spool, bounds, uploads)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.on_part_begin,
            "on_header_field": form.on_header_field,
            "on_header_value": form.on_header_value,
            "on_header_end": form.on_header_end,
            "on_headers_finished": form.on_headers_finished,
            "on_part_data": form.on_part_data,
            "on_end": form.on_end,
        },
    )
    try:
        async for data in chunks:
            parser.write(data)
            if form.upload is not None and form.upload.due:
                await run_in_threadpool(form.upload.flush)
        parser.finalize()
    except FormParserError as error:
        raise Problem("request.invalid", f"not multipart/form-data: {error}") from error
    if not form.ended:
        raise Problem("request.invalid", "the multipart body ends before its last boundary")


class _Form:
    """Callbacks of the multipart parser."""

    def __init__(self, spool: UploadSpool, bounds: Bounds, uploads: list[Upload]) -> None:
        self.upload: Upload | None = None
        self.ended = False
        self._spool = spool
        self._bounds = bounds
        self._uploads = uploads
        self._parts = 0
        self._head = 0
        self._field = b""
        self._value = b""
        self._disposition = b""

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > self._bounds.parts or len(self._uploads) >= self._bounds.files:
            most = min(self._bounds.parts, self._bounds.files)
            raise Problem(
                "request.too_large",
                f"more than {most} {'file' if most == 1 else 'files'} in one request: send them "
                "in several, or a ZIP archive of them to /v1/jobs",
                headers={"Connection": "close"},
            )
        self._head = 0
        self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._field += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def on_headers_finished(self) -> None:
        name = file_name(self._disposition)
        if name is None:
            raise Problem(
                "request.invalid", "a part of the form is no file: give each part a file name"
            )
        self.upload = Upload(self._spool, clean_name(name))
        self._uploads.append(self.upload)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.upload is not None:
            self.upload.add(data[start:end])
            _check_file(self.upload, self._bounds)

    def on_end(self) -> None:
        self.ended = True

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > _HEAD_BYTES:
            raise Problem("request.invalid", "the headers of a part are too long")


def file_name(disposition: bytes) -> bytes | None:
    """Return the file name of a ``Content-Disposition``; ``None`` if the part is no file.

    ``filename*`` (RFC 5987) in UTF-8 takes precedence over ``filename``.
    """
    _, options = parse_options_header(disposition)
    extended = options.get(b"filename*")
    if extended is not None and extended.lower().startswith(b"utf-8'"):
        return unquote_to_bytes(extended.split(b"'", 2)[-1])
    return options.get(b"filename")
