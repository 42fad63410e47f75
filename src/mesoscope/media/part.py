"""A picture that lies within a larger file, as within a tar, found by where it begins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilePart:
    """Bytes of a file that are a picture by themselves.

    Attributes:
        file: Path of the larger file.
        offset: Where the picture begins, in bytes.
        size: How many bytes it has.
        name: What it goes by in a verdict.
    """

    file: str
    offset: int
    size: int
    name: str
