"""Video files by PyAV: every picture's time first, then the pictures that are asked for.

FFmpeg is told what kind of file it reads, told by the file's first bytes, and reads it through an
open file: nothing in a file makes it open another one or a network address.
"""

from __future__ import annotations

import contextlib
import math
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

import av
import cv2
import numpy as np
from av.codec.context import ThreadType
from av.error import FFmpegError
from av.stream import Disposition

from mesoscope.errors import SourceError, SourceTooLarge, SourceUnsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from mesoscope.media.sampling import Times
    from mesoscope.types import Pixels

    Placed = Iterator[tuple[int, Packet[VideoStream]]]

_BUFFER_BYTES = 1 << 18
_FAR_BYTES = 4 << 20  # nearer pictures are reached by reading on, without a seek
_NEARLY = 0.02
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class Container:
    """An open video file.

    The packets are read through once, undecoded, since headers lie and only packets know how long
    the clip is and when each picture begins. Then pictures are decoded from the key picture before
    each one that is wanted; key pictures in between are jumped to, and pictures that nothing hangs
    on are not decoded.

    Args:
        file: Open file; the container does not close it.
        demuxer: FFmpeg's name of the kind, see :func:`mesoscope.media.kinds.demuxer`.
        name: As shown to the user.
        max_pixels: Refuse clips whose pictures have more.
        threads: Of the decoder; 0 = one a core.

    Attributes:
        times_s: When each picture begins, ``(n,) float64``, in seconds from the first.
        length_s: Until when the last picture stands.
        declared_s: How long the header says it is; ``None`` where it does not.
        damaged: Why pictures could not be decoded, one reason each time.

    Raises:
        SourceUnsupported: No pictures in it, or a codec that is not read.
        SourceTooLarge: The header tells of larger pictures.
        SourceError: Damaged, cut off before its index, or without a single picture.
    """

    def __init__(
        self, file: BinaryIO, demuxer: str, name: str, *, max_pixels: int, threads: int = 1
    ) -> None:
        self._name, self._max_pixels, self._threads = name, max_pixels, threads
        self._file, self._demuxer = file, demuxer
        self._close = contextlib.ExitStack()
        self.damaged: list[str] = []
        self._open()
        try:
            self._read_packets()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the decoder's memory."""
        self._close.close()

    def _open(self) -> None:
        self._file.seek(0)
        try:
            self._container: InputContainer = self._close.enter_context(
                av.open(
                    self._file,
                    format=self._demuxer,
                    buffer_size=_BUFFER_BYTES,
                    metadata_errors="replace",
                )
            )
        except (FFmpegError, ValueError, OSError) as error:
            raise SourceError(
                f"{self._name}: not a whole clip, its index cannot be read ({_why(error)}): the "
                "recording was not finished, or the file is cut off or damaged"
            ) from error
        streams = [
            s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic
        ]
        if not streams:
            raise SourceUnsupported(f"{self._name}: a clip without pictures, only sound or text")
        self._stream: VideoStream = streams[0]
        if self._stream.codec_context is None:
            raise SourceUnsupported(
                f"{self._name}: its pictures are in a codec that is not read: convert it to H.264"
            )
        for other in self._container.streams:
            if other.index != self._stream.index:
                other.discard = "all"
        decoder = self._stream.codec_context
        self._check_size(decoder.width, decoder.height)
        decoder.thread_count = self._threads
        decoder.thread_type = ThreadType.NONE if self._threads == 1 else ThreadType.AUTO

    def _read_packets(self) -> None:
        """Times, key pictures and sizes of all packets."""
        stamps: list[int] = []
        keys, sizes, kept, last_s = [], [], [], 0.0
        unit = float(self._stream.time_base or 0)
        for packet in self._packets():
            stamp = _stamp(packet)
            if stamp is None:
                stamp = stamps[-1] + 1 if stamps else 0
            stamps.append(stamp)
            keys.append(packet.is_keyframe)
            sizes.append(packet.size)
            kept.append(not packet.is_discard)  # cut away by an edit list, but others hang on it
            last_s = float(packet.duration or 0) * unit
        if not any(kept):
            raise SourceError(f"{self._name}: a clip without a single picture: fetch it again")
        self._stamps = np.array(stamps, np.int64)  # (n,) in the order of the file
        self._keys = np.array(keys, bool)
        self._ends = np.cumsum(sizes)
        places = np.flatnonzero(kept)
        # Shown → file. Of several at one moment, which bad clocks give, the first stands for all:
        # a moment is what pictures are known by once they are decoded.
        self._order = places[np.unique(self._stamps[places], return_index=True)[1]]
        self.times_s: Times = (self._stamps[self._order] - self._stamps[self._order[0]]) * unit
        step = float(np.median(np.diff(self.times_s))) if len(self._order) > 1 else 0.0
        self.length_s = float(self.times_s[-1]) + (last_s or step)
        declared, whole = self._stream.duration, self._container.duration
        self.declared_s = (
            float(declared) * unit if declared else whole / av.time_base if whole else None
        )
        # AVI keeps no times of pictures, only of packets: those that come out are counted.
        self._counted = self._demuxer == "avi" and bool(self._stream.codec_context.has_b_frames)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Those of the stream from here on, in the order of the file, up to where it breaks off."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (FFmpegError, OSError, ValueError) as error:
                self.damaged.append(_why(error))
                return
            if packet is None:
                return
            if packet.size:
                yield packet

    def pictures(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Decode some pictures, one in memory at a time.

        Args:
            numbers: Of pictures in the order in which they are shown, from 0, rising.

        Yields:
            Number and ``(H, W, 3) uint8`` RGB, turned upright and of square pixels. A picture that
            cannot be decoded, or hangs on one that cannot, is left out, and :attr:`damaged` grows.
        """
        if self._counted:
            yield from self._by_counting(numbers)
            return
        places = [int(self._order[number]) for number in numbers]
        wanted = {int(self._stamps[p]): n for p, n in zip(places, numbers, strict=True)}
        at = len(self._stamps)  # the reading of the packets has gone to the end
        for first, last in self._runs(places):
            packets = self._packets_from(first, at)
            at = last + 1
            for frame in self._decoded(packets, last, wanted):
                number = wanted.pop(_shown(frame) or 0, None)
                if number is not None and (pixels := self._rgb(frame)) is not None:
                    yield number, pixels

    def _runs(self, places: Sequence[int]) -> list[tuple[int, int]]:
        """Stretches of packets to decode: each from a key picture to the last one wanted in it."""
        keys = np.flatnonzero(self._keys)
        stretches = []
        for place in places:
            # The key picture must be shown before it, too: leading pictures hang on the one before.
            before = keys[(keys <= place) & (self._stamps[keys] <= self._stamps[place])]
            stretches.append((int(before[-1]) if len(before) else 0, place))
        runs: list[tuple[int, int]] = []
        for first, place in sorted(stretches):
            if runs and first <= runs[-1][1] + 1:
                runs[-1] = (runs[-1][0], max(place, runs[-1][1]))
            else:
                runs.append((first, place))
        return runs

    def _packets_from(self, first: int, at: int) -> Placed:
        """Packets from a place on, when the reading stands at another one."""
        behind = at > first
        if behind or self._ends[first] - self._ends[max(at - 1, 0)] > _FAR_BYTES:
            stamp = int(self._stamps[first])
            with contextlib.suppress(FFmpegError, OSError, ValueError):
                self._container.seek(stamp, stream=self._stream, backward=True)
                packets = self._packets()
                for packet in packets:
                    found = np.flatnonzero(self._stamps == _stamp(packet))
                    if len(found) != 1 or found[0] > first:
                        break  # the file's own index leads astray
                    if found[0] == first:
                        yield first, packet
                        yield from enumerate(packets, first + 1)
                        return
            self._close.close()
            self._open()
            at = 0
        for place, packet in enumerate(self._packets(), at):
            if place >= first:
                yield place, packet

    def _decoded(self, packets: Placed, last: int, wanted: dict[int, int]) -> Iterator[VideoFrame]:
        """Whole frames of one run; those that hang on a damaged one are left out."""
        decoder = self._stream.codec_context
        spoilt: list[tuple[float, float]] = []  # from which stamp on, up to which
        for place, packet in chain(_up_to(packets, last), [(last, None)]):
            if packet is not None:
                # A picture that no other hangs on is decoded only if it is asked for.
                asked = int(self._stamps[place]) in wanted
                decoder.skip_frame = "DEFAULT" if asked else "NONREF"
            try:
                frames = decoder.decode(packet)
            except (FFmpegError, ValueError) as error:
                self.damaged.append(_why(error))
                spoilt.append(self._spoilt(int(self._stamps[place])))
                continue
            for frame in frames:
                shown = _shown(frame)
                if frame.is_corrupt and shown is not None:
                    self.damaged.append("damaged data")
                    spoilt.append(self._spoilt(shown))
                if shown is not None and not any(a <= shown < b for a, b in spoilt):
                    yield frame
        decoder.flush_buffers()

    def _spoilt(self, stamp: int) -> tuple[float, float]:
        """Which pictures a damaged one takes along: all up to the next key picture."""
        later = self._stamps[self._keys & (self._stamps > stamp)]
        return stamp, float(later.min()) if len(later) else math.inf

    def _by_counting(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Every picture decoded and counted, up to the last one wanted or to the first damage."""
        self._close.close()
        self._open()
        decoder, shown, wanted = self._stream.codec_context, 0, set(numbers)
        for packet in chain(self._packets(), [None]):
            try:
                frames = decoder.decode(packet)
            except (FFmpegError, ValueError) as error:
                self.damaged.append(_why(error))
                return
            for frame in frames:
                if shown in wanted and (pixels := self._rgb(frame)) is not None:
                    yield shown, pixels
                shown += 1
                if shown > numbers[-1]:
                    return

    def _rgb(self, frame: VideoFrame) -> Pixels | None:
        """``(H, W, 3) uint8`` RGB, upright, of square pixels; ``None`` for one over the limit."""
        try:
            self._check_size(frame.width, frame.height)  # it may change within a clip
            pixels = self._square(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
        except (SourceTooLarge, FFmpegError, ValueError) as error:
            self.damaged.append(_why(error))
            return None
        turn = _TURNS.get(round(frame.rotation) % 360)
        return np.asarray(pixels if turn is None else cv2.rotate(pixels, turn), np.uint8)

    def _square(self, pixels: Pixels) -> Pixels:
        """Pictures of DVDs, tapes and some cameras have pixels that are wider or narrower."""
        ratio = float(self._stream.sample_aspect_ratio or 1)
        if abs(ratio - 1) < _NEARLY or not 0.2 < ratio < 5:  # rounding, or a header of nonsense
            return pixels
        height, width = pixels.shape[:2]
        if ratio > 1:
            width = round(width * ratio)
        else:
            height = round(height / ratio)
        self._check_size(width, height)
        return np.asarray(cv2.resize(pixels, (width, height)), np.uint8)

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise SourceTooLarge(
                f"{self._name}: its pictures of {width}×{height} are over the limit of "
                f"{self._max_pixels / 1e6:.0f} megapixels: raise it with --max-pixels if you trust "
                "the file"
            )


def _up_to(packets: Placed, last: int) -> Placed:
    for place, packet in packets:
        yield place, packet
        if place >= last:
            return


def _stamp(packet: Packet[VideoStream]) -> int | None:
    return packet.dts if packet.pts is None else packet.pts


def _shown(frame: VideoFrame) -> int | None:
    return frame.dts if frame.pts is None else frame.pts


def _why(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
