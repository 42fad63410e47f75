"""Keep freed memory for the next picture or step instead of handing it back to the system."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4  # glibc's malloc.h
_LARGEST_THRESHOLD = 32 << 20  # glibc takes no higher one


def keep_heap(kept_bytes: int, *, large_blocks: bool = False) -> bool:
    """Ask the C library to keep up to so much freed memory; for the whole process.

    Pictures and activations are blocks of 0.2 to 70 MB that are freed and asked for again at once.
    Each time, glibc hands them back to the system, and the system clears fresh pages: that took a
    third of the time of a training step, and of the time beside the network in a scan. So the
    command line calls this; importing or using the package from Python never does.

    Args:
        kept_bytes: How much may stay.
        large_blocks: Also keep blocks of over 32 MiB, such as the activations of a training step.

    Returns:
        Whether the C library could be asked: it is glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    if large_blocks:
        mallopt(_MMAP_MAX, 0)
    else:
        mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
    mallopt(_TOP_PAD, 1 << 20)
    return bool(mallopt(_TRIM_THRESHOLD, min(kept_bytes, 2**31 - 1)))
