"""Which of a file's streams a player shows: pictures, and not what else lies beside them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO

from av.stream import Discard, Disposition

from mesoscope.errors import SourceError, SourceNoMemory, SourceUnsupported

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_FRUITLESS_BYTES = 128 << 20
_BESIDE = Disposition.attached_pic | Disposition.timed_thumbnails  # covers, pictures of chapters


def shown_stream(container: InputContainer, name: str, remarks: dict[str, None]) -> VideoStream:
    """Choose the stream marked as the default, of several the one of the largest pictures.

    All others, whatever they are, are told to be left where they lie.

    Args:
        container: The open file.
        name: As shown to the user.
        remarks: Grows by one where there was a choice.

    Raises:
        SourceUnsupported: No pictures but a cover, or all of them in a codec that is not read.
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
            # Where it cannot be left there, its packets are read and passed over.
            with contextlib.suppress(Exception):
                other.discard = Discard.all
    return best


def _rank(stream: VideoStream) -> tuple[bool, int, int]:
    decoder = stream.codec_context
    default = bool(stream.disposition & Disposition.default)
    return default, decoder.width * decoder.height, -stream.index


class Reader:
    """An open file that seems to end where many bytes hold no picture, as in a sparse file.

    Args:
        file: Left open.

    Attributes:
        fruitless: Bytes read since the last picture; whoever reads pictures puts it to 0.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.fruitless = 0

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        if self.fruitless > _FRUITLESS_BYTES:
            return b""
        data = self._file.read(size)
        self.fruitless += len(data)
        return data

    def seek(self, to: int, whence: int = 0) -> int:
        """As of a file."""
        return self._file.seek(to, whence)

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()


def why(error: Exception) -> str:
    """What an exception of PyAV says, in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def unreadable(name: str, error: Exception) -> SourceError:
    """One line for whatever PyAV or FFmpeg raised; too little memory is no damage."""
    if isinstance(error, MemoryError):
        return SourceNoMemory(
            f"{name}: not enough memory to decode it: try again with fewer --jobs"
        )
    return SourceError(f"{name}: damaged, it cannot be decoded: {why(error)}")
