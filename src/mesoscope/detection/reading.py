"""Sources → frames, a few at a time: pictures by the handful, clips frame by frame."""

from __future__ import annotations

import os
from collections import deque
from itertools import islice
from pathlib import PurePath
from time import perf_counter
from typing import TYPE_CHECKING

from mesoscope.detection.record import Gathered
from mesoscope.errors.failures import failure
from mesoscope.media.image import Source, open_image, source_name
from mesoscope.media.kinds import CLIP_SUFFIXES
from mesoscope.media.open import open_media
from mesoscope.media.walk import Unreadable
from mesoscope.types import Frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mesoscope.types import DetectOptions

    Group = list[tuple[Gathered, Frame]]

CHUNK = 8  # sources a thread takes at a time: enough to fill batches across files
GROUP_PIXELS = 16_000_000  # of frames held at once by a thread; a larger frame is held alone


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


def groups_of(
    sources: Sequence[Source | Unreadable],
    items: list[Gathered],
    options: DetectOptions,
    *,
    clips: bool = True,
    threads: int = 1,
) -> Iterator[Group]:
    """Read sources; their frames come out in groups of a bounded size.

    Args:
        sources: Pictures and clips.
        items: One is added for each source when its turn comes; a failure is kept in it.
        options: What of a clip is looked at, and how large pictures may be.
        clips: ``False`` refuses videos and takes the first picture of an animated one.
        threads: Of a clip's decoder.

    Yields:
        Frames with the item that each belongs to: at most :data:`GROUP_PIXELS` of them unless one
        frame alone has more, and at most a handful or a batch.
    """
    most = max(CHUNK, options.batch_size)
    group: Group = []
    pixels = 0
    for source in sources:
        item = Gathered(*_name_and_kind(source))
        items.append(item)
        for frame in _frames(source, item, options, clips=clips, threads=threads):
            if item.error is not None:  # of a clip: one of its frames could not be judged
                break
            size = frame.pixels.size // 3
            if group and (len(group) == most or pixels + size > GROUP_PIXELS):
                yield group
                group, pixels = [], 0
            group.append((item, frame))
            pixels += size
    if group:
        yield group


def _frames(
    source: Source | Unreadable,
    item: Gathered,
    options: DetectOptions,
    *,
    clips: bool,
    threads: int,
) -> Iterator[Frame]:
    if isinstance(source, Unreadable):
        item.error = source.error
        return
    started = perf_counter()
    try:
        opened = (
            open_media(
                source,
                frames=options.frames,
                every_s=options.every_s,
                max_pixels=options.max_pixels,
                threads=threads,
            )
            if clips
            else open_image(source, max_pixels=options.max_pixels)
        )
        if isinstance(opened, Frame):
            item.kind, item.read_s = "image", perf_counter() - started
            yield opened
            return
        item.kind, item.duration_s = "clip", opened.duration_s
        with opened:
            for frame in opened.frames():
                item.read_s += perf_counter() - started
                yield frame
                started = perf_counter()
            item.notes = opened.notes
    except Exception as error:  # noqa: BLE001 - of whatever library: it is this file's alone
        item.error = failure(item.name, error)


def _name_and_kind(source: Source | Unreadable) -> tuple[str, str]:
    """What a source is called, and what it seems to be until it is opened."""
    if isinstance(source, Unreadable):
        return source.path, "image"
    return source_name(source), "clip" if _named_clip(source) else "image"


def _named_clip(source: Source | Unreadable) -> bool:
    if not isinstance(source, str | os.PathLike):
        return False
    return PurePath(os.fspath(source)).suffix.lower() in CLIP_SUFFIXES
