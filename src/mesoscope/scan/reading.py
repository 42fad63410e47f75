"""Read a file for a job: its hash, and the bytes to decode."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.files.digest import hash_bytes, hash_file
from mesoscope.media.image import FileBytes
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.media.walk import open_without_waiting

if TYPE_CHECKING:
    from mesoscope.scan.tables import Claim

# Files up to this size are hashed and decoded from one read. Larger ones are hashed
# piece by piece, and read again from the system's cache, as many of them wait at a time.
ONE_READING_BYTES = 1 << 20


class Content(NamedTuple):
    """A claimed file after reading.

    Attributes:
        claim: The claim.
        source: Source for the detector: the file's bytes, or its path.
        size_bytes: Size before reading, to detect changes; also for files that may not be opened,
            if it is available.
        mtime_ns: Modification time before reading.
        sha256: ``None`` for an unreadable file; the detector will report why.
        gone: Whether the file is missing.
    """

    claim: Claim
    source: str | FileBytes
    size_bytes: int = 0
    mtime_ns: int = 0
    sha256: bytes | None = None
    gone: bool = False


def read(claim: Claim) -> Content:
    """Read and hash a file; errors are left to the detector."""
    path = os.fsdecode(claim.path)
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                return Content(claim, path, info.st_size, info.st_mtime_ns)
            source: str | FileBytes = path
            first = file.read(ONE_READING_BYTES + 1)
            if len(first) > ONE_READING_BYTES:
                found = hash_file(file, first)
            else:
                found = hash_bytes(first)
                if sniff(first[:SNIFF_BYTES]) != "video":  # clips are read by seeking, on disk
                    source = FileBytes.of(path, first)
            digest = bytes.fromhex(found.sha256)
            return Content(claim, source, info.st_size, info.st_mtime_ns, digest)
    except (FileNotFoundError, NotADirectoryError):
        return Content(claim, path, gone=not os.path.islink(path))  # noqa: PTH114 - as bytes
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # size and time, to detect a later change
            info = os.stat(path)  # noqa: PTH116 - as bytes
            return Content(claim, path, info.st_size, info.st_mtime_ns)
        return Content(claim, path)


def has_changed(content: Content) -> bool:
    """Whether a file changed since it was read; for files with a hash."""
    if content.sha256 is None:
        return False
    try:
        now = os.stat(content.claim.path)  # noqa: PTH116 - as bytes
    except OSError:
        return True
    return (now.st_size, now.st_mtime_ns) != (content.size_bytes, content.mtime_ns)
