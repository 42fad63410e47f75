"""The selected video stream of a file, and the times and order of its frames."""

from __future__ import annotations

import contextlib
import math
from array import array
from typing import TYPE_CHECKING, BinaryIO

import av
import numpy as np
from av.stream import Discard, Disposition

from mesoscope.errors import SourceError, SourceNoMemory, SourceUnsupported
from mesoscope.errors.failures import cause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from mesoscope.media.ranged import BlankFile
    from mesoscope.media.video import Times


_BUFFER_BYTES = 1 << 18
_FRUITLESS_BYTES = 128 << 20
_BESIDE = Disposition.attached_pic | Disposition.timed_thumbnails  # covers and chapter thumbnails


def shown_stream(container: InputContainer, name: str, remarks: dict[str, None]) -> VideoStream:
    """Select the default video stream, or the one with the largest frames; discard the others.

    Args:
        container: The open file.
        name: Name in messages.
        remarks: A note is added if there are several streams.

    Raises:
        SourceUnsupported: There is no video stream, or no codec is supported.
    """
    streams = [s for s in container.streams.video if not s.disposition & _BESIDE]
    if not streams:
        raise SourceUnsupported(f"{name}: a clip without pictures, only sound or text")
    known = [s for s in streams if s.codec_context is not None]
    if not known:
        raise SourceUnsupported(
            f"{name}: its pictures are in a codec that is not read: convert it to H.264"
        )
    best = max(known, key=_rank)
    if len(streams) > 1:
        decoder = best.codec_context
        remarks[
            f"it holds {len(streams)} streams of pictures: number {streams.index(best) + 1} was "
            f"judged, of {decoder.width}×{decoder.height}"
        ] = None
    for other in container.streams:
        if other.index != best.index:
            # If a stream cannot be discarded, its packets are read and ignored.
            with contextlib.suppress(Exception):
                other.discard = Discard.all
    return best


def _rank(stream: VideoStream) -> tuple[bool, int, int]:
    decoder = stream.codec_context
    default = bool(stream.disposition & Disposition.default)
    return default, decoder.width * decoder.height, -stream.index


