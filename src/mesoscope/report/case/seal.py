"""The seal of a report: a digest of the whole file, and a signature of that digest.

A report holds exactly one seal, written as this line of JSON, in this order and without spaces::

    {"mesoscope_seal":1,"content_sha256":"64 digits","signature":"128","public_key":"64"}

``content_sha256`` is the SHA-256 of the whole file with the digits of ``content_sha256`` and of
``signature`` replaced by zeros, so no byte stands outside it: what is not hashed is what the hash
and the signature are compared with. ``signature`` is Ed25519 (RFC 8032) over :func:`message`; it
and ``public_key`` are empty in a report that is not signed. All digits are lower-case hexadecimal,
as another way to write the same number would be a byte that can be changed unseen.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesoscope.errors import OutputError, ReportError
from mesoscope.files.whole import beside
from mesoscope.report.case.keys import fingerprint, public_bytes, sign, signed_by

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Seal", "Sealing", "blank_seal", "message", "read_seal", "seal", "sealed"]

_LARGEST = 8 << 30  # bytes; a million files with close-ups have two
_SEAL = re.compile(
    rb'\{"mesoscope_seal":1,"content_sha256":"([0-9a-f]{64})",'
    rb'"signature":"((?:[0-9a-f]{128})?)","public_key":"((?:[0-9a-f]{64})?)"\}'
)
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Seal:
    """What a report's seal says, held against its bytes.

    Attributes:
        intact: The digest is that of the file as it is.
        content_sha256: The digest that the report carries.
        signed: It carries a signature.
        signature_holds: The signature is that of the key inside, over this digest.
        key_fingerprint: SHA-256 of the public key inside; empty where it is not signed.
    """

    intact: bool
    content_sha256: str
    signed: bool
    signature_holds: bool
    key_fingerprint: str


@dataclass(slots=True)
class Sealing:
    """A report that is being written.

    Attributes:
        fresh: The file to write.
        digest: That of its seal, once it is sealed.
    """

    fresh: Path
    digest: str = ""


def blank_seal(key: Ed25519PrivateKey | None) -> str:
    """The line that a report is written with, before :func:`seal` fills it in."""
    signature, public = ("", "") if key is None else ("0" * 128, public_bytes(key).hex())
    return (
        f'{{"mesoscope_seal":1,"content_sha256":"{"0" * 64}",'
        f'"signature":"{signature}","public_key":"{public}"}}'
    )


def message(content_sha256: str) -> bytes:
    """The bytes that are signed for a digest: they can be no other protocol's."""
    return f"mesoscope report seal 1\n{content_sha256}\n".encode()


@contextmanager
def sealed(path: Path, key: Ed25519PrivateKey | None) -> Iterator[Sealing]:
    """Write a report beside its place, seal it, and move it there whole.

    A report that stood there before stays until the new one is done.

    Yields:
        Where to write it; afterwards it holds the digest.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with beside(path) as fresh:
            sealing = Sealing(fresh)
            yield sealing
            sealing.digest = seal(fresh, key)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def seal(path: Path, key: Ed25519PrivateKey | None) -> str:
    """Fill in the blank seal of a report that was just written.

    Returns:
        The digest.

    Raises:
        OutputError: The file holds no blank seal, or it cannot be written.
    """
    try:
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
            found = _find(data)
            if found is None:
                raise OutputError(f"{path}: holds no seal to fill in: this is a fault of mesoscope")
            digest = _digest(data, found)
            data[found.start(1) : found.end(1)] = digest.encode()
            if key is not None:
                data[found.start(2) : found.end(2)] = sign(key, message(digest)).hex().encode()
            return digest
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def read_seal(path: Path) -> Seal:
    """Hold a report against its seal.

    Raises:
        ReportError: Not a report, or one with no seal or several.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise ReportError(f"{path}: {size:,} bytes: larger than any report of mesoscope")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = _find(data)
            if found is None:
                raise ReportError(
                    f"{path}: holds no seal of a mesoscope report, or more than one: it is "
                    "another file, or was altered; ask for it again"
                )
            stored, signature, public = (part.decode() for part in found.groups())
            now = _digest(data, found)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        why = getattr(error, "strerror", None) or "it is empty"
        raise ReportError(f"{path}: cannot be read: {why}: check the path") from error
    return Seal(
        intact=now == stored,
        content_sha256=stored,
        signed=bool(signature or public),
        signature_holds=bool(signature and public)
        and signed_by(bytes.fromhex(public), bytes.fromhex(signature), message(stored)),
        key_fingerprint=fingerprint(bytes.fromhex(public)) if public else "",
    )


def _find(data: mmap.mmap) -> re.Match[bytes] | None:
    """The one seal; ``None`` where there is none, or more than one.

    What a report shows cannot look like one: in HTML, JSON and PDF its quotes are escaped.
    """
    found = _SEAL.search(data)
    return None if found is None or _SEAL.search(data, found.end()) else found


def _digest(data: mmap.mmap, found: re.Match[bytes]) -> str:
    digest = hashlib.sha256()
    for start, end, blank in (
        (0, found.start(1), False),
        (*found.span(1), True),
        (found.end(1), found.start(2), False),
        (*found.span(2), True),
        (found.end(2), len(data), False),
    ):
        for at in range(start, end, _BLOCK):
            stop = min(at + _BLOCK, end)
            digest.update(b"0" * (stop - at) if blank else data[at:stop])
    return digest.hexdigest()
