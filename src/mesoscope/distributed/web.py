"""Fetch the ``http://`` and ``https://`` URLs of a list.

A list may name any address, also of a machine inside the network, and a server may answer without
end. So lists with such URLs are read on request only, and each answer has a limit of bytes and of
time. A host that fails is no reason to end a scan: its sources are rows with an error.
"""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any, BinaryIO

from mesoscope.errors import MissingExtra, SourceError, SourceMissing
from mesoscope.errors.failures import cause

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["download", "fetch", "is_web"]

PICTURE_BYTES = 64 << 20  # of an answer that is held in memory
CLIP_BYTES = 4 << 30  # of one that goes to the disk
TRIES = 3  # of an address that fails
WAIT_S = 0.5  # before the second try, and twice as long before the third
_TIMES_S = {"total": 900, "sock_connect": 30, "sock_read": 60}
_PIECE = 1 << 20  # bytes of an answer at a time
_GONE = (404, 410)  # statuses of HTTP
_SERVER = 500  # and above: the fault is the server's, and another try may go through


def is_web(place: str) -> bool:
    """Whether a source is an address of the web."""
    return place.startswith(("http://", "https://"))


def fetch(urls: Sequence[str]) -> list[bytes | SourceError]:
    """Read some addresses side by side; what fails is in its place.

    Raises:
        MissingExtra: aiohttp is not installed.
    """
    answers = asyncio.run(_fetch(urls))
    return [answer if isinstance(answer, bytes) else _why(url, answer)
            for url, answer in zip(urls, answers, strict=True)]  # fmt: skip


def download(url: str, path: Path) -> SourceError | None:
    """Copy an answer into a file; return why that failed, or ``None``.

    Raises:
        MissingExtra: aiohttp is not installed.
        OSError: The file cannot be written.
    """
    try:
        with path.open("wb") as file:
            asyncio.run(_download(url, file))
    except Exception as error:
        path.unlink(missing_ok=True)
        if isinstance(error, MissingExtra | OSError) and not _is_of_the_web(error):
            raise
        return _why(url, error)
    return None


def _aiohttp() -> Any:  # noqa: ANN401
    try:
        import aiohttp
    except ModuleNotFoundError as error:
        raise MissingExtra("aiohttp", extra="scale") from error
    return aiohttp


def _session() -> Any:  # noqa: ANN401
    aiohttp = _aiohttp()
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(**_TIMES_S))


async def _fetch(urls: Sequence[str]) -> list[bytes | BaseException]:
    async with _session() as session:
        reads = (_held(session, url) for url in urls)
        return await asyncio.gather(*reads, return_exceptions=True)


async def _held(session: Any, url: str) -> bytes:  # noqa: ANN401
    held = io.BytesIO()
    await _tried(session, url, held, PICTURE_BYTES)
    return held.getvalue()


async def _download(url: str, file: BinaryIO) -> None:
    async with _session() as session:
        await _tried(session, url, file, CLIP_BYTES)


async def _tried(session: Any, url: str, file: BinaryIO, limit: int) -> None:  # noqa: ANN401
    """Write an answer into a file, from its beginning at each try."""
    for attempt in range(TRIES):
        file.seek(0)
        file.truncate()
        try:
            await _read(session, url, file, limit)
        except Exception as error:
            if attempt + 1 == TRIES or not _is_passing(error):
                raise
            await asyncio.sleep(WAIT_S * 2**attempt)
        else:
            return


async def _read(session: Any, url: str, file: BinaryIO, limit: int) -> None:  # noqa: ANN401
    async with session.get(url) as answer:
        if answer.status in _GONE:
            raise FileNotFoundError(url)
        answer.raise_for_status()
        seen = 0
        async for piece in answer.content.iter_chunked(_PIECE):
            seen += len(piece)
            if seen > limit:
                raise SourceError(f"{url}: the answer has more than {limit >> 20} MiB: not read")
            file.write(piece)


def _is_of_the_web(error: BaseException) -> bool:
    """Whether the address failed, and not this machine's disk."""
    aiohttp = _aiohttp()
    web = (aiohttp.ClientError, asyncio.TimeoutError, FileNotFoundError, SourceError)
    return isinstance(error, web)


def _is_passing(error: BaseException) -> bool:
    """Whether another try may go through."""
    status = getattr(error, "status", _SERVER)
    broken = not isinstance(error, FileNotFoundError | SourceError) and _is_of_the_web(error)
    return broken and status >= _SERVER


def _why(url: str, error: BaseException) -> SourceError:
    """What the row of an address says."""
    if isinstance(error, MissingExtra | MemoryError):
        raise error
    if isinstance(error, SourceError):
        return error
    if isinstance(error, FileNotFoundError):
        return SourceMissing(f"{url}: no such address: check the URL")
    status = getattr(error, "status", 0)
    said = f"the server answers {status}" if status else cause(error) if isinstance(
        error, Exception) else type(error).__name__  # fmt: skip
    return SourceError(f"{url}: cannot be fetched: {said}")
