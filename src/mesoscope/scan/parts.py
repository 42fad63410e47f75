"""A job whose verdicts are kept in parts: Parquet files in a folder or an object store.

A part holds the verdicts of one task, and is whole or not there; its footer has the counts and the
digest of what it was judged with. Nothing but parts says what is done, so a job may be ended at
any moment, and two processes that judge one task write the same part.
"""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mesoscope.errors import JobError, MissingExtra
from mesoscope.files.store import is_object, open_store
from mesoscope.scan.sinks import parquet_table
from mesoscope.scan.tables import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.files.store import Store
    from mesoscope.types import Json

__all__ = ["JobParts", "Part", "is_parts", "part_file", "read_part", "write_part"]

VERSION = 1  # of the layout; jobs of a higher one are refused
JOB = "job.json"  # model and options, before anything else is written
PLAN = "plan.json"  # how many tasks there are, once all sources are listed
PARTS = "parts"
MANIFEST = "manifest.parquet"  # all parts, once all are there
_FOOTER = b"mesoscope.part"
_READERS = 16  # footers read side by side


@dataclass(frozen=True, slots=True)
class Part:
    """The footer of a part.

    Attributes:
        task: Number of its task, from 0.
        spec: Digest of model, options and version that it was judged with.
        labels: Verdicts by label; ``none`` without a label.
        failed: Sources that were not readable.
        core_s: Seconds that it took, times the cores that worked on it.
        rows: Number of verdicts.
        shards: Number of its tar files; 0 where its sources were not in such.
    """

    task: int
    spec: str
    labels: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    core_s: float = 0.0
    rows: int = 0
    shards: int = 0

    @property
    def sources(self) -> int:
        """So many of the planned sources are done."""
        return self.shards or self.rows

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        told = {
            "task": self.task, "spec": self.spec, "labels": dict(self.labels),
            "failed": self.failed, "core_s": round(self.core_s, 3), "rows": self.rows,
        }  # fmt: skip
        return {**told, "shards": self.shards} if self.shards else told

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Part:
        """Read the JSON form."""
        return cls(**{**data, "labels": Counter(data["labels"])})


def is_parts(place: str) -> bool:
    """Return whether a folder, or a prefix of an object store, holds a job in parts."""
    if is_object(place):
        return open_store(place).exists(JOB)
    return os.path.isfile(os.path.join(place, JOB))  # noqa: PTH113, PTH118


def part_file(task: int) -> str:
    """Return the name of a task's part, in the order of the tasks."""
    return f"{PARTS}/{task:09}.parquet"


def write_part(store: Store, part: Part, results: Sequence[Result]) -> None:
    """Write the verdicts of a task at once.

    Raises:
        OutputError: The store cannot be written.
    """
    from pyarrow import parquet

    table = parquet_table(results)
    footer = {**(table.schema.metadata or {}), _FOOTER: json.dumps(part.to_dict())}
    held = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(footer), held, compression="zstd")
    store.write(part_file(part.task), held.getvalue())


def read_part(store: Store, task: int) -> Part:
    """Read the footer of a part.

    Raises:
        JobError: It is no part.
        OutputError: It cannot be read.
    """
    from pyarrow import parquet

    file = part_file(task)
    try:
        with store.open(file) as opened:
            return Part.from_dict(json.loads(parquet.read_metadata(opened).metadata[_FOOTER]))
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(store, file) from error


