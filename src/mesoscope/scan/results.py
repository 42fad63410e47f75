"""The results of a job, wherever it keeps them: in a ledger or in parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mesoscope.errors import OptionError
from mesoscope.scan import folder
from mesoscope.scan.parts import JobParts, is_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.scan.tables import Result
    from mesoscope.types import Json

__all__ = ["JobResults", "is_job", "open_results"]


class JobResults(Protocol):
    """What exports and reports read of a job."""

    def facts(self) -> dict[str, Json]:
        """Return model, settings and begin of the job."""
        ...

    def open_count(self) -> int:
        """Return the number of files without a verdict."""
        ...

    def results(self) -> Iterator[Result]:
        """Yield the verdicts, in the order of the files' paths."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def is_job(place: str) -> bool:
    """Return whether a folder, or a prefix of an object store, holds a job.

    Raises:
        OptionError: A URL of a kind that is not read.
        OutputError: The object store cannot be reached.
    """
    return is_parts(place) or folder.is_job(Path(place))


def open_results(place: str, ledger: str | None = None) -> JobResults:
    """Open the results of an existing job.

    Args:
        place: The job folder, or the URL of a job in an object store.
        ledger: URL of the ledger's database, if the folder does not record it or lacks the
            password.

    Raises:
        JobError: There is no job, or one of a newer version.
        OptionError: A ledger for a job that has none.
    """
    if not is_parts(place):
        return folder.open_ledger(Path(place), ledger)
    if ledger is not None:
        raise OptionError(f"{place}: keeps its verdicts in parts: leave `ledger` out")
    return JobParts(place)
