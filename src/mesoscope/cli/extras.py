"""What a command needs beyond the base install."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mesoscope.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def train_extra() -> Iterator[None]:
    """Around imports of :mod:`mesoscope.training`: a missing package is named with its extra.

    Raises:
        MissingExtra: A package of the ``train`` extra is not installed. A module of ours that is
            missing stays the error it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "mesoscope":
            raise
        raise MissingExtra(error.name or "torch", extra="train") from error
