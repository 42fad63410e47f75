"""Object stores listed page by page, several pages at a time, in bounded memory.

Stores answer with a page of keys at a time, and with the next one only after that. So a listing is
split by sub-prefix, as long as fewer requests are on their way than may be. Pages come in any
order.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ListedObject", "Page", "PageRequest", "page_reader", "read_pages"]

LISTERS = 16  # pages that are asked for side by side
_NOT_FOUND = 404  # of HTTP
_LAST = chr(sys.maxunicode)  # sorts behind all that a key may go on with


class ListedObject(NamedTuple):
    """An object of a listing.

    Attributes:
        key: Its name within the bucket.
        size_bytes: Its size.
        mtime_ns: When it was last written, in nanoseconds since 1970; 0 where that is not told.
    """

    key: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a page is asked for.

    Attributes:
        prefix: Of the keys.
        level: Objects right below the prefix, and the sub-prefixes; or all that is below it.
        token: Of the store, where the page goes on with another.
        after: The keys behind this one.
    """

    prefix: str
    level: bool = False
    token: str = ""
    after: str = ""


class Page(NamedTuple):
    """An answer of a store.

    Attributes:
        objects: In the order of the store.
        below: Sub-prefixes, each with a slash at its end.
        token: With which the store goes on; empty at the end.
    """

    objects: list[ListedObject]
    below: list[str]
    token: str


def read_pages(
    read: Callable[[PageRequest], Page], prefix: str, *, jumps: bool
) -> Iterator[list[ListedObject]]:
    """List all objects below a prefix; a page that is repeated may repeat some.

    Args:
        read: Asks the store; called in several threads.
        prefix: Of the keys, empty or with a slash at its end.
        jumps: Whether the store lists keys in the order of their bytes, and from any key on.

    Yields:
        The objects of a page, in the order of arrival.

    Raises:
        Exception: Whatever ``read`` raises.
    """
    waiting = deque([PageRequest(prefix, level=True)])
    running: dict[Future[Page], PageRequest] = {}
    pool = ThreadPoolExecutor(LISTERS)
    try:
        while waiting or running:
            while waiting and len(running) < LISTERS:
                request = waiting.popleft()
                running[pool.submit(read, request)] = request
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                request, page = running.pop(future), future.result()
                free = LISTERS - len(running) - len(waiting)
                # Going on comes first, so that few folders are open at a time.
                waiting.extendleft(_going_on(request, page, split=jumps and free > 0, jumps=jumps))
                waiting.extend(
                    PageRequest(below, level=free > number)
                    for number, below in enumerate(page.below)
                )
                if page.objects:
                    yield page.objects
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _going_on(request: PageRequest, page: Page, *, split: bool, jumps: bool) -> list[PageRequest]:
    """What follows a page; with ``split``, as two requests where a sub-prefix is amid its keys."""
    if not page.token:
        return []
    if request.level:
        if not jumps:
            return [replace(request, token=page.token)]
        # There may be millions of sub-prefixes: those behind these are not listed one by one.
        keys = [one.key for one in page.objects[-1:]]
        last = max([*keys, *(below + _LAST for below in page.below[-1:])], key=str.encode)
        return [PageRequest(request.prefix, after=last)]
    if split and page.objects:
        last = page.objects[-1].key
        folder, slash, _ = last[len(request.prefix) :].partition("/")
        if slash:
            inner = f"{request.prefix}{folder}/"
            return [PageRequest(request.prefix, level=True, after=inner + _LAST),
                    PageRequest(inner, after=last)]  # fmt: skip
    return [replace(request, token=page.token)]


def page_reader(files: Any, scheme: str, bucket: str) -> Callable[[PageRequest], Page]:  # noqa: ANN401
    """Return what reads the pages of a bucket.

    Args:
        files: fsspec's file system.
        scheme: ``s3``, ``gs`` or ``az``.
        bucket: Name of the bucket, or container.
    """
    read = {"s3": _s3_page, "gs": _gs_page, "az": _az_page}[scheme]
    return lambda request: read(files, bucket, request)


def _s3_page(files: Any, bucket: str, request: PageRequest) -> Page:  # noqa: ANN401
    asked = {
        "Prefix": request.prefix,
        "Delimiter": "/" * request.level,
        "ContinuationToken": request.token,
        "StartAfter": "" if request.token else request.after,
    }
    page = files.call_s3(
        "list_objects_v2", Bucket=bucket, **{name: said for name, said in asked.items() if said}
    )
    return Page(
        [
            ListedObject(one["Key"], int(one["Size"]), _ns(one.get("LastModified")))
            for one in page.get("Contents", ())
        ],
        [one["Prefix"] for one in page.get("CommonPrefixes", ())],
        page["NextContinuationToken"] if page.get("IsTruncated") else "",
    )


def _gs_page(files: Any, bucket: str, request: PageRequest) -> Page:  # noqa: ANN401
    page = files.call(
        "GET", "b/{}/o", bucket, json_out=True, maxResults=1000, prefix=request.prefix or None,
        delimiter="/" if request.level else None, pageToken=request.token or None,
        startOffset=request.after or None,
    )  # fmt: skip
    return Page(
        [
            ListedObject(one["name"], int(one.get("size", 0)), _ns(one.get("updated")))
            for one in page.get("items", ())
        ],
        page.get("prefixes", []),
        page.get("nextPageToken") or "",
    )


def _az_page(files: Any, bucket: str, request: PageRequest) -> Page:  # noqa: ANN401
    from fsspec.asyn import sync

    try:
        page: Page = sync(files.loop, _az_page_there, files, bucket, request)
    except Exception as error:  # of Azure's own classes, which fsspec's client would convert
        if getattr(error, "status_code", None) == _NOT_FOUND:
            raise FileNotFoundError(bucket) from error
        raise
    return page


async def _az_page_there(files: Any, bucket: str, request: PageRequest) -> Page:  # noqa: ANN401
    # adlfs itself holds all of a listing.
    async with files.service_client.get_container_client(container=bucket) as container:
        found = (
            container.walk_blobs(request.prefix or None, delimiter="/")
            if request.level
            else container.list_blobs(request.prefix or None)
        )
        pages = found.by_page(request.token or None)
        objects, below = [], []
        async for one in await anext(pages):
            if "size" in one:
                objects.append(ListedObject(one.name, int(one.size), _ns(one.last_modified)))
            else:
                below.append(one.name)
        return Page(objects, below, pages.continuation_token or "")


def _ns(changed: dt.datetime | str | None) -> int:
    if isinstance(changed, str):
        changed = dt.datetime.fromisoformat(changed.replace("Z", "+00:00"))
    return 0 if changed is None else int(changed.timestamp()) * 1_000_000_000
