"""Read shards sequentially, with shuffled output.

The pictures of an epoch are drawn before; this module only orders them. The shards are permuted and
a few are open at a time; runs of neighbours are read from them in turn. Each picture read replaces
a random one in a shuffle buffer, which is yielded. So a shard is read once per epoch, front to
back, and memory holds the buffer only. The same seed gives the same order.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import DatasetError, OptionError, SourceError
from mesoscope.errors.failures import cause
from mesoscope.runtime.threads import map_ordered

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    from mesoscope.data.sample import Sample

    Numbers = NDArray[np.int64]

BUFFER = 4096  # pictures: 80 MB of JPEGs of 256×256
TOGETHER = 8  # shards open at a time
_RUN = 32  # neighbours read from one shard before switching to the next
_RUNS_AHEAD = 8


@dataclass(frozen=True, slots=True)
class ShardOrder:
    """Order of an epoch, and of its reads.

    Attributes:
        order: ``(n,)`` indices into the samples; device ``d`` of ``k`` gets ``order[d::k]``.
        reads: Read order of each device: each sample once.
    """

    order: Numbers
    reads: tuple[Numbers, ...]


def require_shards(samples: Sequence[Sample]) -> None:
    """Refuse pictures outside of shards.

    Raises:
        DatasetError: A picture lies in no shard.
    """
    alone = next((s for s in samples if not s.shard), None)
    if alone is not None:
        raise DatasetError(
            f"{alone.file}: lies in no shard, and a stream is read from shards: write some with "
            "mesoscope shards write"
        )


def shard_order(
    drawn: Numbers,
    samples: Sequence[Sample],
    rng: np.random.Generator,
    *,
    buffer: int = BUFFER,
    together: int = TOGETHER,
    devices: int = 1,
) -> ShardOrder:
    """Order the samples drawn for an epoch so that shards are read front to back.

    The shards are divided among the devices, with a remainder that makes their shares equal.

    Args:
        drawn: ``(n,)`` indices into ``samples``; a repeated one is read once and yielded
            repeatedly, within the buffer's reach.
        samples: Samples, all of them in shards.
        rng: Source of the order.
        buffer: Size of the shuffle buffer in pictures.
        together: Shards open at a time.
        devices: Number of devices that train together.

    Raises:
        DatasetError: A picture lies in no shard.
        OptionError: ``buffer``, ``together`` or ``devices`` is below 1.
    """
    for name, value in (("buffer", buffer), ("together", together), ("devices", devices)):
        if value < 1:
            raise OptionError(f"{name} must be at least 1, got {value}")
    require_shards(samples)
    wanted, times = np.unique(np.asarray(drawn, np.int64), return_counts=True)
    copies = dict(zip(wanted.tolist(), times.tolist(), strict=True))
    shards: dict[str, list[int]] = defaultdict(list)
    for index in wanted.tolist():
        shards[samples[index].shard].append(index)
    names = sorted(shards)
    shuffled = [sorted(shards[names[i]], key=lambda j: samples[j].offset)
                for i in rng.permutation(len(names))]  # fmt: skip
    read = [_interleaved(shuffled[d::devices], together) for d in range(devices)]
    shown = [_mixed([i for i in one for _ in range(copies[i])], buffer, rng) for one in read]
    quotas = [len(range(d, len(drawn), devices)) for d in range(devices)]
    moved = [i for one, quota in zip(shown, quotas, strict=True) for i in one[quota:]]
    rest = iter(sorted(moved, key=lambda i: (samples[i].shard, samples[i].offset)))
    order = np.empty(len(drawn), np.int64)
    reads = []
    for device, (mine, quota) in enumerate(zip(shown, quotas, strict=True)):
        added = list(islice(rest, max(0, quota - len(mine))))
        order[device::devices] = mine[:quota] + added
        kept = set(mine[:quota])
        own = [i for i in read[device] if i in kept]
        reads.append(
            np.array([*own, *(i for i in dict.fromkeys(added) if i not in kept)], np.int64)
        )
    return ShardOrder(order, tuple(reads))


def read_in_order(
    samples: Sequence[Sample], turns: ShardOrder, device: int = 0
) -> Iterator[Sample]:
    """Yield a device's samples in order, each holding its bytes.

    A thread reads the shards ahead.

    Args:
        samples: The samples that were ordered.
        turns: Order from :func:`shard_order`.
        device: Index of the device.

    Raises:
        SourceError: A shard is not readable, or truncated.
    """
    devices = len(turns.reads)
    shown = turns.order[device::devices].tolist()
    left: dict[int, int] = defaultdict(int)
    for index in shown:
        left[index] += 1
    held: dict[int, Sample] = {}
    reading = _read(samples, turns.reads[device].tolist())
    with contextlib.closing(reading):
        for index in shown:
            while index not in held:
                number, data = next(reading)
                held[number] = replace(samples[number], held=data)
            yield held[index]
            left[index] -= 1
            if not left[index]:
                del held[index]


def stream(
    samples: Sequence[Sample],
    *,
    seed: int = 1,
    epoch: int = 0,
    buffer: int = BUFFER,
    together: int = TOGETHER,
    device: int = 0,
    devices: int = 1,
) -> Iterator[Sample]:
    """Yield all samples of shards once, shuffled, each holding its bytes.

    Works with ``open_sample`` and ``sample_bytes`` of :mod:`mesoscope.data.sample`.

    Args:
        samples: Samples from :func:`mesoscope.data.manifest.read_dataset`, for example of one
            split.
        seed: Seed of the order.
        epoch: Number of the epoch; each has its own order.
        buffer: Size of the shuffle buffer in pictures.
        together: Shards open at a time.
        device: Index of the device, from 0.
        devices: Number of devices.

    Raises:
        DatasetError: A picture lies in no shard.
        SourceError: A shard is not readable.
        OptionError: A number is out of range.
    """
    if not 0 <= device < devices:
        raise OptionError(f"device must lie in 0..{devices - 1}, got {device}")
    rng = np.random.default_rng((seed, epoch))
    every = np.arange(len(samples), dtype=np.int64)
    made = shard_order(every, samples, rng, buffer=buffer, together=together, devices=devices)
    return read_in_order(samples, made, device)


def _interleaved(shards: Sequence[list[int]], together: int) -> list[int]:
    """Interleave runs of neighbours from a few shards; finished shards are replaced."""
    waiting = iter(shards)
    opened = [iter(shard) for shard in islice(waiting, together)]
    found: list[int] = []
    place = 0
    while opened:
        run = list(islice(opened[place], _RUN))
        found += run
        if len(run) < _RUN:
            following = next(waiting, None)
            if following is None:
                del opened[place]
                place -= 1
            else:
                opened[place] = iter(following)
        place = (place + 1) % len(opened) if opened else 0
    return found


def _mixed(items: Sequence[int], buffer: int, rng: np.random.Generator) -> list[int]:
    """Return the output order of a shuffle buffer."""
    held = list(items[:buffer])
    places = rng.integers(len(held) or 1, size=max(0, len(items) - len(held))).tolist()
    shown = []
    for item, place in zip(items[buffer:], places, strict=True):
        shown.append(held[place])
        held[place] = item
    return shown + [held[i] for i in rng.permutation(len(held))]


def _read(
    samples: Sequence[Sample], order: Sequence[int]
) -> Generator[tuple[int, bytes], None, None]:
    """Yield ``(index, bytes)`` in this order, read ahead in one thread with few open files."""
    runs = [order[i : i + _RUN] for i in range(0, len(order), _RUN)]
    left = Counter(samples[index].shard for index in order)
    with contextlib.closing(_Shards(left)) as shards:

        def read(run: Sequence[int]) -> list[tuple[int, bytes]]:
            return [(index, shards.read(samples[index])) for index in run]

        for found in map_ordered(read, runs, threads=1, depth=_RUNS_AHEAD):
            yield from found


class _Shards:
    """Open tar files, each closed after its last read."""

    def __init__(self, left: Counter[str]) -> None:
        self._left = left
        self._files: dict[str, BinaryIO] = {}

    def read(self, sample: Sample) -> bytes:
        """Return the bytes of a picture."""
        shard = sample.shard
        try:
            if shard not in self._files:
                self._files[shard] = Path(shard).open("rb")  # noqa: SIM115 - closed below
            file = self._files[shard]
            file.seek(sample.offset)
            data = file.read(sample.size)
        except OSError as error:
            raise SourceError(f"{shard}: cannot be read: {cause(error)}") from error
        if len(data) < sample.size:
            raise SourceError(f"{sample.file}: its shard ends within it: fetch that again")
        self._left[shard] -= 1
        if not self._left[shard]:
            self._files.pop(shard).close()
        return data

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()
