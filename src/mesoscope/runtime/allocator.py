"""The allocator's settings: keep freed memory for the next picture or training step."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4  # glibc's malloc.h
_LARGEST_THRESHOLD = 32 << 20  # limit of glibc


def keep_heap(kept_bytes: int, *, large_blocks: bool = False) -> bool:
    """Let the C library keep freed memory, in the whole process.

    Pictures and activations are blocks of 0.2 to 70 MB that are freed and allocated again at once.
    By default glibc returns them to the system each time, and the system clears fresh pages. That
    took a third of a training step, and a third of a scan outside the network. Only the command
    line calls this; importing or using the package from Python does not.

    Args:
        kept_bytes: Upper limit of the memory that is kept.
        large_blocks: Also keep blocks of over 32 MiB, such as the activations of a training step.

    Returns:
        Whether the setting took effect; ``False`` if the C library is not glibc.
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
