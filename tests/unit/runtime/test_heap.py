"""Asking the C library to keep memory changes no result and fails on no system."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("large", [False, True])
def test_memory_is_kept_and_usable(large):
    # In a process of its own: the setting cannot be taken back.
    code = (
        "from mesoscope.runtime.allocator import keep_heap\n"
        f"kept = keep_heap(64 << 20, large_blocks={large})\n"
        "import platform, numpy as np\n"
        "assert kept or platform.libc_ver()[0] != 'glibc'\n"
        "for n in (1, 200_000, 40_000_000):\n"
        "    assert np.ones(n, np.uint8).sum() == n\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_other_systems_are_left_alone(monkeypatch):
    from mesoscope.runtime import allocator as heap

    monkeypatch.setattr(heap.sys, "platform", "win32")
    assert heap.keep_heap(1) is False
