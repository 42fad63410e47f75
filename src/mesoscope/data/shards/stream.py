"""Shards read front to back, as disks like it, their pictures mixed on the way.

Which pictures an epoch shows, and how often each, is drawn before; only their order is made here.
The shards are permuted and a few are open at a time, of which runs of neighbours are read in turn;
a buffer holds what was read, and each picture that comes in takes the place of one drawn from it,
which is shown. So a shard is read once an epoch, from its begin to its end, and memory holds the
buffer, however large the set is. The same seed gives the same order.
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
_RUN = 32  # neighbours read from one shard before the next has its turn
_RUNS_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Turns:
    """The order of an epoch, and of the reading behind it.

    Attributes:
        order: ``(n,)`` indices into the samples; device ``d`` of ``k`` shows ``order[d::k]``.
        reads: Of each device, what it reads, in that order: each sample once.
    """

    order: Numbers
    reads: tuple[Numbers, ...]


def require_shards(samples: Sequence[Sample]) -> None:
    """Refuse pictures that are files of their own.

    Raises:
        DatasetError: One is.
    """
    alone = next((s for s in samples if not s.shard), None)
    if alone is not None:
        raise DatasetError(
            f"{alone.file}: lies in no shard, and a stream is read from shards: write some with "
            "mesoscope shards write"
        )


def turns(
    drawn: Numbers,
    samples: Sequence[Sample],
    rng: np.random.Generator,
    *,
    buffer: int = BUFFER,
    together: int = TOGETHER,
    devices: int = 1,
) -> Turns:
    """Order what was drawn for an epoch so that shards are read front to back.

    The shards are shared out among the devices, and so is a rest that makes their shares equal.

    Args:
        drawn: ``(n,)`` indices into ``samples``; one that stands there several times is read once
            and shown as often, within the buffer's reach.
        samples: All of them in shards.
        rng: Decides the order.
        buffer: Pictures that are mixed: the more, the better, and the more memory.
        together: Shards that are read in turn.
        devices: That train together.

    Raises:
        DatasetError: A picture that is in no shard.
        OptionError: ``buffer``, ``together`` or ``devices`` below 1.
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
    return Turns(order, tuple(reads))


def in_turn(samples: Sequence[Sample], turns: Turns, device: int = 0) -> Iterator[Sample]:
    """A device's samples in their order, each holding its bytes.

    Shards are read ahead by a thread of their own.

    Args:
        samples: Those that the turns were made for.
        turns: From :func:`turns`.
        device: Of how many the turns were made for.

    Raises:
        SourceError: A shard that cannot be read, or ends too early.
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
    """All samples of shards once, mixed, each holding its bytes.

    ``open_sample`` and ``sample_bytes`` of :mod:`mesoscope.data.sample` take them as they come.

    Args:
        samples: From :func:`mesoscope.data.manifest.read_dataset`, say those of a split.
        seed: Of the order.
        epoch: Each has an order of its own.
        buffer: Pictures that are mixed, and held.
        together: Shards that are read in turn.
        device: Which share of them, from 0.
        devices: Shares.

    Raises:
        DatasetError: A picture that is in no shard.
        SourceError: A shard that cannot be read.
        OptionError: A number out of range.
    """
    if not 0 <= device < devices:
        raise OptionError(f"device must lie in 0..{devices - 1}, got {device}")
    rng = np.random.default_rng((seed, epoch))
    every = np.arange(len(samples), dtype=np.int64)
    made = turns(every, samples, rng, buffer=buffer, together=together, devices=devices)
    return in_turn(samples, made, device)


def _interleaved(shards: Sequence[list[int]], together: int) -> list[int]:
    """Runs of neighbours, of a few shards in turn; a shard that is through makes room."""
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
    """What comes out of a buffer of so many when each that comes in takes a drawn one's place."""
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
    """``(index, bytes)`` in this order, read ahead in one thread with few files open."""
    runs = [order[i : i + _RUN] for i in range(0, len(order), _RUN)]
    left = Counter(samples[index].shard for index in order)
    with contextlib.closing(_Shards(left)) as shards:

        def read(run: Sequence[int]) -> list[tuple[int, bytes]]:
            return [(index, shards.read(samples[index])) for index in run]

        for found in map_ordered(read, runs, threads=1, depth=_RUNS_AHEAD):
            yield from found


class _Shards:
    """Open tar files, each closed once all that is wanted of it was read."""

    def __init__(self, left: Counter[str]) -> None:
        self._left = left
        self._files: dict[str, BinaryIO] = {}

    def read(self, sample: Sample) -> bytes:
        """The bytes of a picture."""
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
        """Close what is open."""
        for file in self._files.values():
            file.close()
