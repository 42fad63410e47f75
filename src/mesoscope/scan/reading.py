"""A file's content for a job: its hash, and the bytes that are then decoded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.media.image import FileBytes
from mesoscope.media.kinds import SNIFF_BYTES, sniff
from mesoscope.media.walk import open_without_waiting

if TYPE_CHECKING:
    from mesoscope.scan.tables import Claim

# Files up to this size are hashed and decoded from one reading. Larger ones, which are hashed
# piece by piece, are read again from the system's cache: many of them wait at a time.
ONE_READING_BYTES = 1 << 20
_PIECE_BYTES = 1 << 20


class Content(NamedTuple):
    """A claimed file, read.

    Attributes:
        claim: Which.
        source: What the detector is given: the file's bytes, or its path.
        size_bytes: As it was before it was read, so that a change in between shows later; also of
            a file that may not be opened, where it can be asked for.
        mtime_ns: Likewise.
        sha256: ``None`` where it could not be read; the detector will say why.
        gone: There is no such file any more.
    """

    claim: Claim
    source: str | FileBytes
    size_bytes: int = 0
    mtime_ns: int = 0
    sha256: bytes | None = None
    gone: bool = False


def read(claim: Claim) -> Content:
    """Read and hash a file; what goes wrong is left to the detector to tell."""
    path = os.fsdecode(claim.path)
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                return Content(claim, path, info.st_size, info.st_mtime_ns)
            source: str | FileBytes = path
            first = file.read(ONE_READING_BYTES + 1)
            digest = hashlib.sha256(first)
            if len(first) > ONE_READING_BYTES:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
            elif sniff(first[:SNIFF_BYTES]) != "video":  # clips are sought in, on disk
                source = FileBytes.of(path, first)
            return Content(claim, source, info.st_size, info.st_mtime_ns, digest.digest())
    except (FileNotFoundError, NotADirectoryError):
        return Content(claim, path, gone=not os.path.islink(path))  # noqa: PTH114 - as bytes
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # what it was like, so that a change shows
            info = os.stat(path)  # noqa: PTH116 - as bytes
            return Content(claim, path, info.st_size, info.st_mtime_ns)
        return Content(claim, path)


def has_moved(content: Content) -> bool:
    """Whether a file is no longer as it was when it was read; asked of those with a hash."""
    if content.sha256 is None:
        return False
    try:
        now = os.stat(content.claim.path)  # noqa: PTH116 - as bytes
    except OSError:
        return True
    return (now.st_size, now.st_mtime_ns) != (content.size_bytes, content.mtime_ns)
