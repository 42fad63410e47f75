"""A picture as a frame of a clip: through H.264 and back."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mesoscope.types import Pixels


def h264(x: Pixels, *, crf: int) -> Pixels:
    """Encode a picture with H.264 and decode it again.

    Args:
        x: ``(H, W, 3) uint8`` RGB; even sides.
        crf: x264's constant rate factor; 18 is nearly without loss, 35 is coarse.

    Returns:
        The same shape.
    """
    import av  # here, as only a few runs re-encode

    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = x.shape[:2]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {
        "crf": str(crf),
        "preset": "ultrafast",
        "tune": "zerolatency",
        "threads": "1",
    }
    frame = av.VideoFrame.from_ndarray(x, format="rgb24")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [f for packet in (*packets, None) for f in decoder.decode(packet)]
    return np.asarray(frames[0].to_ndarray(format="rgb24"), np.uint8)
