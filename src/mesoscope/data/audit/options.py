"""Options of an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesoscope.errors import OptionError
from mesoscope.types import DEFAULT_MAX_PIXELS

# Wraps a long iteration for a progress bar: (what, items, total) → items.
Watch = Callable[[str, Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Options of an audit.

    Attributes:
        suspects: Find label errors; a model scores every picture.
        model: Model file for that; ``None`` takes the shipped one.
        check_faces: Pictures of each source and class to search for a face; 0 skips the check.
        resamples: Bootstrap resamples of each interval.
        seed: Seed of all randomness.
        threads: Threads that read pictures; 0 for one per core.
        max_pixels: Pictures with more pixels are not decoded.
    """

    suspects: bool = True
    model: Path | None = None
    check_faces: int = 0
    resamples: int = 200
    seed: int = 0
    threads: int = 0
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        for name, least in (
            ("check_faces", 0),
            ("resamples", 20),
            ("threads", 0),
            ("max_pixels", 1),
        ):
            value = getattr(self, name)
            if value < least:
                raise OptionError(f"{name} of an audit must be at least {least}, got {value}")


def no_progress(what: str, items: Iterable[Any], total: int) -> Iterable[Any]:  # noqa: ARG001 - the shape of Watch
    """Return the items without a progress bar."""
    return items
