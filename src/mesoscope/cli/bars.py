"""The one progress bar: on standard error, only where that is a terminal, gone when it is done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

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
    """A bar over items, or one that is moved by hand.

    Args:
        items: Passed through as they are counted.
        total: How many there will be.
        what: Written before the bar.
        unit: Of the count.
    """
    from tqdm import tqdm  # loaded when used

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
    """Items under a bar, as library functions ask for that count what they do."""
    shown: Iterable[T] = bar(items, total=total, what=what)
    return shown


class Stages:
    """One bar after the other, as library functions tell what they are at."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: tqdm[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, what: str, done: int, total: int) -> None:
        """Move the bar of what is done; another one begins where that is another."""
        if self._bar is None or what != self._what:
            if self._bar is not None:
                self._bar.close()
            self._what, self._bar = what, bar(total=total, what=what)
            self._bar.initial = done  # of an earlier run: no part of this one's rate
        self._bar.update(done - self._bar.n)
