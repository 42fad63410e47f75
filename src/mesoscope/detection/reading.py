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

CHUNK = 8  # sources per task of a thread, enough to fill batches across files
GROUP_PIXELS = 16_000_000  # most pixels per batch; a larger frame is a batch by itself


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source that is being read.

    Attributes:
        place: Its index among the sources of a task, from 0.
        name: Name for the user.
        kind: ``image`` or ``clip``; before it is opened, by its name.
        duration_s: Duration of a clip; ``None`` for a picture.
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
    """The end of a source.

    Attributes:
        source: The source.
        read_s: Seconds of reading and decoding.
        notes: Notes of reading.
        error: The error of reading; ``None`` without an error.
    """

    source: SourceInfo
    read_s: float = 0.0
    notes: tuple[str, ...] = ()
    error: MesoscopeError | None = None


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """A batch of frames.

    Attributes:
        frames: Frames of one or more sources, in the order of reading.
        ended: Sources that were read completely since the previous batch.
    """

    frames: tuple[SourceFrame, ...]
    ended: tuple[SourceEnd, ...]


def chunks_of(
    sources: Iterable[Source | Unreadable], size: int, *, least: int = 1, threads: int = 1
) -> Iterator[tuple[Source | Unreadable, ...]]:
    """Divide sources into chunks, one per task of a thread.

    The last chunks are smaller, so that all threads finish at about the same time.

    Args:
        sources: Sources, read ahead by a chunk per thread.
        size: Number of pictures in a chunk; a file named like a clip is a chunk by itself.
        least: Smallest number of pictures in a chunk if more are left, to fill a batch.
        threads: Number of threads.
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
    """Return the function that opens sources for :func:`read_frames`.

    Args:
        options: Sampling of clips, and the limit of pixels.
        clips: ``False`` refuses videos and reads the first frame of animated pictures.
        threads: Threads of a clip's decoder.
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
    """Read sources in order, and yield their frames in batches.

    The end of a source has the error if the source cannot be read completely.

    Args:
        sources: Pictures and clips.
        opener: Opens a source.
        batch_size: Number of crops that are scored in one call.

    Yields:
        Batches of at most :data:`GROUP_PIXELS`, except for a single larger frame, and of at most
        :data:`CHUNK` or ``batch_size`` frames. Every source has its end in one of them.
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
            if pixels > GROUP_PIXELS:  # freed before the next one is decoded
                del one
                yield FrameBatch(tuple(waiting), tuple(ended))
                waiting, ended, pixels = [], [], 0
    if waiting or ended:
        yield FrameBatch(tuple(waiting), tuple(ended))


def _read_one(
    place: int, source: Source | Unreadable, opener: Opener
) -> Iterator[SourceFrame | SourceEnd]:
    """Yield the frames of a source, then its end, also after an error."""
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
    except Exception as error:  # noqa: BLE001 - any library's error is of this file only
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
