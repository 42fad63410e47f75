"""What a command needs beyond the base install."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mesoscope.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def extra(name: str, package: str) -> Iterator[None]:
    """Around imports of a package that needs an extra: a missing package is named with it.

    Args:
        name: Of the extra.
        package: Named where the system does not say which is missing.

    Raises:
        MissingExtra: A package of that extra is not installed. A module of ours that is missing
            stays the error it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "mesoscope":
            raise
        raise MissingExtra(error.name or package, extra=name) from error


@contextmanager
def train_extra() -> Iterator[None]:
    """Around imports of :mod:`mesoscope.training`.

    Raises:
        MissingExtra: As :func:`extra`.
    """
    with extra("train", "torch"):
        yield
