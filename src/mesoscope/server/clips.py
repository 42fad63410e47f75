"""A file on disk that is judged where it lies, under the name that its caller gave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip, or whatever was sent as one: too large to hold in memory.

    Attributes:
        path: Where it lies.
        name: What its caller calls it.
    """

    path: Path
    name: str

    def source(self) -> Path:
        """Where it lies: it is not read into memory."""
        return self.path
