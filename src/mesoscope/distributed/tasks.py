"""The tasks of a scan: its sources, cut into pieces of a few hundred, written and read."""

from __future__ import annotations

import io
import itertools
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from mesoscope.errors import SourceError, SourceMissing
from mesoscope.media.walk import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesoscope.files.store import Store

__all__ = ["Planned", "read_task", "write_tasks"]

PIECE = 1000  # tasks of a file of the plan, each a row group of it


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
