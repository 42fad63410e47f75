"""Video files by PyAV: demuxing for the time of every frame, then decoding of selected frames.

The demuxer is chosen by the file's first bytes, and FFmpeg reads through an open file object, so no
file can make it open other files or network addresses.
"""

from __future__ import annotations

import contextlib
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO

import av
from av.codec.context import ThreadType
from av.error import FFmpegError

from mesoscope.errors import MesoscopeError, SourceError, SourceTooLarge
from mesoscope.errors.failures import cause
from mesoscope.media.budget import ClipBudget
from mesoscope.media.declared import check_declared
from mesoscope.media.ranged import BlankFile
from mesoscope.media.timetable import Reader, Timetable, shown_of, shown_stream, unreadable, up_to
from mesoscope.media.upright import rgb_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from mesoscope.media.video import Times
    from mesoscope.types import Pixels

    Opened = BinaryIO | BlankFile
    Placed = Iterator[tuple[int, Packet[VideoStream]]]

_FAR_BYTES = 4 << 20  # nearer frames are reached by reading on, without a seek
_MOST_PIXELS = 2**31 - 1  # maximum of FFmpeg's option
_MOST_PACKETS = 10_000_000  # per clip: two days at 60 frames per second
_TRANSFERS = {16: "PQ", 18: "HLG"}  # ITU-T H.273, table 3
_INTRA = (0, 1, 5, 7)  # picture types without references, and the unknown type


