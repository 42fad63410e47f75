"""Animated GIF, PNG and WebP: frame times from the headers, frames decoded by Pillow."""

from __future__ import annotations

import io
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.errors import MesoscopeError
from mesoscope.media.budget import BUDGET_BYTES, decoding
from mesoscope.media.chunks import chunks, gif_blocks
from mesoscope.media.image import decode, open_image
from mesoscope.media.pixels import quiet_pillow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image

    from mesoscope.media.kinds import Kind
    from mesoscope.media.video import Times
    from mesoscope.types import Pixels

# Each frame is composed on all before it, so decoding a file of some kilobytes may take hours.
BUDGET_PIXELS, BUDGET_S = 4_000_000_000, 20.0
_STEP_BYTES = 16  # per pixel of the canvas: canvas, frame, and copies of both
_SHORTEST_S = 0.011  # shorter durations are replaced by 0.1 s, as in all browsers
_INSTEAD_S = 0.1


class Animation:
    """An animated picture as a clip.

    Args:
        data: Bytes of the file.
        kind: ``gif``, ``png`` or ``webp``.
        name: Name in messages.
        durations_s: Duration of each frame, see :func:`frame_durations`.
        max_pixels: Maximum number of pixels per frame.

    Attributes:
        times_s: Start of each frame, ``(n,) float64``, in seconds.
        length_s: Duration of one loop.
        declared_s: ``None``, as the headers have no duration.
        damaged: Reasons why frames could not be decoded.
        remarks: Notes for the user, besides damage.
        spent: Whether decoding ended because of its budget.
    """

    declared_s: float | None = None

    def __init__(
        self, data: bytes, kind: Kind, name: str, durations_s: Sequence[float], *, max_pixels: int
    ) -> None:
        self._data, self._kind, self._name, self._max_pixels = data, kind, name, max_pixels
        ends = np.cumsum([s if s >= _SHORTEST_S else _INSTEAD_S for s in durations_s])
        self.times_s: Times = np.concatenate([[0.0], ends[:-1]])
        self.length_s = float(ends[-1])
        self.damaged: list[str] = []
        self.remarks: dict[str, None] = {}
        self.spent = False

    def close(self) -> None:
        """Do nothing, as no file is open."""

    def pictures(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Decode frames, one in memory at a time.

        Args:
            numbers: Indices of frames, increasing.

        Yields:
            Index and ``(H, W, 3) uint8`` RGB on white. The first frame that cannot be decoded ends
            the iteration and is noted in :attr:`damaged`. The budget of decoded pixels and of time
            also ends it, noted in :attr:`remarks`.
        """
        from PIL import Image as Pillow

        # The first frame is decoded as a picture, with its limits and error messages.
        started, taken_s = monotonic(), 0.0
        try:
            decode(self._data, self._name, max_pixels=self._max_pixels)
            with quiet_pillow():
                image = Pillow.open(io.BytesIO(self._data), formats=[self._kind])
            with image:
                # A PNG may have an additional default image for programs without animation.
                before = 1 if image.info.get("default_image") else 0
                for number in numbers:
                    for at in range(image.tell() + 1, number + before + 1):
                        if _spent(image.width * image.height, at, taken_s + monotonic() - started):
                            self._end_early(number)
                            return
                        self._step(image, at)
                    pixels = open_image(image, max_pixels=self._max_pixels).pixels
                    taken_s += monotonic() - started
                    yield number, pixels
                    del pixels  # frees the memory before the next frame is decoded
                    started = monotonic()
        except MemoryError:  # no damage
            raise
        except MesoscopeError as error:
            self.damaged.append(str(error).removeprefix(f"{self._name}: "))
        except Exception as error:  # noqa: BLE001 - a damaged file makes Pillow raise any of a dozen
            self.damaged.append(" ".join(str(error).split()) or type(error).__name__)

    def _step(self, image: Image, at: int) -> None:
        """Seek and decode the next frame."""
        # A GIF's frame may exceed the canvas, which then grows. Pillow raises at twice its limit.
        limit = min(self._max_pixels, BUDGET_BYTES // _STEP_BYTES)
        with quiet_pillow(max(1, limit // 2)):
            image.seek(at)
        with decoding.taken(image.width * image.height * _STEP_BYTES):
            image.load()

    def _end_early(self, number: int) -> None:
        self.spent = True
        self.remarks[
            f"it was read up to {self.times_s[number]:.1f} of {self.length_s:.1f} s: decoding it "
            "ended at its budget, and what was read was judged"
        ] = None


def _spent(canvas_pixels: int, number: int, taken_s: float) -> bool:
    """Whether decoding another frame would exceed the budget of pixels, time or memory."""
    if canvas_pixels * number > BUDGET_PIXELS or taken_s > BUDGET_S:
        return True
    return canvas_pixels * _STEP_BYTES > BUDGET_BYTES


def frame_durations(data: bytes, kind: Kind) -> list[float]:
    """Read the durations of an animation's frames without decoding.

    Args:
        data: Bytes of the file.
        kind: Result of :func:`mesoscope.media.kinds.sniff`.

    Returns:
        Seconds per frame; at most one value if the picture is not animated.
    """
    if kind == "gif":
        return list(_gif(data))
    if kind == "webp" and data[12:16] == b"VP8X" and data[20:21] and data[20] & 0x02:
        return [
            int.from_bytes(data[at + 12 : at + 15], "little") / 1000
            for name, at, size in chunks(data, 12, "little")
            if name == b"ANMF" and at + size <= len(data)
        ]
    if kind == "png":
        return list(_png(data))
    return []


def _gif(data: bytes) -> Iterator[float]:
    """GIF89a: a graphic control extension has the duration of the image that follows."""
    hundredths = 0
    for introducer, at, _ in gif_blocks(data):
        if introducer == 0x21 and data[at + 1 : at + 2] == b"\xf9" and at + 6 <= len(data):
            hundredths = int.from_bytes(data[at + 4 : at + 6], "little")
        elif introducer == 0x2C and at + 9 < len(data):
            yield hundredths / 100
            hundredths = 0


def _png(data: bytes) -> Iterator[float]:
    """APNG: ``acTL`` precedes the image data, ``fcTL`` each frame."""
    animated = False
    for name, at, size in chunks(data, 8, "big"):
        if name == b"acTL":
            animated = True
        elif name == b"IDAT" and not animated:
            return
        elif name == b"fcTL" and at + size <= len(data):
            delay, unit = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (20, 22))
            yield delay / (unit or 100)
