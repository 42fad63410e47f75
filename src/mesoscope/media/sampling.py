"""Which pictures of a clip are looked at: by their times, never by a frame rate."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mesoscope.errors import OptionError

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
