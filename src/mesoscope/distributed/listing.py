"""The sources of a scan, listed once, each once, and in bounded memory."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mesoscope.distributed.tasks import Planned
from mesoscope.distributed.web import is_web
from mesoscope.errors import OptionError, OutputError, SourceError, SourceMissing
from mesoscope.errors.failures import cause
from mesoscope.files.store import ObjectStore, is_object, open_store
from mesoscope.media.kinds import CLIP_SUFFIXES, PICTURE_SUFFIXES
from mesoscope.media.walk import Listed, Unreadable, walk_files
from mesoscope.scan.plan import without_nested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mesoscope.files.store import StoredObject

__all__ = ["ListedCounts", "list_sources"]

COLUMNS = ("path", "source", "url", "uri")  # of a list, whichever it has
LIST_ROWS = 10_000  # of a list that are in memory at a time
SORTED_KIB = 64 << 10  # of memory for sorting; the rest is on disk
SHARD = ".tar"  # the suffix of shards
_SUFFIXES = PICTURE_SUFFIXES | CLIP_SUFFIXES


@dataclass(slots=True)
class ListedCounts:
    """What a listing left out.

    Attributes:
        skipped: Files of other kinds than pictures and clips.
        again: Further paths to walked folders, such as links.
    """

    skipped: int = 0
    again: int = 0


def list_sources(
    places: Sequence[str],
    counts: ListedCounts,
    *,
    leave_out: str,
    shards: bool = False,
    http: bool = False,
    listed: Callable[[], None] = lambda: None,
) -> Iterator[Planned]:
    """List pictures and clips, each once; or the tar files that they are in.

    Folders are walked as by a scan of this machine. Of an object store's keys, those with the
    suffix of a picture or clip are taken; a list is a Parquet file with one of :data:`COLUMNS`.
    Both are sorted by their bytes, on this machine's disk.

    Args:
        places: Files and folders, or URLs of objects and prefixes of them, or one list.
        counts: Counts what is left out.
        leave_out: Folder or URL of the job itself.
        shards: Tar files are listed: of folders and prefixes, those with the suffix ``.tar``.
        http: A list may name ``http://`` and ``https://`` URLs.
        listed: Called after each source that is found, before they are sorted.

    Raises:
        OptionError: A list beside other sources, or one that is none.
        OutputError: An object store cannot be listed, or this machine's disk is full.
    """
    lists = [place for place in places if place.lower().endswith(".parquet")]
    if lists:
        if len(places) > 1:
            raise OptionError(f"{lists[0]}: a list is scanned alone: give no other source")
        yield from _sorted(_of_list(lists[0], http=http), listed)
        return
    own = os.path.join(os.path.abspath(leave_out), "").encode("utf-8", "surrogateescape")  # noqa: PTH100, PTH118
    local = without_nested(place for place in places if not is_object(place))
    found = walk_files(
        local,
        skipped=lambda path: _count(counts, "skipped", path, own),
        again=lambda path: _count(counts, "again", path, own),
        suffix=SHARD.encode() if shards else None,
    )
    for one in found:
        if isinstance(one, Unreadable):
            listed()
            yield Planned(os.fsencode(one.path), code=one.error.code, message=str(one.error))
        elif not one.raw.startswith(own):
            listed()
            yield _planned(one)
    remote = sorted({place.rstrip("/") for place in places if is_object(place)}, key=str.encode)
    kept: list[str] = []
    for url in remote:
        if not any(url.startswith(before + "/") for before in kept):
            kept.append(url)
    if kept:
        below = leave_out.rstrip("/") + "/"
        yield from _sorted(
            (one for url in kept for one in _of_prefix(url, counts, below, shards=shards)), listed
        )  # fmt: skip


def _count(counts: ListedCounts, what: str, path: str, own: bytes) -> None:
    if not os.fsencode(path).startswith(own):
        setattr(counts, what, getattr(counts, what) + 1)


def _planned(found: Listed) -> Planned:
    return Planned(found.raw, found.size_bytes, found.mtime_ns)


def _sorted(found: Iterable[Planned], listed: Callable[[], None]) -> Iterator[Planned]:
    """Each source once, by the bytes of its path.

    SQLite sorts runs in memory and merges them from a file that has no name, so that nothing is
    left of a process that is killed.
    """
    try:
        with closing(sqlite3.connect("")) as rows:
            for setting in (f"cache_size=-{SORTED_KIB}", "journal_mode=OFF", "synchronous=OFF",
                            "temp_store=FILE"):  # fmt: skip
                rows.execute(f"PRAGMA {setting}")
            rows.execute("CREATE TABLE found (path BLOB, size, mtime, code, message)")
            rows.executemany("INSERT INTO found VALUES (?, ?, ?, ?, ?)", _told(found, listed))
            last = None
            for row in rows.execute("SELECT * FROM found ORDER BY path"):
                if row[0] != last:
                    last = row[0]
                    yield Planned(*row)
    except sqlite3.OperationalError as error:
        raise OutputError(
            f"the listing cannot be sorted on this machine's disk: {error}: make room, or name "
            "another folder in TMPDIR"
        ) from error


def _told(found: Iterable[Planned], listed: Callable[[], None]) -> Iterator[Planned]:
    for one in found:
        listed()
        yield one


def _of_prefix(url: str, counts: ListedCounts, own: str, *, shards: bool) -> Iterator[Planned]:
    empty = True
    store = ObjectStore(url)
    for page in store.walk():
        for one in page:
            empty = False
            if one.url.startswith(own):
                continue
            if one.url == url or _is_taken(one.url, shards=shards):
                yield _of_store(store, one)
            else:
                counts.skipped += 1
    if empty:
        said = f"{url}: no such object, and none below it: check the URL"
        yield Planned(url.encode(), code=SourceMissing.code, message=said)


def _is_taken(url: str, *, shards: bool) -> bool:
    if shards:
        return url.lower().endswith(SHARD)
    # A slash at the end is what clients make of an empty folder.
    return not url.endswith("/") and PurePosixPath(url).suffix.lower() in _SUFFIXES


def _of_store(store: ObjectStore, one: StoredObject) -> Planned:
    path = one.url.encode("utf-8")
    if store.names_one(one.url):
        return Planned(path, one.size_bytes, one.mtime_ns)
    said = f"{one.url}: the client of the store takes this key for another or a version: rename it"
    return Planned(path, one.size_bytes, one.mtime_ns, SourceError.code, said)


def _of_list(place: str, *, http: bool) -> Iterator[Planned]:
    """The sources of a list, in its order."""
    from pyarrow import parquet

    folder, _, name = place.rpartition("/")
    store = open_store(folder or ("/" if place.startswith("/") else "."))
    try:
        with store.open(name) as opened:
            file = parquet.ParquetFile(opened)
            column = next((c for c in COLUMNS if c in file.schema_arrow.names), None)
            if column is None:
                raise OptionError(
                    f"{place}: not a list of sources: a column {' or '.join(COLUMNS)} is missing"
                )
            for rows in file.iter_batches(LIST_ROWS, columns=[column]):
                for path in rows[column].to_pylist():
                    yield Planned(_resolved(path, place, folder, http=http))
    except FileNotFoundError:
        raise OptionError(f"{place}: no such list: check the path") from None
    except ValueError as error:  # as pyarrow's own are
        raise OptionError(f"{place}: cannot be read as Parquet: {cause(error)}") from error


def _resolved(path: object, place: str, folder: str, *, http: bool) -> bytes:
    """A path of a list: relative ones begin at the list's folder."""
    if not isinstance(path, str) or not path:
        raise OptionError(f"{place}: a row names no source: take it out")
    if is_web(path) and not http:
        raise OptionError(
            f"{place}: {path}: web addresses are fetched with `http` only: add it, or take them out"
        )
    if is_object(path):
        return os.fsencode(path)
    if is_object(place) and not os.path.isabs(path):  # noqa: PTH117
        raise OptionError(f"{place}: {path}: a relative path, in a list of an object store")
    return os.fsencode(os.path.abspath(os.path.join(folder, path)))  # noqa: PTH100, PTH118
