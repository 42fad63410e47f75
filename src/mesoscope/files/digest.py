"""SHA-256 of files, read in blocks."""

from __future__ import annotations

import hashlib
from typing import IO, NamedTuple

__all__ = ["BLOCK_BYTES", "FileHash", "hash_bytes", "hash_file", "hash_fraction"]

BLOCK_BYTES = 1 << 20


class FileHash(NamedTuple):
    """SHA-256 in hexadecimal and length in bytes of a file."""

    sha256: str
    n_bytes: int


def hash_file(file: IO[bytes], start: bytes = b"") -> FileHash:
    """Hash the rest of an open file, as ``hashlib.file_digest`` of Python 3.11 does.

    Args:
        file: File opened in binary mode.
        start: Bytes that were read already, hashed first.
    """
    digest, length = hashlib.sha256(start), len(start)
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
        length += len(block)
    return FileHash(digest.hexdigest(), length)


def hash_bytes(data: bytes) -> FileHash:
    """Hash a file that is in memory."""
    return FileHash(hashlib.sha256(data).hexdigest(), len(data))


def hash_fraction(text: str) -> float:
    """Hash a text to [0, 1), for random choices that depend on nothing but a name."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