class Reader:
    """A file wrapper that ends after many bytes without a packet, as in a sparse file.

    Args:
        file: Open file; it is not closed.

    Attributes:
        fruitless: Bytes read since the last packet; the caller resets it to 0.
    """

    def __init__(self, file: BinaryIO | BlankFile) -> None:
        self._file = file
        self.fruitless = 0

    def read(self, size: int = -1) -> bytes:
        """Read bytes; none after the limit."""
        if self.fruitless > _FRUITLESS_BYTES:
            return b""
        data = self._file.read(size)
        self.fruitless += len(data)
        return data

    def seek(self, to: int, whence: int = 0) -> int:
        """Seek in the file."""
        return self._file.seek(to, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._file.tell()

    def demuxed(self, demuxer: str, name: str, *, flags: str = "") -> InputContainer:
        """Open it with one of FFmpeg's demuxers.

        Args:
            demuxer: Its name.
            name: Name in messages.
            flags: FFmpeg's ``fflags``.

        Raises:
            SourceError: The file's index is missing or damaged.
        """
        try:
            return av.open(
                self,
                mode="r",
                format=demuxer,
                buffer_size=_BUFFER_BYTES,
                metadata_errors="replace",
                options={"fflags": flags} if flags else None,
            )
        except MemoryError:
            raise
        except Exception as error:
            raise SourceError(
                f"{name}: not a whole clip, its index cannot be read ({cause(error)}): the "
                "recording was not finished, or the file is cut off or damaged"
            ) from error


def unreadable(name: str, error: Exception) -> SourceError:
    """Convert an exception of PyAV or FFmpeg to an error of the file."""
    if isinstance(error, MemoryError):
        return SourceNoMemory(
            f"{name}: not enough memory to decode it: try again with fewer `jobs`"
        )
    return SourceError(f"{name}: damaged, it cannot be decoded: {cause(error)}")


class Timetable:
    """Packets in file order, and frames in presentation order.

    Args:
        packets: All packets of the stream, undecoded.
        unit: Time base of the stream in seconds.

    Attributes:
        stamps: Timestamps in file order, ``(n,) int64``.
        keys: Whether each packet is a key frame, ``(n,) bool``.
        ends: Cumulative size of the packets in bytes, ``(n,) int64``.
        shown: Presentation index of each packet's frame, ``(n,) int64``; negative or beyond the
            last index for frames that an edit list removes.
        order: File index of each presented frame's packet, ``(m,) int64``.
        times_s: Start of each frame, ``(m,) float64``, in seconds from the first.
        length_s: End of the last frame.
        untimed: Whether most packets have no presentation time.
    """

    def __init__(self, packets: Iterable[Packet[VideoStream]], unit: float) -> None:
        stamps, begins = array("q"), array("q")
        keys, kept, sizes = bytearray(), bytearray(), array("q")
        last, missing, before, shift = 0, 0, None, 0
        for packet in packets:
            stamp = stamp_of(packet)
            missing += packet.pts is None
            if stamp is None:
                stamp = stamps[-1] + 1 if stamps else 0
            last = packet.duration or 0
            if packet.dts is not None:
                if before is not None and packet.dts < before:
                    # Timestamps restart where two recordings were joined: shift the later ones.
                    shift += before - packet.dts + (last or 1)
                before = packet.dts
            stamps.append(stamp)
            begins.append(stamp + shift)
            keys.append(packet.is_keyframe)
            sizes.append(packet.size)
            kept.append(not packet.is_discard)
        self.stamps = np.array(stamps, np.int64)
        self.keys = np.array(keys, bool)
        self.ends = np.cumsum(np.array(sizes, np.int64))
        self.untimed = 2 * missing > len(stamps)
        self._number(np.array(begins, np.int64), np.array(kept, bool))
        self.times_s: Times = np.zeros(0)
        self.length_s = 0.0
        if len(self.order):
            ticks = np.array(begins, np.int64)[self.order]
            self.times_s = (ticks - ticks[0]) * unit
            step = float(np.median(np.diff(self.times_s))) if len(ticks) > 1 else 0.0
            self.length_s = float(self.times_s[-1]) + (last * unit or step)

    def _number(self, begins: np.ndarray, kept: np.ndarray) -> None:
        order = np.argsort(begins, kind="stable")
        shown = kept[order]
        self.order = order[shown]
        self.shown = np.empty(len(order), np.int64)
        self.shown[order] = np.where(shown, np.cumsum(shown) - 1, 0)
        if len(self.order):
            cut = order[~shown]
            count = np.arange(len(cut))
            early = begins[cut] < begins[self.order[0]]
            self.shown[cut] = np.where(early, count - len(cut), len(self.order) + count)

    def runs(self, places: Sequence[int]) -> list[tuple[int, int]]:
        """Return the runs of packets to decode, each from a key frame to the last wanted frame.

        Args:
            places: File indices of the wanted frames' packets.

        Returns:
            First and last index of each run, increasing.
        """
        keys = np.flatnonzero(self.keys)
        stretches = []
        for place in places:
            # The key frame must also be presented before: leading frames need the previous one.
            at = int(np.searchsorted(keys, place, side="right")) - 1
            while at >= 0 and self.shown[keys[at]] > self.shown[place]:
                at -= 1
            stretches.append((int(keys[at]) if at >= 0 else 0, place))
        runs: list[tuple[int, int]] = []
        for first, place in sorted(stretches):
            if runs and first <= runs[-1][1] + 1:
                runs[-1] = (runs[-1][0], max(place, runs[-1][1]))
            else:
                runs.append((first, place))
        return runs

    def read_on(
        self, packets: Iterator[Packet[VideoStream]], first: int, late: Callable[[], bool]
    ) -> Packet[VideoStream] | None:
        """Read packets after a seek up to the one with a file index.

        Args:
            packets: Packets from where the seek led.
            first: File index of the wanted packet.
            late: Returns whether time is up.

        Returns:
            The packet; ``None`` if the file's index led behind it or to an unknown place, or if
            time is up.
        """
        place = -1
        for packet in packets:
            stamp = stamp_of(packet)
            if place < 0:
                found = np.flatnonzero(self.stamps == stamp)
                place = int(found[0]) if len(found) == 1 else len(self.stamps)
            else:
                place += 1
            if place > first or self.stamps[place] != stamp or late():
                return None
            if place == first:
                return packet
        return None

    def spoilt(self, number: int) -> tuple[int, float]:
        """Return the range of frames that depend on a damaged one, up to the next key frame."""
        later = self.shown[self.keys & (self.shown > number)]
        return number, float(later.min()) if len(later) else math.inf


def stamp_of(packet: Packet[VideoStream]) -> int | None:
    """Return a packet's presentation time, or its decoding time if that is missing."""
    return packet.dts if packet.pts is None else packet.pts


def up_to(
    packets: Iterator[tuple[int, Packet[VideoStream]]], last: int
) -> Iterator[tuple[int, Packet[VideoStream]]]:
    """Yield packets with their indices up to an index, without reading further ones."""
    for place, packet in packets:
        yield place, packet
        if place >= last:
            return


def shown_of(frame: VideoFrame) -> int | None:
    """Return a frame's presentation time, or its decoding time; ``None`` if both are missing."""
    return frame.dts if frame.pts is None else frame.pts
