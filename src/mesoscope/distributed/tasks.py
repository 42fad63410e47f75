"""The tasks of a scan: its sources, listed once and cut into pieces of a few hundred."""

from __future__ import annotations

import io
import itertools
import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from mesoscope.errors import OptionError, SourceError, SourceMissing
from mesoscope.errors.failures import cause
from mesoscope.files.store import ObjectStore, is_object, open_store
from mesoscope.media.kinds import CLIP_SUFFIXES, PICTURE_SUFFIXES
from mesoscope.media.walk import Listed, Unreadable, walk_files
from mesoscope.scan.plan import without_nested

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mesoscope.files.store import Store

__all__ = ["ListedCounts", "Planned", "list_sources", "read_task", "write_tasks"]

PIECE = 1000  # tasks of a file of the plan, each a row group of it
COLUMNS = ("path", "source", "url", "uri")  # of a list, whichever it has
_SUFFIXES = PICTURE_SUFFIXES | CLIP_SUFFIXES


class Planned(NamedTuple):
    """A source that is to be judged.

    Attributes:
        path: Its path in the bytes that it has on disk, or its URL.
        size_bytes: Its size; 0 where the listing does not tell it.
        mtime_ns: When it was last written, in nanoseconds since 1970; 0 where that is not told.
        code: Of the error that listing it met; ``None`` for none.
        message: Of that error.
    """

    path: bytes
    size_bytes: int = 0
    mtime_ns: int = 0
    code: str | None = None
    message: str | None = None

    @property
    def name(self) -> str:
        """As verdicts call it."""
        return os.fsdecode(self.path)

    def unreadable(self) -> Unreadable | None:
        """What the detector is given in place of a source that listing could not read."""
        if self.code is None:
            return None
        kind = SourceMissing if self.code == SourceMissing.code else SourceError
        return Unreadable(self.name, kind(self.message or ""))


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
    places: Sequence[str], counts: ListedCounts, *, leave_out: str
) -> Iterator[Planned]:
    """List pictures and clips, each once.

    Folders are walked as by a scan of this machine. Of an object store's keys, those with the
    suffix of a picture or clip are taken. A list is a Parquet file with one of :data:`COLUMNS`.

    Args:
        places: Files and folders, or URLs of objects and prefixes of them, or one list.
        counts: Counts what is left out.
        leave_out: Folder or URL of the job itself.

    Raises:
        OptionError: A list beside other sources, or one that is none.
        OutputError: An object store cannot be listed.
    """
    lists = [place for place in places if place.lower().endswith(".parquet")]
    if lists:
        if len(places) > 1:
            raise OptionError(f"{lists[0]}: a list is scanned alone: give no other source")
        yield from _of_list(lists[0])
        return
    own = os.path.join(os.path.abspath(leave_out), "").encode("utf-8", "surrogateescape")  # noqa: PTH100, PTH118
    local = without_nested(place for place in places if not is_object(place))
    found = walk_files(
        local,
        skipped=lambda path: _count(counts, "skipped", path, own),
        again=lambda path: _count(counts, "again", path, own),
    )
    for one in found:
        if isinstance(one, Unreadable):
            yield Planned(os.fsencode(one.path), code=one.error.code, message=str(one.error))
        elif not one.raw.startswith(own):
            yield _planned(one)
    remote = sorted({place.rstrip("/") for place in places if is_object(place)}, key=str.encode)
    kept: list[str] = []
    for url in remote:
        if not kept or not url.startswith(kept[-1] + "/"):
            kept.append(url)
            yield from _of_prefix(url, counts, leave_out.rstrip("/") + "/")


def _count(counts: ListedCounts, what: str, path: str, own: bytes) -> None:
    if not os.fsencode(path).startswith(own):
        setattr(counts, what, getattr(counts, what) + 1)


def _planned(found: Listed) -> Planned:
    return Planned(found.raw, found.size_bytes, found.mtime_ns)