class Container:
    """An open video file.

    All packets are demuxed once, without decoding, as headers can be wrong. Then frames are decoded
    from the key frame before each selected frame. Key frames in between are seeked to, and
    non-reference frames are skipped.

    Args:
        file: Open file; not closed. Of a ``BlankFile``, packets near selected frames are read.
        demuxer: FFmpeg's demuxer, see :func:`mesoscope.media.kinds.demuxer`.
        name: Name in messages.
        max_pixels: Maximum number of pixels per frame.
        threads: Number of decoder threads; 0 = one per core.

    Attributes:
        times_s: Start of each frame, ``(n,) float64``, in seconds from the first.
        length_s: End of the last frame.
        declared_s: Duration in the header; ``None`` if missing.
        damaged: Reasons why frames could not be decoded.
        remarks: Notes for the user, besides damage.

    Raises:
        SourceUnsupported: There is no video stream, or the codec is not supported.
        SourceTooLarge: The header declares larger frames.
        SourceError: The file is damaged, truncated before its index, or has no frame.
    """

    def __init__(
        self, file: Opened, demuxer: str, name: str, *, max_pixels: int, threads: int = 1
    ) -> None:
        self._name, self._max_pixels, self._threads = name, max_pixels, threads
        self._file, self._demuxer = Reader(file), demuxer
        self._close = contextlib.ExitStack()
        self.damaged: list[str] = []
        self.remarks: dict[str, None] = {}  # an ordered set
        self._budget = ClipBudget(0)
        try:
            if demuxer == "mov":
                check_declared(file, name)
            if isinstance(file, BlankFile):
                self._read_blank_packets(file)
            else:
                self._open()
                self._read_packets()
        except BaseException as error:
            self.close()
            if isinstance(error, MesoscopeError) or not isinstance(error, Exception):
                raise
            raise unreadable(name, error) from error

    @property
    def spent(self) -> bool:
        """Whether decoding ended because of its budget."""
        return bool(self._budget.exceeded)

    def close(self) -> None:
        """Free the decoder's memory."""
        self._close.close()

    def _open(self, *, flags: str = "") -> None:
        self._file.seek(0)
        self._file.fruitless = -(1 << 28)  # FFmpeg may read so much to find the streams
        opened = self._file.demuxed(self._demuxer, self._name, flags=flags)
        self._container: InputContainer = self._close.enter_context(opened)
        self._file.fruitless = 0
        self._stream: VideoStream = shown_stream(self._container, self._name, self.remarks)
        decoder = self._stream.codec_context
        self._check_size(decoder.width, decoder.height)
        # The size may change within a clip.
        decoder.options = {"max_pixels": str(min(self._max_pixels, _MOST_PIXELS))}
        decoder.thread_count = self._threads
        decoder.thread_type = ThreadType.NONE if self._threads == 1 else ThreadType.AUTO

    def _read_packets(self) -> None:
        unit = float(self._stream.time_base or 0)
        self._table = table = Timetable(islice(self._packets(), _MOST_PACKETS), unit)
        self._at = len(table.stamps)  # position of the demuxer, in packets
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
        # AVI has times of packets but not of frames, and raw streams have none: frames are counted.
        untimed = self._demuxer == "avi" or table.untimed
        self._counted = untimed and bool(self._stream.codec_context.has_b_frames)

    def _read_blank_packets(self, file: BlankFile) -> None:
        """Read the packets' times and sizes from the index alone, with zeros for their bytes."""
        self._open(flags="noparse")  # a parser would look for key frames in the bytes
        file.blank = True
        self._read_packets()
        file.blank = False
        self._close.close()  # FFmpeg has zeros in its buffer
        self._open()
        self._at = 0

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the stream's packets in file order, up to the first error."""
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
        """Decode frames, one in memory at a time.

        Args:
            numbers: Indices of frames in presentation order, increasing.

        Yields:
            Index and ``(H, W, 3) uint8`` RGB, upright and with square pixels. Frames that cannot be
            decoded, and frames that depend on them, are left out and noted in :attr:`damaged`. The
            budget of decoded pixels and of time ends the iteration, noted in :attr:`remarks`.
        """
        self._budget = ClipBudget(len(numbers), self._threads)
        chosen = self._by_counting(numbers) if self._counted else self._by_seeking(numbers)
        try:
            for number, pixels in chosen:
                with self._budget.paused():
                    yield number, pixels
                del pixels  # frees the memory before the next frame is decoded
            if self._budget.exceeded:
                self.remarks[
                    f"its pictures {self._budget.exceeded}: decoding ended at its budget, and "
                    "what was read was judged"
                ] = None
        except MesoscopeError:
            raise
        except Exception as error:
            raise unreadable(self._name, error) from error

    def _by_seeking(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        places = [int(self._table.order[number]) for number in numbers]
        at = self._at
        runs = self._table.runs(places)
        while runs:
            first, last = runs.pop(0)
            wanted = {int(self._table.shown[p]) for p in places if first <= p <= last}
            packets = self._packets_from(first, at)
            at = last + 1
            valid = first == 0 or bool(self.damaged)
            leading = int(self._table.shown[first]) if first else -1
            for frame in self._decoded(packets, last, wanted):
                number = shown_of(frame) or 0
                if number < leading:  # a leading frame, with references before the key frame
                    continue
                # A packet marked as a key frame may not be one: check the first decoded frame.
                if not valid and (number > min(wanted) or not self._is_intra(frame)):
                    break
                valid = True
                if number in wanted:
                    wanted.discard(number)
                    if (pixels := self._rgb(frame)) is not None:
                        yield number, pixels
                        del pixels
            if self._budget.exceeded:
                return
            if not valid:
                # Decode all frames from the start to the last wanted one.
                places = [place for place in places if place >= first]
                runs, at = [(0, max(places))], len(self._table.stamps)

    def _is_intra(self, frame: VideoFrame) -> bool:
        """Return whether a frame has no references, as far as its decoder tells."""
        # Some encoders mark all packets as key frames, and some decoders tell no picture type.
        if not frame.pict_type and self._table.keys.all():
            return bool(self._stream.codec_context.codec.intra_only)
        return frame.pict_type in _INTRA

    def _packets_from(self, first: int, at: int) -> Placed:
        """Yield packets from an index on, given the demuxer's current position."""
        behind = at > first
        if behind or self._table.ends[first] - self._table.ends[max(at - 1, 0)] > _FAR_BYTES:
            stamp = int(self._table.stamps[first])
            with contextlib.suppress(FFmpegError, OSError, ValueError, OverflowError):
                self._container.seek(stamp, stream=self._stream, backward=True)
                packets = self._packets()
                packet = self._table.read_on(packets, first, self._budget.late)
                if packet is not None:
                    yield first, packet
                    yield from enumerate(packets, first + 1)
                    return
            self._close.close()
            self._open()
            at = 0
        for place, packet in enumerate(self._packets(), at):
            if place >= first:
                yield place, packet
            elif self._budget.late():
                return

    def _decoded(self, packets: Placed, last: int, wanted: set[int]) -> Iterator[VideoFrame]:
        """Yield the frames of one run, without damaged frames and frames that depend on them."""
        decoder = self._stream.codec_context
        spoilt: list[tuple[int, float]] = []  # ranges of frames
        for place, packet in chain(up_to(packets, last), [(last, None)]):
            if self._budget.late():
                return
            shown = int(self._table.shown[place])
            if packet is not None:
                # Non-reference frames are decoded only if wanted. Except of AV1, which can show
                # such frames later, and whose decoder would never output them.
                decode = shown in wanted or decoder.name in ("av1", "libdav1d")
                decoder.skip_frame = "DEFAULT" if decode else "NONREF"
                # Timestamps are replaced by indices, as timestamps can repeat or be missing.
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
                if self._budget.take(frame.width * frame.height):
                    return
        decoder.flush_buffers()

    def _by_counting(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Decode and count all frames, up to the last wanted one or the first error."""
        self._close.close()
        self._open()
        decoder, shown, wanted = self._stream.codec_context, 0, set(numbers)
        for packet in chain(self._packets(), [None]):
            if self._budget.late():
                return
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
                    del pixels
                shown += 1
                if shown > numbers[-1] or self._budget.take(frame.width * frame.height):
                    return

    def _rgb(self, frame: VideoFrame) -> Pixels | None:
        """Convert a frame to ``(H, W, 3) uint8`` RGB; ``None`` if it fails or is too large."""
        if frame.interlaced_frame:
            self.remarks["its pictures are interlaced: what moves has combed edges"] = None
        if (name := _TRANSFERS.get(int(frame.color_trc))) is not None:
            how = "brought to the range of ordinary ones" if name == "PQ" else "shown as stored"
            self.remarks[f"its pictures are of high dynamic range ({name}), {how}"] = None
        try:
            self._check_size(frame.width, frame.height)  # the size may change within a clip
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
