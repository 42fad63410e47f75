"""The one progress bar: on standard error, only where that is a terminal, gone when it is done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tqdm import tqdm

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
