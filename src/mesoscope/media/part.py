"""A picture inside a larger file, such as a tar archive."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FilePart:
    """A picture as a range of a file's bytes.

    Attributes:
        file: Path of the file.
        offset: Offset of the picture in bytes.
        size: Size of the picture in bytes.
        name: Name in verdicts.
    """

    file: str
    offset: int
    size: int
    name: str