class JobParts:
    """Reads a job in parts.

    Args:
        place: Its folder, or its URL.

    Raises:
        JobError: It holds no job, or one of a newer version, or it is damaged.
        MissingExtra: pyarrow, or the client of the object store, is not installed.
        OutputError: From any method: the store cannot be read.
    """

    def __init__(self, place: str) -> None:
        if find_spec("pyarrow") is None:  # missed before the long work
            raise MissingExtra("pyarrow", extra="parquet")
        self.store = open_store(place)
        self.name = self.store.name
        self._facts = self._json(JOB)
        version = self._facts.get("version")
        if version != VERSION:
            raise JobError(
                f"{self.name}: a job of version {version}, and this version of mesoscope reads "
                f"{VERSION}: update mesoscope"
            )

    def facts(self) -> dict[str, Json]:
        """Return model, settings and begin of the job."""
        return self._facts

    def plan(self) -> dict[str, Any] | None:
        """Return the numbers of tasks and sources; ``None`` while sources are being listed."""
        return self._json(PLAN) if self.store.exists(PLAN) else None

    def parts(self) -> list[Part]:
        """Return the written parts, in the order of their tasks.

        Raises:
            JobError: A part is damaged, or one of the manifest is missing.
        """
        if self.store.exists(MANIFEST):
            return self._of_manifest()
        return self.footers(self.written_tasks())

    def written_tasks(self) -> list[int]:
        """Return the tasks whose part is written."""
        names = (name.partition(".") for name in self.store.names(PARTS))
        return [int(stem) for stem, _, kind in names if kind == "parquet" and stem.isdecimal()]

    def footers(self, tasks: Sequence[int]) -> list[Part]:
        """Read the footers of some parts."""
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(lambda task: read_part(self.store, task), tasks))

    def open_count(self) -> int:
        """Return the number of sources without a verdict; of tar files, where those were listed.

        Raises:
            JobError: The sources are not listed yet.
        """
        plan = self.plan()
        if plan is None:
            raise JobError(f"{self.name}: its sources are not all listed: go on with `resume`")
        return int(plan["sources"]) - sum(part.sources for part in self.parts())

    def results(self) -> Iterator[Result]:
        """Yield the verdicts, in the order of the sources, a part in memory at a time."""
        from pyarrow import parquet

        for part in self.parts():
            file = part_file(part.task)
            with self.store.open(file) as opened:
                rows = parquet.read_table(
                    opened, columns=["size_bytes", "mtime_ns", "sha256", "verdict"]
                ).to_pylist()
            for row in rows:
                yield _result(row, self.store, file)

    def write_manifest(self, parts: Sequence[Part]) -> None:
        """Write the list of all parts, once all are there."""
        import pyarrow as pa
        from pyarrow import parquet

        rows = [
            {**part.to_dict(), "part": part_file(part.task), "labels": json.dumps(part.labels)}
            for part in parts
        ]
        held = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(rows), held, compression="zstd")
        self.store.write(MANIFEST, held.getvalue())

    def close(self) -> None:
        """Nothing is kept open."""

    def _of_manifest(self) -> list[Part]:
        from pyarrow import parquet

        with self.store.open(MANIFEST) as opened:
            rows = parquet.read_table(opened).drop_columns(["part"]).to_pylist()
        found = [Part.from_dict({**row, "labels": json.loads(row["labels"])}) for row in rows]
        missing = {part.task for part in found}.difference(self.written_tasks())
        if missing:
            raise JobError(
                f"{self.name}: {part_file(min(missing))} is gone: bring it back, or go on with "
                "`resume`, which judges its sources again"
            )
        return found

    def _json(self, file: str) -> dict[str, Any]:
        try:
            with self.store.open(file) as opened:
                content = json.loads(opened.read())
        except FileNotFoundError:
            raise JobError(f"{self.name}: holds no job: begin one with mesoscope scan") from None
        except ValueError as error:
            raise _damaged(self.store, file) from error
        if not isinstance(content, dict):
            raise _damaged(self.store, file)
        return content


def _result(row: dict[str, Any], store: Store, file: str) -> Result:
    """A row of a part, as a ledger gives it."""
    try:
        source = json.loads(row["verdict"])["source"]
        digest = None if row["sha256"] is None else bytes.fromhex(row["sha256"])
        return Result(
            os.fsencode(source), row["size_bytes"], row["mtime_ns"], digest, None, row["verdict"]
        )
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(store, file) from error


def _damaged(store: Store, file: str) -> JobError:
    return JobError(
        f"{store.name}/{file}: damaged: take it away and go on with `resume`, which judges its "
        "sources again"
    )
