"""Where verdicts are written, a whole line at a time."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Protocol

from mesoscope.errors import OutputError
from mesoscope.files.csv_rows import csv_row

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from mesoscope.types import Verdict

CSV_COLUMNS = (
    "source", "kind", "label", "p_fake", "reason", "faces", "model", "error_code", "error_message",
)  # fmt: skip


class Sink(Protocol):
    """Takes verdicts one by one; each is safe once :meth:`write` returns."""

    def write(self, verdict: Verdict) -> None:
        """Write one verdict."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Lines:
    """A file, or an open descriptor, that only ever holds whole lines.

    Every line goes out in one system call as soon as it is known. Where the disk is full, what
    was written of the last line is cut off again, and the lines before it stay.

    Args:
        target: A file to (over)write, its folder is made; or a descriptor such as 1.

    Raises:
        OutputError: The file cannot be opened.
    """

    def __init__(self, target: Path | int) -> None:
        self._name = "standard output" if isinstance(target, int) else str(target)
        self._written = 0
        self._owned = not isinstance(target, int)
        if isinstance(target, int):
            self._fd = target
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            raise OutputError(f"{target}: cannot be written: {error.strerror}") from error

    def write_line(self, text: str) -> None:
        """Append one line.

        Raises:
            OutputError: The disk is full or the file is gone.
            BrokenPipeError: The reader of a pipe has gone; the caller stops quietly.
        """
        data = text.encode("utf-8", "surrogateescape") + b"\n"
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._fd, left) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._owned:
                with contextlib.suppress(OSError):  # a device cannot be cut
                    os.ftruncate(self._fd, self._written)
            raise OutputError(
                f"{self._name}: {error.strerror}: the lines written before are whole; free some "
                "space and scan again"
            ) from error
        self._written += len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._owned:
            os.close(self._fd)
            self._owned = False


class JsonLines(Lines):
    """One JSON object a line, in plain ASCII."""

    def write(self, verdict: Verdict) -> None:
        """Append one verdict."""
        self.write_line(verdict.to_json())


class Csv(Lines):
    """One row a source, with a header; names in the bytes they have on disk, but no formulas."""

    def __init__(self, target: Path | int) -> None:
        super().__init__(target)
        self.write_line(",".join(CSV_COLUMNS))

    def write(self, verdict: Verdict) -> None:
        """Append one verdict."""
        error = verdict.error or {}
        self.write_line(
            csv_row(
                [
                    verdict.source,
                    verdict.kind,
                    verdict.label or "",
                    "" if verdict.p_fake is None else f"{verdict.p_fake:.6f}",
                    verdict.reason or "",
                    len(verdict.faces),
                    verdict.model,
                    error.get("code", ""),
                    error.get("message", ""),
                ]
            )
        )


def open_sink(path: Path) -> JsonLines | Csv:
    """The sink that a file's suffix asks for.

    Raises:
        OutputError: Neither ``.jsonl`` nor ``.csv``, or it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return JsonLines(path)
    if suffix == ".csv":
        return Csv(path)
    raise OutputError(
        f"{path}: results are written as .jsonl or .csv: name the file so, or "
        "end a job folder's name with a slash"
    )
