"""Clips: which of their pictures are looked at, and those pictures one after the other."""

from __future__ import annotations

import contextlib
import io
import math
import os
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import OptionError, SourceError, SourceUnsupported
from mesoscope.media.animation import Animation, pictures_stand
from mesoscope.media.image import open_file, read_on, source_name
from mesoscope.media.kinds import SNIFF_BYTES, demuxer, refused_as, sniff
from mesoscope.types import DEFAULT_MAX_PIXELS, Frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.types import Pixels

    ClipSource = str | os.PathLike[str] | bytes


Times = NDArray[np.float64]
Numbers = NDArray[np.int64]


def choose(times_s: Times, length_s: float, *, frames: int, every_s: float | None) -> Numbers:
    """Choose pictures of a clip: those on show at moments spread over its whole length.

    ``frames`` cuts the length into so many equal parts and takes the middle of each: neither the
    black first picture nor the last, which a cut-off file lacks. ``every_s`` takes the moments 0,
    ``every_s``, twice that and so on, before the end. On show at a moment is the last picture that
    does not begin after it, as a player has it; so a picture that stands for long counts once, and
    pictures come at their own times however uneven these are.

    Args:
        times_s: When each picture begins, ``(n,)``, in seconds from the first, never falling.
        length_s: Until when the last one stands.
        frames: So many moments.
        every_s: One moment every so many seconds in place of ``frames``.

    Returns:
        Numbers of pictures, rising; not more than there are.

    Raises:
        OptionError: ``frames`` below 1, or ``every_s`` not above 0.
    """
    if frames < 1 or (every_s is not None and not 0 < every_s < np.inf):
        raise OptionError(f"frames must be at least 1 and every_s above 0, got {frames}, {every_s}")
    length_s = max(length_s, float(times_s[-1]))
    if every_s is None:
        if len(times_s) <= frames:
            return np.arange(len(times_s))
        moments = (np.arange(frames) + 0.5) * (length_s / frames)
    else:
        # Not more moments than pictures would be kept of them: a step of a nanosecond is no bomb.
        gaps = np.diff(times_s, append=max(length_s, np.nextafter(times_s[-1], np.inf)))
        if every_s <= gaps[gaps > 0].min(initial=np.inf):
            return np.arange(len(times_s))
        # The end itself shows nothing; a length that is rounded up a little is no further moment.
        moments = np.arange(max(1, math.ceil(length_s / every_s - 1e-6))) * every_s
    return np.unique(on_show(times_s, moments.astype(np.float64)))


def on_show(times_s: Times, moments_s: Times) -> Numbers:
    """The picture on show at each moment: the last that does not begin after it, or the first."""
    # A picture's time is rounded in JSON: what begins within a microsecond has begun.
    return np.maximum(np.searchsorted(times_s, moments_s + 1e-6, side="right") - 1, 0)


_LIE_S, _LIE = 1.0, 0.05  # a header may be wrong by so many seconds, or by such a share


