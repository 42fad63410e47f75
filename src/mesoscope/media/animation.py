"""Animated GIF, PNG and WebP: times of their pictures from headers, the pictures by Pillow."""

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

# Each picture is built upon all before it, so a file of some kilobytes may ask for hours.
BUDGET_PIXELS, BUDGET_S = 4_000_000_000, 20.0
_STEP_BYTES = 16  # a pixel of the canvas: it, the picture upon it, and copies of both
_SHORTEST_S = 0.011  # what claims to stand for less stands for a tenth, as in every browser
_INSTEAD_S = 0.1


class Animation:
    """An animated picture as a clip.

    Args:
        data: The file's bytes.
        kind: ``gif``, ``png`` or ``webp``.
        name: As shown to the user.
        stands_s: How long each picture stands, see :func:`pictures_stand`.
        max_pixels: Refuse pictures with more.

    Attributes:
        times_s: When each picture begins, ``(n,) float64``, in seconds.
        length_s: Of all together, once through.
        declared_s: ``None``: these headers tell no length.
        damaged: Why pictures could not be decoded.
        remarks: What a user should know of the pictures, beside damage.
        spent: The budget of decoding has ended the reading.
    """

    declared_s: float | None = None

    def __init__(
        self, data: bytes, kind: Kind, name: str, stands_s: Sequence[float], *, max_pixels: int
    ) -> None:
        self._data, self._kind, self._name, self._max_pixels = data, kind, name, max_pixels
        ends = np.cumsum([s if s >= _SHORTEST_S else _INSTEAD_S for s in stands_s])
        self.times_s: Times = np.concatenate([[0.0], ends[:-1]])
        self.length_s = float(ends[-1])
        self.damaged: list[str] = []
        self.remarks: dict[str, None] = {}
        self.spent = False

    def close(self) -> None:
        """Nothing is kept open."""

    def pictures(self, numbers: Sequence[int]) -> Iterator[tuple[int, Pixels]]:
        """Decode some pictures, one in memory at a time; each is built upon the one before.

        Args:
            numbers: Of pictures, from 0, rising.

        Yields:
            Number and ``(H, W, 3) uint8`` RGB, over white. At the first that cannot be decoded it
            ends, and :attr:`damaged` says why. It also ends where the budget of decoded pixels or
            of time is spent, and :attr:`remarks` says so.
        """
        from PIL import Image as Pillow

        # The first picture takes the checked way: limits, and one line for whatever is wrong.
        started, taken_s = monotonic(), 0.0
        try:
            decode(self._data, self._name, max_pixels=self._max_pixels)
            with quiet_pillow():
                image = Pillow.open(io.BytesIO(self._data), formats=[self._kind])
            with image:
                # A PNG may show a picture of its own where animations are not known.
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
                    del pixels  # else it stays in memory while the next one is decoded
                    started = monotonic()
        except MemoryError:  # which is no damage
            raise
        except MesoscopeError as error:
            self.damaged.append(str(error).removeprefix(f"{self._name}: "))
        except Exception as error:  # noqa: BLE001 - a damaged file makes Pillow raise any of a dozen
            self.damaged.append(" ".join(str(error).split()) or type(error).__name__)

    def _step(self, image: Image, at: int) -> None:
        """Go on to the next picture, and decode it."""
        # A GIF's picture may reach beyond the canvas, which grows then. Pillow stops at twice that.
        most = min(self._max_pixels, BUDGET_BYTES // _STEP_BYTES)
        with quiet_pillow(max(1, most // 2)):
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
    """Whether decoding a further picture would go over the budget of pixels, time or memory."""
    if canvas_pixels * number > BUDGET_PIXELS or taken_s > BUDGET_S:
        return True
    return canvas_pixels * _STEP_BYTES > BUDGET_BYTES


def pictures_stand(data: bytes, kind: Kind) -> list[float]:
    """How long each picture of an animation stands, in seconds; nothing is decoded.

    Args:
        data: The file's bytes.
        kind: What :func:`mesoscope.media.kinds.sniff` said.

    Returns:
        One number a picture, as far as the file goes; none, or one, for what does not move.
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
    """GIF89a: a graphic control extension tells how long the image after it stands."""
    stands = 0
    for introducer, at, _ in gif_blocks(data):
        if introducer == 0x21 and data[at + 1 : at + 2] == b"\xf9" and at + 6 <= len(data):
            stands = int.from_bytes(data[at + 4 : at + 6], "little")
        elif introducer == 0x2C and at + 9 < len(data):
            yield stands / 100
            stands = 0


def _png(data: bytes) -> Iterator[float]:
    """APNG: ``acTL`` stands before the picture, ``fcTL`` before each of the animation's."""
    animated = False
    for name, at, size in chunks(data, 8, "big"):
        if name == b"acTL":
            animated = True
        elif name == b"IDAT" and not animated:
            return
        elif name == b"fcTL" and at + size <= len(data):
            number, of = (int.from_bytes(data[at + i : at + i + 2], "big") for i in (20, 22))
            yield number / (of or 100)
