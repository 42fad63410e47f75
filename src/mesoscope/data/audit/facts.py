"""What the files say of themselves, a column a fact: filled in one pass over the pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mesoscope.data.manifest import Sample

Codes = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Category:
    """A fact that takes one of some values.

    Attributes:
        codes: ``(n,)``, a number into ``values``; -1 where the fact is not there.
        values: In words.
    """

    codes: Codes
    values: tuple[str, ...]

    def of(self, number: int) -> str:
        """The value of one picture; empty where the fact is not there."""
        code = int(self.codes[number])
        return self.values[code] if code >= 0 else ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All pictures' facts; row ``i`` of each column is ``samples[i]``.

    Attributes:
        samples: What was read.
        labels: ``(n,)``, 1 = fake, 0 = real.
        sources: The sets they come from.
        splits: ``train``, ``validation`` and ``test``.
        groups: ``(n,)``, a number a group; groups of two sources are never one.
        names: ``(n,)``, each picture's path as findings name it.
        categories: By name, such as ``format``.
        numbers: ``(n,) float32`` by name, such as ``width``; ``nan`` where the fact is not there.
        sha256: ``(n, 32) uint8``; zeros where the file could not be read.
        hashes: ``(n, 2) uint64``: perceptual, of the picture and of its mirror image.
        thumbnails: ``(n, 16, 16) uint8``, grey.
        unreadable: Why, by row.
    """

    samples: tuple[Sample, ...]
    labels: NDArray[np.int8]
    sources: Category
    splits: Category
    groups: Codes
    names: tuple[str, ...]
    categories: dict[str, Category]
    numbers: dict[str, Floats]
    sha256: NDArray[np.uint8]
    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]
    unreadable: dict[int, str] = field(default_factory=dict)
