"""Clips: sampling of frames, and iteration over the sampled frames."""

from __future__ import annotations

import contextlib
import io
import math
import os
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import OptionError, SourceError, SourceUnsupported
from mesoscope.errors.failures import cause
from mesoscope.media.animation import Animation, frame_durations
from mesoscope.media.image import open_file, read_on, source_name
from mesoscope.media.kinds import SNIFF_BYTES, demuxer, refused_as, sniff
from mesoscope.media.ranged import BlankFile, RangedFile, media_range
from mesoscope.types import DEFAULT_MAX_PIXELS, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.types import Pixels

    ClipSource = str | os.PathLike[str] | bytes | RangedFile


Times = NDArray[np.float64]
Numbers = NDArray[np.int64]


def choose(times_s: Times, length_s: float, *, frames: int, every_s: float | None) -> Numbers:
    """Sample frames of a clip at evenly spaced times.

    ``frames`` divides the duration into equal parts and takes the centre of each, which avoids a
    black first frame, and the last one, which truncated files lack. ``every_s`` takes the times 0,
    ``every_s``, ``2 · every_s``, …. The frame at a time is the last one that starts before, as in
    a player. So frame rates may vary, and a frame that is shown for long is sampled once.

    Args:
        times_s: Start of each frame, ``(n,)``, in seconds from the first, not decreasing.
        length_s: End of the last frame.
        frames: Number of times.
        every_s: Interval of times in seconds, instead of ``frames``.

    Returns:
        Unique indices of frames, increasing.

    Raises:
        OptionError: ``frames`` is below 1, or ``every_s`` is not positive.
    """
    if frames < 1 or (every_s is not None and not 0 < every_s < np.inf):
        raise OptionError(f"frames must be at least 1 and every_s above 0, got {frames}, {every_s}")
    length_s = max(length_s, float(times_s[-1]))
    if every_s is None:
        if len(times_s) <= frames:
            return np.arange(len(times_s))
        moments = (np.arange(frames) + 0.5) * (length_s / frames)
    else:
        # Bounds the number of times for tiny intervals.
        gaps = np.diff(times_s, append=max(length_s, np.nextafter(times_s[-1], np.inf)))
        if every_s <= gaps[gaps > 0].min(initial=np.inf):
            return np.arange(len(times_s))
        # The end is exclusive, with a tolerance for a rounded duration.
        moments = np.arange(max(1, math.ceil(length_s / every_s - 1e-6))) * every_s
    return np.unique(on_show(times_s, moments.astype(np.float64)))


def on_show(times_s: Times, moments_s: Times) -> Numbers:
    """Return the index of the frame at each time: the last that starts before, or the first."""
    # With a tolerance of a microsecond, as times are rounded in JSON.
    return np.maximum(np.searchsorted(times_s, moments_s + 1e-6, side="right") - 1, 0)


_LIE_S, _LIE = 1.0, 0.05  # tolerance of a header's duration: absolute and relative