class FrameReader(Protocol):
    """Pictures with times: :class:`~mesoscope.media.container.Container`, or an animation."""

    times_s: Times
    length_s: float
    declared_s: float | None
    damaged: list[str]
    remarks: dict[str, None]
    spent: bool

    def pictures(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Decode some pictures; those that cannot be are left out."""
        ...

    def close(self) -> None:
        """Let go of memory."""
        ...


class Clip:
    """An open clip and the pictures chosen of it; use it as a context manager.

    Args:
        name: As shown to the user.
        reel: The clip's pictures.
        numbers: Of those chosen, rising.
        close: Called at the end.

    Attributes:
        name: As shown to the user.
        duration_s: From the first picture's begin to the last one's end, by the pictures' own
            times, whatever the header says.
        numbers: The chosen pictures' numbers within the clip, ``(n,) int64``, from 0.
        times_s: When each of them begins, ``(n,) float64``, in seconds.
    """

    def __init__(
        self, name: str, reel: FrameReader, numbers: Numbers, close: contextlib.ExitStack
    ) -> None:
        self.name = name
        self.duration_s = reel.length_s
        self.numbers = numbers
        self.times_s = reel.times_s[numbers]
        self._reel, self._close = reel, close
        self._lost: list[float] = []

    def frames(self) -> Iterator[Frame]:
        """Decode the chosen pictures in the order of time, each when it is asked for.

        Yields:
            Frames; ``index`` is the picture's number within the clip, ``time_s`` when it begins.
            A picture that cannot be decoded is left out, and :attr:`notes` tells.

        Raises:
            SourceError: Not one of them could be decoded.
        """
        left = dict(zip(self.numbers.tolist(), self.times_s.tolist(), strict=True))
        last_s = 0.0
        for number, pixels in self._reel.pictures(self.numbers.tolist()):
            last_s = left.pop(number)
            yield Frame(pixels, self.name, number, last_s)
            del pixels  # one of 120 megapixels is not to stay while the next one is decoded
        # What lies behind the end of the budget was not tried.
        self._lost = [t for t in left.values() if t < last_s or not self._reel.spent]
        if len(left) == len(self.numbers):
            raise SourceError(f"{self.name}: none of its pictures can be decoded: {self._why()}")

    def _why(self) -> str:
        if self._reel.damaged:
            return self._reel.damaged[0]
        if self._reel.spent:
            return (
                "decoding it ended at its budget before the first of them: take pictures out of "
                "it, with ffmpeg for example"
            )
        return "damaged or truncated"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know; whole once :meth:`frames` has come to its end."""
        notes = []
        declared, length = self._reel.declared_s, self.duration_s
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
        return (*notes, *self._reel.remarks)

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
    """Open a clip and choose pictures of it; none is decoded yet.

    Args:
        source: A path, or a file's bytes: a video, or an animated GIF, PNG or WebP.
        frames: So many, spread evenly, see :func:`mesoscope.media.video.choose`.
        every_s: One every so many seconds in place of ``frames``.
        max_pixels: Refuse pictures with more.
        threads: Of the decoder; 0 = one a core.

    Raises:
        SourceMissing: Nothing lies at the path.
        SourceTooLarge: Larger pictures than ``max_pixels``.
        SourceUnsupported: Sound alone, an unknown codec, or a picture that does not move.
        SourceError: Damaged, cut off, or without pictures.
        OptionError: ``frames`` or ``every_s`` out of range.
    """
    with contextlib.ExitStack() as closing:
        reel = _reel(source, closing, max_pixels=max_pixels, threads=threads)
        numbers = choose(reel.times_s, reel.length_s, frames=frames, every_s=every_s)
        return Clip(source_name(source), reel, numbers, closing.pop_all())


def frames_at(
    source: ClipSource, times_s: Sequence[float], *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> list[Frame]:
    """The pictures of a clip on show at some moments, such as the ``time_s`` of faces.

    Args:
        source: As for :func:`open_clip`.
        times_s: Moments in seconds, in any order; two may ask for the same picture.
        max_pixels: Refuse pictures with more.

    Returns:
        One frame a moment, in their order; moments whose picture cannot be decoded are left out.
        All are in memory at once.

    Raises:
        SourceError: As :func:`open_clip`.
    """
    with contextlib.ExitStack() as closing:
        reel = _reel(source, closing, max_pixels=max_pixels, threads=0)
        asked = on_show(reel.times_s, np.asarray(times_s, np.float64))
        with Clip(source_name(source), reel, np.unique(asked), closing.pop_all()) as clip:
            found = {frame.index: frame for frame in clip.frames()} if len(asked) else {}
    return [found[number] for number in asked.tolist() if number in found]


def _reel(
    source: ClipSource, closing: contextlib.ExitStack, *, max_pixels: int, threads: int
) -> FrameReader:
    name = source_name(source)
    if isinstance(source, bytes):
        file: BinaryIO = io.BytesIO(source)
    else:
        file = closing.enter_context(open_file(source))
    head = file.read(SNIFF_BYTES) or b""
    kind = sniff(head)
    if kind == "video":
        from mesoscope.media.container import Container  # with PyAV, only for videos

        reel: FrameReader = Container(
            file, demuxer(head) or "mov", name, max_pixels=max_pixels, threads=threads
        )
        closing.callback(reel.close)
        return reel
    if kind is None:
        words = refused_as(head) or "not a clip, whatever its name says"
        raise SourceUnsupported(f"{name}: {words}")
    data = head + (file.read() if isinstance(source, bytes) else read_on(file, name, max_pixels))
    stands_s = pictures_stand(data, kind)
    if len(stands_s) < 2:
        raise SourceUnsupported(f"{name}: a picture that does not move: give a clip")
    return Animation(data, kind, name, stands_s, max_pixels=max_pixels)