def _of_prefix(url: str, counts: ListedCounts, own: str) -> Iterator[Planned]:
    empty = True
    for one in ObjectStore(url).walk():
        empty = False
        if one.url.startswith(own):
            continue
        if one.url == url or PurePosixPath(one.url).suffix.lower() in _SUFFIXES:
            yield Planned(one.url.encode("utf-8"), one.size_bytes, one.mtime_ns)
        else:
            counts.skipped += 1
    if empty:
        said = f"{url}: no such object, and none below it: check the URL"
        yield Planned(url.encode(), code=SourceMissing.code, message=said)


def _of_list(place: str) -> Iterator[Planned]:
    """The sources of a list, each once, in the order of their bytes; all are held in memory."""
    from pyarrow import parquet

    folder, _, name = place.rpartition("/")
    store = open_store(folder or ("/" if place.startswith("/") else "."))
    found: set[bytes] = set()
    try:
        with store.open(name) as opened:
            file = parquet.ParquetFile(opened)
            column = next((c for c in COLUMNS if c in file.schema_arrow.names), None)
            if column is None:
                raise OptionError(
                    f"{place}: not a list of sources: a column {' or '.join(COLUMNS)} is missing"
                )
            for rows in file.iter_batches(columns=[column]):
                found.update(_resolved(path, place, folder) for path in rows[column].to_pylist())
    except FileNotFoundError:
        raise OptionError(f"{place}: no such list: check the path") from None
    except ValueError as error:  # as pyarrow's own are
        raise OptionError(f"{place}: cannot be read as Parquet: {cause(error)}") from error
    yield from map(Planned, sorted(found))


def _resolved(path: object, place: str, folder: str) -> bytes:
    """A path of a list: relative ones begin at the list's folder."""
    if not isinstance(path, str) or not path:
        raise OptionError(f"{place}: a row names no source: take it out")
    if is_object(path):
        return os.fsencode(path)
    if is_object(place) and not os.path.isabs(path):  # noqa: PTH117
        raise OptionError(f"{place}: {path}: a relative path, in a list of an object store")
    return os.fsencode(os.path.abspath(os.path.join(folder, path)))  # noqa: PTH100, PTH118


def write_tasks(store: Store, sources: Iterable[Planned], size: int) -> tuple[int, int]:
    """Cut sources into tasks, and write them down; a file of them is in memory at a time.

    Args:
        store: Of the job.
        sources: In the order that results are to have.
        size: Sources of a task.

    Returns:
        The numbers of tasks and of sources.

    Raises:
        OutputError: The store cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema()
    rest = iter(sources)
    tasks = total = 0
    while task := list(itertools.islice(rest, size)):
        held, piece = io.BytesIO(), _piece(tasks // PIECE)
        with parquet.ParquetWriter(held, schema, compression="zstd") as file:
            while task:
                rows = [one._asdict() for one in task]
                file.write_table(pa.Table.from_pylist(rows, schema=schema), row_group_size=size)
                tasks, total = tasks + 1, total + len(task)
                task = [] if tasks % PIECE == 0 else list(itertools.islice(rest, size))
        store.write(piece, held.getvalue())
    return tasks, total


def read_task(store: Store, task: int) -> list[Planned]:
    """Read the sources of a task.

    Raises:
        OutputError: The store cannot be read.
        FileNotFoundError: The plan is not there.
        ValueError: The plan is damaged.
    """
    from pyarrow import parquet

    with store.open(_piece(task // PIECE)) as opened:
        rows: list[dict[str, Any]] = (
            parquet.ParquetFile(opened).read_row_group(task % PIECE).to_pylist()
        )
    return [Planned(**row) for row in rows]


def _piece(number: int) -> str:
    return f"plan/{number:06}.parquet"


def _schema() -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    return pa.schema(
        [("path", pa.binary()), ("size_bytes", pa.int64()), ("mtime_ns", pa.int64()),
         ("code", pa.string()), ("message", pa.string())]
    )  # fmt: skip
