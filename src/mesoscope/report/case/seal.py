"""The seal of a report: digest of the whole file, signature, and key files.

A report holds exactly one seal, written as this line of JSON, in this order and without spaces::

    {"mesoscope_seal":1,"content_sha256":"64 digits","signature":"128","public_key":"64"}

``content_sha256`` is the SHA-256 of the whole file with the digits of ``content_sha256`` and of
``signature`` replaced by zeros, so every byte is covered. ``signature`` is Ed25519 (RFC 8032) over
:func:`message`; it and ``public_key`` are empty in an unsigned report. All digits are lower-case
hexadecimal, as an alternative spelling would allow unnoticed changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.errors import MissingExtra, OptionError, OutputError, ReportError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import output_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )


__all__ = [
    "Seal",
    "Sealing",
    "blank_seal",
    "fingerprint",
    "make_keys",
    "message",
    "public_bytes",
    "read_private",
    "read_public",
    "read_seal",
    "seal",
    "sealed",
    "sign",
    "signed_by",
]


_PEM_MAX_BYTES = 1 << 16


@contextlib.contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra("cryptography", extra="report") from error


def make_keys(private: Path, *, passphrase: str | None = None) -> tuple[Path, str]:
    """Create a key pair: the private key at the path, the public one as ``NAME.pub.pem`` beside it.

    Args:
        private: Path of the private key.
        passphrase: Encrypts the key; without one only its mode, 0600, protects it.

    Returns:
        Path of the public key, and its fingerprint.

    Raises:
        OptionError: One of the two files exists; nothing is overwritten.
        OutputError: A file is not writable.
        MissingExtra: ``cryptography`` is not installed.
    """
    with _extra():
        from cryptography.hazmat.primitives import serialization as form
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    public = private.with_name(f"{private.name.removesuffix('.pem')}.pub.pem")
    for path in (private, public):
        if os.path.lexists(path):
            raise OptionError(f"{path}: exists already, and keys are not replaced: name another")
    key = Ed25519PrivateKey.generate()
    lock = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock)
    public_pem = key.public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
    )
    _write_new(private, secret, 0o600)
    try:
        _write_new(public, public_pem, 0o644)
    except BaseException:
        private.unlink(missing_ok=True)  # a pair, or nothing that bars the way of one
        raise
    return public, fingerprint(public_bytes(key))


def read_private(path: Path, *, ask: Callable[[], str] | None = None) -> Ed25519PrivateKey:
    """Read a private key from a PEM file.

    Args:
        path: The file.
        ask: Returns the passphrase; called only for encrypted keys.

    Raises:
        OptionError: The file is not readable, its passphrase is missing or wrong, or it is another
            kind of key.
        MissingExtra: ``cryptography`` is not installed.
    """
    with _extra():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    data = _pem(path)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except TypeError as error:
        if ask is None:
            raise OptionError(f"{path}: protected by a passphrase, which was not given") from error
        try:
            key = serialization.load_pem_private_key(data, password=ask().encode())
        except (ValueError, TypeError) as wrong:  # TypeError: an empty passphrase
            raise OptionError(f"{path}: not its passphrase, or a damaged key: try again") from wrong
    except Exception as error:  # cryptography raises several types for invalid keys
        raise OptionError(
            f"{path}: not a private key: make one with mesoscope report keygen"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise OptionError(f"{path}: not an Ed25519 key: make one with mesoscope report keygen")
    return key


def read_public(path: Path) -> bytes:
    """Read a public key from a PEM file, 32 bytes.

    Raises:
        OptionError: The file is not readable, or is another kind of key.
        MissingExtra: ``cryptography`` is not installed.
    """
    with _extra():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    data = _pem(path)
    if b"PRIVATE KEY" in data:
        raise OptionError(
            f"{path}: a private key: verify takes the public one (NAME.pub.pem), and the private "
            "one should be handed to nobody"
        )
    try:
        key = serialization.load_pem_public_key(data)
    except Exception as error:  # as above
        raise OptionError(f"{path}: not a public key in PEM form: ask for NAME.pub.pem") from error
    if not isinstance(key, Ed25519PublicKey):
        raise OptionError(f"{path}: not an Ed25519 key: ask for the one that signed the report")
    return _raw(key)


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the public key of a private one, 32 bytes."""
    return _raw(key.public_key())


