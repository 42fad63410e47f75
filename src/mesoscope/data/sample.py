"""One labelled picture, access to its pixels, and balanced subsets of a data set."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import DatasetError
from mesoscope.errors.failures import failure
from mesoscope.media.image import FileBytes, open_image, read_bytes
from mesoscope.media.part import FilePart
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.types import DEFAULT_MAX_PIXELS
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.errors import MesoscopeError
    from mesoscope.types import Pixels

SPLITS = ("train", "validation", "test")
LABELS = {name: label for label, name in enumerate(CLASSES)}
SPLIT_NAMES = {"train": "train", "validation": "validation", "val": "validation",
               "valid": "validation", "test": "test"}  # fmt: skip


@dataclass(frozen=True, slots=True, init=False)
class Sample:
    """One labelled picture.

    Millions are in memory at once, so a path is stored as text and converted on request.

    Attributes:
        file: Its path; for a picture in a shard, the shard and its name there.
        label: 1 = fake, 0 = real.
        source: The set it comes from.
        group: Unit that must not be split: a source video, a person, a parent picture. Unique to
            the picture where nothing is known.
        split: ``train``, ``validation`` or ``test``.
        sha256: Digest of the picture's file, empty if unknown.
        method: Method of forgery by the set's name; empty if unknown, and for reals.
        shard: Tar file that holds it; empty for a separate file.
        offset: Its offset in the shard, in bytes.
        size: Its size in the shard, in bytes.
        held: Bytes of its file, if read already, as from a stream; else ``None``.
    """

    file: str
    label: int
    source: str
    group: str
    split: str
    sha256: str
    method: str
    shard: str
    offset: int
    size: int
    held: bytes | None = field(compare=False, repr=False)

    def __init__(
        self,
        file: str | os.PathLike[str],
        label: int,
        source: str,
        group: str,
        split: str,
        sha256: str = "",
        method: str = "",
        shard: str = "",
        offset: int = 0,
        size: int = 0,
        held: bytes | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "file", os.fspath(file))
        put(self, "label", label)
        put(self, "source", source)
        put(self, "group", group)
        put(self, "split", split)
        put(self, "sha256", sha256)
        put(self, "method", method)
        put(self, "shard", shard)
        put(self, "offset", offset)
        put(self, "size", size)
        put(self, "held", held)

    @property
    def path(self) -> Path:
        """Its path; for a picture in a shard, the shard and its name there."""
        return Path(self.file)

    @property
    def picture(self) -> str | bytes | FilePart:
        """Return the argument for :func:`mesoscope.media.image.open_image` and detectors."""
        if self.held is not None:
            return FileBytes.of(self.file, self.held)
        if self.shard:
            return FilePart(self.shard, self.offset, self.size, self.file)
        return self.file

    def among(self, source: str, group: str) -> Sample:
        """Return a copy with another source and group."""
        return replace(self, source=source, group=group)


def open_sample(sample: Sample, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Pixels:
    """Read a sample's picture, ``(H, W, 3) uint8`` RGB, upright.

    Raises:
        SourceError: The picture is not readable, see :func:`mesoscope.media.image.open_image`.
    """
    return open_image(sample.picture, max_pixels=max_pixels).pixels


def sample_bytes(sample: Sample, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> bytes:
    """Read a sample's file without decoding it.

    Raises:
        SourceError: The file is not readable, or no picture.
    """
    picture = sample.picture
    return picture if isinstance(picture, bytes) else read_bytes(picture, max_pixels=max_pixels)


def checked_sha256(sample: Sample, data: bytes) -> str:
    """Return the SHA-256 of a sample's bytes, in hexadecimal.

    Raises:
        DatasetError: The manifest has another digest.
    """
    found = hashlib.sha256(data).hexdigest()
    if sample.sha256 and sample.sha256.lower() != found:
        raise DatasetError(
            f"{sample.file}: is not the file that the manifest means, its SHA-256 begins "
            f"{found[:8]} and not {sample.sha256[:8]}: fetch it again, or renew the manifest"
        )
    return found


LIMIT = 100  # pictures of a source and class: minutes on two cores for six sources


def subset(samples: Sequence[Sample], *, limit: int = LIMIT, seed: int = 0) -> list[Sample]:
    """Draw at most ``limit`` pictures of each source and class.

    Every group (a video, a person) is drawn once before any is drawn twice. The order mixes sources
    and classes evenly, so that any prefix represents the whole when the work is interrupted.

    Args:
        samples: Labelled pictures.
        limit: Pictures of each source and class; 0 = all.
        seed: Seed of the draw.
    """
    strata: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in samples:
        strata[sample.source, sample.label].append(sample)
    placed = []
    for number, (_, members) in enumerate(sorted(strata.items(), key=lambda item: item[0])):
        rng = np.random.default_rng((seed, number))
        shuffled = [members[i] for i in rng.permutation(len(members))]
        seen: Counter[str] = Counter()
        rounds = []
        for sample in shuffled:
            rounds.append(seen[sample.group])
            seen[sample.group] += 1
        order = np.argsort(rounds, kind="stable")[: limit or None]
        placed += [((k + 0.5) / len(order), number, shuffled[i]) for k, i in enumerate(order)]
    return [sample for _, _, sample in sorted(placed, key=lambda one: one[:2])]


def subset_of_splits(
    samples: Sequence[Sample], *, limit: int = LIMIT, seed: int = 0
) -> list[Sample]:
    """Draw at most ``limit`` pictures of each source, split and class, keeping their order.

    Args:
        samples: Labelled pictures.
        limit: Pictures of each source, split and class; 0 = all.
        seed: Seed of the draw.
    """
    kept: set[int] = set()
    for split in {sample.split for sample in samples}:
        of_split = [sample for sample in samples if sample.split == split]
        kept |= {id(sample) for sample in subset(of_split, limit=limit, seed=seed)}
    return [sample for sample in samples if id(sample) in kept]


def split_of(samples: Sequence[Sample], split: str, roots: Sequence[Path]) -> list[Sample]:
    """Select the samples of a split, or of all for ``all``; samples without a split always count.

    Args:
        samples: Samples of data sets.
        split: ``train``, ``validation``, ``test`` or ``all``.
        roots: The data sets, for messages.

    Raises:
        DatasetError: There is none; the message names the existing splits.
    """
    found = [sample for sample in samples if split == "all" or sample.split in (split, "")]
    if not found:
        splits = Counter(sample.split for sample in samples)
        there = ", ".join(f"{name} ({count:,})" for name, count in splits.items())
        where = ", ".join(str(root) for root in roots)
        raise DatasetError(
            f"{where}: no pictures in {split}: there are {there}: choose with `split`"
        )
    return found


def verify_samples(samples: Sequence[Sample]) -> Iterator[MesoscopeError | None]:
    """Read every picture, in a shard or not, and compare its SHA-256 with the manifest's.

    Args:
        samples: Samples of a data set.

    Yields:
        The error of each sample in order, ``None`` if it has none. Without a SHA-256 in the
        manifest only readability is checked.
    """

    def check(sample: Sample) -> MesoscopeError | None:
        try:
            checked_sha256(sample, sample_bytes(sample))
        except Exception as error:  # noqa: BLE001 - one picture does not end the run
            return failure(sample.file, error)
        return None

    yield from map_ordered(check, samples, threads=cores())