class FrameReader(Protocol):
    """Frames with times: :class:`~mesoscope.media.container.Container`, or an animation."""

    times_s: Times
    length_s: float
    declared_s: float | None
    damaged: list[str]
    remarks: dict[str, None]

    @property
    def spent(self) -> bool:
        """Whether decoding ended because of its budget."""
        ...

    def pictures(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Decode frames; those that cannot be decoded are left out."""
        ...

    def close(self) -> None:
        """Free memory."""
        ...


class Clip:
    """An open clip and its sampled frames; a context manager.

    Args:
        name: Name in messages.
        reader: The clip's frames.
        numbers: Indices of the sampled frames, increasing.
        close: Closed with the clip.

    Attributes:
        name: Name in messages.
        duration_s: Duration by the frames' times, whatever the header declares.
        numbers: Indices of the sampled frames, ``(n,) int64``.
        times_s: Start of each sampled frame, ``(n,) float64``, in seconds.
    """

    def __init__(
        self, name: str, reader: FrameReader, numbers: Numbers, close: contextlib.ExitStack
    ) -> None:
        self.name = name
        self.duration_s = reader.length_s
        self.numbers = numbers
        self.times_s = reader.times_s[numbers]
        self._reader, self._close = reader, close
        self._lost: list[float] = []

    def frames(self) -> Iterator[Frame]:
        """Decode the sampled frames lazily, in temporal order.

        Yields:
            Frames with ``index`` in the clip and start ``time_s``. Frames that cannot be decoded
            are left out and mentioned in :attr:`notes`.

        Raises:
            SourceError: No frame could be decoded.
        """
        left = dict(zip(self.numbers.tolist(), self.times_s.tolist(), strict=True))
        last_s = 0.0
        for number, pixels in self._reader.pictures(self.numbers.tolist()):
            last_s = left.pop(number)
            yield Frame(pixels, self.name, number, last_s)
            del pixels  # frees the memory before the next frame is decoded
        # Frames after the end of the budget were not tried.
        self._lost = [t for t in left.values() if t < last_s or not self._reader.spent]
        if len(left) == len(self.numbers):
            raise SourceError(f"{self.name}: none of its pictures can be decoded: {self._reason()}")

    def _reason(self) -> str:
        if self._reader.damaged:
            return self._reader.damaged[0]
        if self._reader.spent:
            return (
                "decoding it ended at its budget before the first of them: take pictures out of "
                "it, with ffmpeg for example"
            )
        return "damaged or truncated: fetch it again"

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user; complete after the end of :meth:`frames`."""
        notes = []
        declared, length = self._reader.declared_s, self.duration_s
        if declared is not None and abs(declared - length) > max(_LIE_S, _LIE * length):
            notes.append(
                f"its header says {declared:.1f} s and its pictures end at {length:.1f} s: "
                "what is there was judged"
            )
        if self._lost:
            notes.append(
                f"{len(self._lost)} of {len(self.numbers)} pictures could not be decoded, between "
                f"{min(self._lost):.1f} and {max(self._lost):.1f} s: the file is damaged there"
            )
        return (*notes, *self._reader.remarks)

    def close(self) -> None:
        """Close the file."""
        self._close.close()

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_clip(
    source: ClipSource,
    *,
    frames: int = 32,
    every_s: float | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    threads: int = 1,
) -> Clip:
    """Open a clip and sample its frames, without decoding.

    Args:
        source: A path, or a file's bytes: a video, or an animated GIF, PNG or WebP. A video may
            be read by ranges.
        frames: Number of evenly spaced frames, see :func:`mesoscope.media.video.choose`.
        every_s: Interval of frames in seconds, instead of ``frames``.
        max_pixels: Maximum number of pixels per frame.
        threads: Number of decoder threads; 0 = one per core.

    Raises:
        SourceMissing: The file does not exist.
        SourceTooLarge: Frames have more pixels than ``max_pixels``.
        SourceUnsupported: There is no video stream, the codec is not supported, or a picture is
            not animated.
        SourceError: The file is damaged, truncated, or has no frame.
        OptionError: ``frames`` or ``every_s`` is out of range.
    """
    with contextlib.ExitStack() as closing:
        reader = _reader(source, closing, max_pixels=max_pixels, threads=threads)
        numbers = choose(reader.times_s, reader.length_s, frames=frames, every_s=every_s)
        return Clip(source_name(source), reader, numbers, closing.pop_all())


def frames_at(
    source: ClipSource, times_s: Sequence[float], *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> list[Frame]:
    """Decode the frames of a clip at given times, such as the ``time_s`` of faces.

    Args:
        source: As for :func:`open_clip`.
        times_s: Times in seconds, in any order.
        max_pixels: Maximum number of pixels per frame.

    Returns:
        One frame per time, in the given order, without frames that cannot be decoded. All are in
        memory at once.

    Raises:
        SourceError: As for :func:`open_clip`.
    """
    with contextlib.ExitStack() as closing:
        reader = _reader(source, closing, max_pixels=max_pixels, threads=0)
        numbers = on_show(reader.times_s, np.asarray(times_s, np.float64))
        with Clip(source_name(source), reader, np.unique(numbers), closing.pop_all()) as clip:
            found = {frame.index: frame for frame in clip.frames()} if len(numbers) else {}
    return [found[number] for number in numbers.tolist() if number in found]


def _reader(
    source: ClipSource, closing: contextlib.ExitStack, *, max_pixels: int, threads: int
) -> FrameReader:
    name = source_name(source)
    if isinstance(source, RangedFile):
        return _ranged_reader(source, closing, max_pixels=max_pixels, threads=threads)
    if isinstance(source, bytes):
        file: BinaryIO = io.BytesIO(source)
    else:
        file = closing.enter_context(open_file(source))
    head = file.read(SNIFF_BYTES) or b""
    kind = sniff(head)
    if kind == "video":
        from mesoscope.media.container import Container  # imports PyAV, only for videos

        reader: FrameReader = Container(
            file, demuxer(head) or "mov", name, max_pixels=max_pixels, threads=threads
        )
        closing.callback(reader.close)
        return reader
    if kind is None:
        words = refused_as(head) or "not a clip, whatever its name says"
        raise SourceUnsupported(f"{name}: {words}")
    data = head + (file.read() if isinstance(source, bytes) else read_on(file, name, max_pixels))
    durations_s = frame_durations(data, kind)
    if len(durations_s) < 2:
        raise SourceUnsupported(f"{name}: a picture that is not animated: give a clip")
    return Animation(data, kind, name, durations_s, max_pixels=max_pixels)


def _ranged_reader(
    source: RangedFile, closing: contextlib.ExitStack, *, max_pixels: int, threads: int
) -> FrameReader:
    from mesoscope.media.container import Container

    try:
        file = closing.enter_context(source.open())
        found = media_range(file)
    except (OSError, ValueError) as error:
        raise SourceError(f"{source.name}: cannot be opened: {cause(error)}") from error
    if found is None:
        raise SourceUnsupported(
            f"{source.name}: cannot be read by ranges: its index does not stand apart from its "
            "pictures"
        )
    reader = Container(
        BlankFile(file, *found), "mov", source.name, max_pixels=max_pixels, threads=threads
    )
    closing.callback(reader.close)
    return reader
