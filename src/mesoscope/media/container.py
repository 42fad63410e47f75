"""Video files by PyAV: every picture's time first, then the pictures that are asked for.

FFmpeg is told what kind of file it reads, told by the file's first bytes, and reads it through an
open file: nothing in a file makes it open another one or a network address.
"""

from __future__ import annotations

import contextlib
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO

import av
import numpy as np
from av.codec.context import ThreadType
from av.error import FFmpegError

from mesoscope.errors import MesoscopeError, SourceError, SourceTooLarge
from mesoscope.errors.failures import cause
from mesoscope.media.declared import check_declared
from mesoscope.media.timetable import (
    Reader,
    Timetable,
    shown_of,
    shown_stream,
    stamp_of,
    unreadable,
    up_to,
)
from mesoscope.media.upright import rgb_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from mesoscope.media.video import Times
    from mesoscope.types import Pixels

    Placed = Iterator[tuple[int, Packet[VideoStream]]]

_BUFFER_BYTES = 1 << 18
_FAR_BYTES = 4 << 20  # nearer pictures are reached by reading on, without a seek
_PIXELS_BESIDE = 20_000_000_000  # that are decoded of one clip whatever is asked of it,
_PIXELS_EACH = 3_000_000_000  # and for each picture asked for: 1,500 in full HD, a minute's
_MOST_PIXELS = 2**31 - 1  # that FFmpeg takes as a limit
_MOST_PACKETS = 10_000_000  # that are read of a clip: two days at 60 a second
_TRANSFERS = {16: "PQ", 18: "HLG"}  # ITU-T H.273, table 3
_WHOLE = (0, 1, 5, 7)  # types of pictures that hang on no other, or of which none is told


