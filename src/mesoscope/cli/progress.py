"""Progress on standard error: bars if it is a terminal, and the lines that the library logs."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, TypeVar

from mesoscope.cli.printing import echo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tqdm import tqdm
    from typing_extensions import Self

T = TypeVar("T")


def bar(
    items: Iterable[object] | None = None,
    *,
    total: int | None = None,
    what: str | None = None,
    unit: str = "pictures",
) -> tqdm:
    """Return a progress bar over items, or one that the caller updates.

    Args:
        items: Items to pass through and count.
        total: Number of items.
        what: Description in front of the bar.
        unit: Unit of the count.
    """
    from tqdm import tqdm  # slow

    return tqdm(
        items,
        total=total,
        desc=what,
        unit=f" {unit}",
        disable=None,
        dynamic_ncols=True,
        leave=False,
        file=sys.stderr,
    )


def counted(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """Pass items through a bar; the callback that library functions take as ``count``."""
    shown: Iterable[T] = bar(items, total=total, what=what)
    return shown


class Stages:
    """A bar for each stage of a run, one after the other."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: tqdm[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, what: str, done: int, total: int) -> None:
        """Move the bar of the stage ``what``; start a new bar if the stage is new."""
        if self._bar is None or what != self._what:
            if self._bar is not None:
                self._bar.close()
            self._what, self._bar = what, bar(total=total, what=what)
            self._bar.initial = done  # items of an earlier run do not count in the rate
        self._bar.update(done - self._bar.n)


class TerminalHandler(logging.Handler):
    """Prints log records on standard error, with control characters escaped."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record; warnings start with the name of the program."""
        prefix = "mesoscope: " if record.levelno >= logging.WARNING else ""
        with contextlib.suppress(OSError):  # a closed standard error must not end the work
            echo(prefix + record.getMessage(), err=True)


def attach() -> None:
    """Print what the library logs; further calls have no effect."""
    from mesoscope.runtime.log import logger

    if not any(isinstance(handler, TerminalHandler) for handler in logger.handlers):
        logger.addHandler(TerminalHandler(logging.INFO))
        logger.setLevel(logging.INFO)