def fingerprint(public: bytes) -> str:
    """Return the SHA-256 of a public key's 32 bytes, in hexadecimal."""
    return hashlib.sha256(public).hexdigest()


def sign(key: Ed25519PrivateKey, message: bytes) -> bytes:
    """Sign a message; 64 bytes."""
    return key.sign(message)


def signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature is valid for a key and message.

    Raises:
        MissingExtra: ``cryptography`` is not installed.
    """
    with _extra():
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _raw(key: Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    return key.public_bytes(form.Encoding.Raw, form.PublicFormat.Raw)


def _pem(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_PEM_MAX_BYTES)
    except (OSError, ValueError) as error:
        why = cause(error)
        raise OptionError(f"{path}: the key cannot be read: {why}: check the path") from error


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        # The mode is set at creation: others can read the key at no time.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)  # half a key would bar the way of a whole one
            raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {cause(error)}") from error


_LARGEST = 8 << 30  # bytes; a million files with close-ups have two
_SEAL = re.compile(
    rb'\{"mesoscope_seal":1,"content_sha256":"([0-9a-f]{64})",'
    rb'"signature":"((?:[0-9a-f]{128})?)","public_key":"((?:[0-9a-f]{64})?)"\}'
)
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Seal:
    """State of a report's seal.

    Attributes:
        intact: Whether the digest matches the file.
        content_sha256: The digest in the report.
        signed: Whether there is a signature.
        signature_holds: Whether the signature is valid for the key inside and this digest.
        key_fingerprint: SHA-256 of the public key inside; empty without signature.
    """

    intact: bool
    content_sha256: str
    signed: bool
    signature_holds: bool
    key_fingerprint: str


@dataclass(slots=True)
class Sealing:
    """A report while it is written.

    Attributes:
        fresh: The temporary file to write.
        digest: Digest in the seal, set after sealing.
    """

    fresh: Path
    digest: str = ""


def blank_seal(key: Ed25519PrivateKey | None) -> str:
    """Return the empty seal that a report is written with; :func:`seal` fills it in."""
    signature, public = ("", "") if key is None else ("0" * 128, public_bytes(key).hex())
    return (
        f'{{"mesoscope_seal":1,"content_sha256":"{"0" * 64}",'
        f'"signature":"{signature}","public_key":"{public}"}}'
    )


def message(content_sha256: str) -> bytes:
    """Return the bytes to sign for a digest; a prefix separates them from other protocols."""
    return f"mesoscope report seal 1\n{content_sha256}\n".encode()


@contextmanager
def sealed(path: Path, key: Ed25519PrivateKey | None) -> Iterator[Sealing]:
    """Context that writes a report to a temporary file, seals it, and renames it.

    An existing report stays until the new one is complete.

    Yields:
        The temporary file; it holds the digest afterwards.

    Raises:
        OutputError: The report is not writable.
    """
    with output_path(path, parents=False) as fresh:
        sealing = Sealing(fresh)
        yield sealing
        sealing.digest = seal(fresh, key)


def seal(path: Path, key: Ed25519PrivateKey | None) -> str:
    """Fill in the empty seal of a report.

    Returns:
        The digest.

    Raises:
        OutputError: The file holds no empty seal, or is not writable.
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
        raise OutputError(f"{path}: cannot be written: {cause(error)}") from error


def read_seal(path: Path) -> Seal:
    """Read and check the seal of a report.

    Raises:
        ReportError: The file is no report, or has no seal or several.
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
        why = cause(error) if isinstance(error, OSError) else "it is empty"
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
    """Find the only seal; ``None`` for none or several.

    Contents of a report cannot look like a seal: their quotes are escaped in HTML, JSON and PDF.
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