class Container:
    """An open video file.

    The packets are read through once, undecoded, as headers lie. Then pictures are decoded from the
    key picture before each one that is wanted; key pictures in between are jumped to, and pictures
    that nothing hangs on are not decoded.

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
        remarks: What a user should know of the pictures, beside damage.
        spent: The budget of decoding has ended the reading.

    Raises:
        SourceUnsupported: No pictures in it, or a codec that is not read.
        SourceTooLarge: The header tells of larger pictures.
        SourceError: Damaged, cut off before its index, or without a single picture.
    """

    def __init__(
        self, file: BinaryIO, demuxer: str, name: str, *, max_pixels: int, threads: int = 1
    ) -> None:
        self._name, self._max_pixels, self._threads = name, max_pixels, threads
        self._file, self._demuxer = Reader(file), demuxer
        self._close = contextlib.ExitStack()
        self.damaged: list[str] = []
        self.remarks: dict[str, None] = {}  # in their order, each once
        self.spent = False
        self._budget_px = 0
        try:
            if demuxer == "mov":
                check_declared(file, name)
            self._open()
            self._read_packets()
        except BaseException as error:
            self.close()
            if isinstance(error, MesoscopeError) or not isinstance(error, Exception):
                raise
            raise unreadable(name, error) from error

    def close(self) -> None:
        """Let go of the decoder's memory."""
        self._close.close()

    def _open(self) -> None:
        self._file.seek(0)
        self._file.fruitless = -(1 << 28)  # what FFmpeg looks through to know the streams
        try:
            self._container: InputContainer = self._close.enter_context(
                av.open(
                    self._file,
                    format=self._demuxer,
                    buffer_size=_BUFFER_BYTES,
                    metadata_errors="replace",
                )
            )
        except MemoryError:
            raise
        except Exception as error:
            raise SourceError(
                f"{self._name}: not a whole clip, its index cannot be read ({cause(error)}): the "
                "recording was not finished, or the file is cut off or damaged"
            ) from error
        self._file.fruitless = 0
        self._stream: VideoStream = shown_stream(self._container, self._name, self.remarks)
        decoder = self._stream.codec_context
        self._check_size(decoder.width, decoder.height)
        decoder.options = {
            "max_pixels": str(min(self._max_pixels, _MOST_PIXELS))
        }  # it may change within a clip
        decoder.thread_count = self._threads
        decoder.thread_type = ThreadType.NONE if self._threads == 1 else ThreadType.AUTO

    def _read_packets(self) -> None:
        unit = float(self._stream.time_base or 0)
        self._table = table = Timetable(islice(self._packets(), _MOST_PACKETS), unit)
        if len(table.stamps) == _MOST_PACKETS:
            self.remarks[
                f"it holds over {_MOST_PACKETS:,} pictures: what comes after them was not read"
            ] = None
        if not len(table.order):
            raise SourceError(f"{self._name}: a clip without a single picture: fetch it again")
        self.times_s: Times = table.times_s
        self.length_s = table.length_s
        declared, length = self._stream.duration, self._container.duration
        self.declared_s = (
            float(declared) * unit if declared else length / av.time_base if length else None
        )
        # AVI keeps no times of pictures, only of packets, and raw streams none: those that come
        # out are counted.
        untimed = self._demuxer == "avi" or table.untimed
        self._counted = untimed and bool(self._stream.codec_context.has_b_frames)

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Those of the stream from here on, in the order of the file, up to where it breaks off."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - a damaged file makes PyAV raise any of a dozen
                self.damaged.append(cause(error))
                return
            if packet is None:
                return
            self._file.fruitless = 0
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
        self._budget_px = _PIXELS_BESIDE + _PIXELS_EACH * len(numbers)
        chosen = self._by_counting(numbers) if self._counted else self._by_seeking(numbers)
        try:
            yield from chosen
        except MesoscopeError:
            raise
        except Exception as error:
            raise unreadable(self._name, error) from error

    def _by_seeking(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        places = [int(self._table.order[number]) for number in numbers]
        at = len(self._table.stamps)  # the reading of the packets has gone to the end
        runs = self._table.runs(places)
        while runs:
            first, last = runs.pop(0)
            wanted = {int(self._table.shown[p]) for p in places if first <= p <= last}
            packets = self._packets_from(first, at)
            at = last + 1
            begun = first == 0 or bool(self.damaged)
            leading = int(self._table.shown[first]) if first else -1
            for frame in self._decoded(packets, last, wanted):
                number = shown_of(frame) or 0
                if number < leading:  # shown before the key picture, and hangs on one before it
                    continue
                # What is marked as a key picture may be none: it shows by what comes first.
                if not begun and (number > min(wanted) or frame.pict_type not in _WHOLE):
                    break
                begun = True
                if number in wanted:
                    wanted.discard(number)
                    if (pixels := self._rgb(frame)) is not None:
                        yield number, pixels
            if self._budget_px < 0:
                return
            if not begun:
                # Only decoding through is right, from the begin to the last one wanted.
                places = [place for place in places if place >= first]
                runs, at = [(0, max(places))], len(self._table.stamps)

    def _packets_from(self, first: int, at: int) -> Placed:
        """Packets from a place on, when the reading stands at another one."""
        behind = at > first
        if behind or self._table.ends[first] - self._table.ends[max(at - 1, 0)] > _FAR_BYTES:
            stamp = int(self._table.stamps[first])
            with contextlib.suppress(FFmpegError, OSError, ValueError, OverflowError):
                self._container.seek(stamp, stream=self._stream, backward=True)
                packets = self._packets()
                for packet in packets:
                    found = np.flatnonzero(self._table.stamps == stamp_of(packet))
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

    def _decoded(self, packets: Placed, last: int, wanted: set[int]) -> Iterator[VideoFrame]:
        """Whole frames of one run; those that hang on a damaged one are left out."""
        decoder = self._stream.codec_context
        spoilt: list[tuple[int, float]] = []  # from which picture on, up to which
        for place, packet in chain(up_to(packets, last), [(last, None)]):
            shown = int(self._table.shown[place])
            if packet is not None:
                # A picture that no other hangs on is decoded only if it is asked for.
                # AV1 shows such pictures later, and their decoder would leave them out for good.
                whole = shown in wanted or decoder.name in ("av1", "libdav1d")
                decoder.skip_frame = "DEFAULT" if whole else "NONREF"
                # A frame is known by its number: times of bad clocks repeat, or are missing.
                packet.pts, packet.dts = shown, place
            try:
                frames = decoder.decode(packet)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                self.damaged.append(cause(error))
                spoilt.append(self._table.spoilt(shown))
                continue
            for frame in frames:
                number = shown_of(frame)
                if frame.is_corrupt and number is not None:
                    self.damaged.append("damaged data")
                    spoilt.append(self._table.spoilt(number))
                if number is not None and not any(a <= number < b for a, b in spoilt):
                    yield frame
                if self._spent(frame):
                    return
        decoder.flush_buffers()

    def _spent(self, frame: VideoFrame) -> bool:
        """Whether the budget of decoded pixels is at its end with this frame."""
        self._budget_px -= frame.width * frame.height
        if self._budget_px < 0:
            self.spent = True
            self.remarks[
                "its pictures take too long to reach, as key pictures are too far apart: decoding "
                "ended at its budget, and what was read was judged"
            ] = None
        return self._budget_px < 0

    def _by_counting(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Every picture decoded and counted, up to the last one wanted or to the first damage."""
        self._close.close()
        self._open()
        decoder, shown, wanted = self._stream.codec_context, 0, set(numbers)
        for packet in chain(self._packets(), [None]):
            try:
                frames = decoder.decode(packet)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                self.damaged.append(cause(error))
                return
            for frame in frames:
                if shown in wanted and (pixels := self._rgb(frame)) is not None:
                    yield shown, pixels
                shown += 1
                if shown > numbers[-1] or self._spent(frame):
                    return

    def _rgb(self, frame: VideoFrame) -> Pixels | None:
        """``(H, W, 3) uint8`` RGB, upright, of square pixels; ``None`` for one over the limit."""
        if frame.interlaced_frame:
            self.remarks["its pictures are interlaced: what moves has combed edges"] = None
        if (name := _TRANSFERS.get(int(frame.color_trc))) is not None:
            how = "brought to the range of ordinary ones" if name == "PQ" else "shown as stored"
            self.remarks[f"its pictures are of high dynamic range ({name}), {how}"] = None
        try:
            self._check_size(frame.width, frame.height)  # it may change within a clip
            ratio = float(self._stream.sample_aspect_ratio or 1)
            return rgb_of(frame, ratio, self._check_size)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self.damaged.append(cause(error))
            return None

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise SourceTooLarge(
                f"{self._name}: its pictures of {width}×{height} are over the limit of "
                f"{self._max_pixels / 1e6:.0f} megapixels: raise it with `max_pixels` if you trust "
                "the file"
            )
