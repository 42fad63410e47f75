"""What an audit looks at, and how long it may take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesoscope.errors import OptionError
from mesoscope.types import DEFAULT_MAX_PIXELS

# Wraps each long part for a progress bar: what is done, its items, how many → the same items.
Watch = Callable[[str, Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What to look at.

    Attributes:
        suspects: Look for wrong labels: a model scores every picture.
        model: The model file that does; ``None`` takes the shipped one.
        check_faces: Look for a face in so many pictures of each source and class; 0 leaves it out.
        resamples: Of each interval.
        seed: Of all that is drawn.
        threads: That read pictures; 0 takes as many as there are cores.
        max_pixels: Pictures with more are not decoded.
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


def unwatched(what: str, items: Iterable[Any], total: int) -> Iterable[Any]:  # noqa: ARG001 - the shape of Watch
    """Watches nothing."""
    return items
