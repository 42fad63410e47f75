"""Stage one, reading: sources → batches of frames, of bounded size and across files."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from time import perf_counter
from typing import TYPE_CHECKING

from mesoscope.errors.failures import failure
from mesoscope.media.image import Source, open_image, source_name
from mesoscope.media.kinds import CLIP_SUFFIXES
from mesoscope.media.open import open_media
from mesoscope.media.ranged import RangedFile
from mesoscope.media.walk import Unreadable
from mesoscope.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from mesoscope.errors import MesoscopeError
    from mesoscope.media.video import Clip
    from mesoscope.types import DetectOptions

    Opener = Callable[[Source], Frame | Clip]

CHUNK = 8  # sources a thread takes at a time: enough to fill batches across files
GROUP_PIXELS = 16_000_000  # of frames held at once by a thread; a larger frame is held alone


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source that is being read.

    Attributes:
        place: Its place among the sources read together, from 0.
        name: As shown to the user.
        kind: ``image`` or ``clip``; until it is open, what its name says.
        duration_s: Of a clip; ``None`` for a picture.
    """

    place: int
    name: str
    kind: str
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """A frame and the source that it was read from."""

    source: SourceInfo
    frame: Frame


@dataclass(frozen=True, slots=True)
class SourceEnd:
    """A source that was read to its end.

    Attributes:
        source: Which.
        read_s: Seconds that reading and decoding took.
        notes: What reading it had to say.
        error: Why it cannot be read; ``None`` where it can.
    """

    source: SourceInfo
    read_s: float = 0.0
    notes: tuple[str, ...] = ()
    error: MesoscopeError | None = None


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """Frames that are in memory together.

    Attributes:
        frames: Of one source or several, in the order of reading.
        ended: Sources that were read to their end since the batch before.
    """

    frames: tuple[SourceFrame, ...]
    ended: tuple[SourceEnd, ...]


def chunks_of(
    sources: Iterable[Source | Unreadable], size: int, *, least: int = 1, threads: int = 1
) -> Iterator[tuple[Source | Unreadable, ...]]:
    """Cut sources into work for one thread each.

    Towards the end chunks become smaller, so that threads end together: of eight pictures, a thread
    of two would else take all.

    Args:
        sources: Read only as far as needed: a chunk a thread ahead.
        size: So many pictures make a chunk; what is named like a clip is one by itself.
        least: No fewer pictures where there are more: they fill a batch.
        threads: That share the work.
    """
    rest = iter(sources)
    waiting: deque[Source | Unreadable] = deque(islice(rest, threads * size))
    while waiting:
        chunk = [waiting.popleft()]
        if not _named_clip(chunk[0]):
            most = max(least, -(-(len(waiting) + 1) // threads))
            while len(chunk) < most and waiting and not _named_clip(waiting[0]):
                chunk.append(waiting.popleft())
        yield tuple(chunk)
        waiting.extend(islice(rest, threads * size - len(waiting)))


def media_opener(options: DetectOptions, *, clips: bool = True, threads: int = 1) -> Opener:
    """What opens each source for :func:`read_frames`.

    Args:
        options: Which frames of a clip are read, and how large pictures may be.
        clips: ``False`` refuses videos and takes the first picture of an animated one.
        threads: Of a clip's decoder.
    """

    def opened(source: Source) -> Frame | Clip:
        if not clips:
            return open_image(source, max_pixels=options.max_pixels)
        return open_media(
            source,
            frames=options.frames,
            every_s=options.every_s,
            max_pixels=options.max_pixels,
            threads=threads,
        )

    return opened


def read_frames(
    sources: Sequence[Source | Unreadable], opener: Opener, *, batch_size: int = 1
) -> Generator[FrameBatch, None, None]:
    """Read sources one after the other; their frames come out in batches.

    A source that cannot be read, or not to its end, ends with its error.

    Args:
        sources: Pictures and clips.
        opener: Opens each of them.
        batch_size: Crops that are scored in one call: so many frames make a batch at least.

    Yields:
        At most :data:`GROUP_PIXELS` at once, unless one frame alone has more, and at most
        :data:`CHUNK` frames or a batch. Every source ends in one of them.
    """
    most = max(CHUNK, batch_size)
    waiting: list[SourceFrame] = []
    ended: list[SourceEnd] = []
    pixels = 0
    for place, source in enumerate(sources):
        for one in _read_one(place, source, opener):
            if isinstance(one, SourceEnd):
                ended.append(one)
                continue
            if waiting and (len(waiting) == most or pixels + _pixels(one) > GROUP_PIXELS):
                yield FrameBatch(tuple(waiting), tuple(ended))
                waiting, ended, pixels = [], [], 0
            waiting.append(one)
            pixels += _pixels(one)
            if pixels > GROUP_PIXELS:  # it is not to stay while the next one is decoded
                del one
                yield FrameBatch(tuple(waiting), tuple(ended))
                waiting, ended, pixels = [], [], 0
    if waiting or ended:
        yield FrameBatch(tuple(waiting), tuple(ended))


def _read_one(
    place: int, source: Source | Unreadable, opener: Opener
) -> Iterator[SourceFrame | SourceEnd]:
    """The frames of one source, and then its end, whatever goes wrong."""
    if isinstance(source, Unreadable):
        yield SourceEnd(SourceInfo(place, source.path, "image"), error=source.error)
        return
    kind = "clip" if _named_clip(source) else "image"
    info = SourceInfo(place, source_name(source), kind)
    read_s = 0.0
    notes: tuple[str, ...] = ()
    started = perf_counter()
    try:
        opened = opener(source)
        if isinstance(opened, Frame):
            info, read_s = SourceInfo(place, info.name, "image"), perf_counter() - started
            yield SourceFrame(info, opened)
        else:
            info = SourceInfo(place, info.name, "clip", opened.duration_s)
            with opened:
                for frame in opened.frames():
                    read_s += perf_counter() - started
                    yield SourceFrame(info, frame)
                    del frame
                    started = perf_counter()
                notes = opened.notes
    except Exception as error:  # noqa: BLE001 - of whatever library: it is this file's alone
        yield SourceEnd(info, read_s, error=failure(info.name, error))
    else:
        yield SourceEnd(info, read_s, notes)


def _pixels(read: SourceFrame) -> int:
    return read.frame.pixels.size // 3


def _named_clip(source: Source | Unreadable) -> bool:
    if isinstance(source, RangedFile):
        return True
    if not isinstance(source, str | os.PathLike):
        return False
    return PurePath(os.fspath(source)).suffix.lower() in CLIP_SUFFIXES
