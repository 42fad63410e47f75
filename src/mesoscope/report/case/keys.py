"""Ed25519 keys that reports are signed with: made, read, used (RFC 8032)."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.errors import MissingExtra, OptionError, OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

__all__ = [
    "fingerprint",
    "make_keys",
    "public_bytes",
    "read_private",
    "read_public",
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
    """Make a key pair: the private key at the path, the public one beside it as ``NAME.pub.pem``.

    Args:
        private: Where the private key goes.
        passphrase: Encrypts it; without one only its mode, 0600, protects it.

    Returns:
        Path of the public key, and its fingerprint.

    Raises:
        OptionError: One of the two files exists; nothing is ever overwritten.
        OutputError: A file cannot be written.
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
    told = key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    _write_new(private, secret, 0o600)
    _write_new(public, told, 0o644)
    return public, fingerprint(public_bytes(key))


def read_private(path: Path, *, ask: Callable[[], str] | None = None) -> Ed25519PrivateKey:
    """The private key in a PEM file.

    Args:
        path: The file.
        ask: Gives the passphrase; called only where the key is protected by one.

    Raises:
        OptionError: It cannot be read, its passphrase is missing or wrong, or it is another kind
            of key.
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
        except (ValueError, TypeError) as wrong:  # TypeError: an empty one
            raise OptionError(f"{path}: not its passphrase, or a damaged key: try again") from wrong
    except Exception as error:  # cryptography raises several kinds for what is no key
        raise OptionError(
            f"{path}: not a private key: make one with mesoscope report keygen"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise OptionError(f"{path}: not an Ed25519 key: make one with mesoscope report keygen")
    return key


def read_public(path: Path) -> bytes:
    """The public key in a PEM file, 32 bytes.

    Raises:
        OptionError: It cannot be read, or is another kind of key.
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
    """The public key that belongs to a private one, 32 bytes."""
    return _raw(key.public_key())


def fingerprint(public: bytes) -> str:
    """SHA-256 of a public key's 32 bytes, in hexadecimal."""
    return hashlib.sha256(public).hexdigest()


def sign(key: Ed25519PrivateKey, message: bytes) -> bytes:
    """Sign; 64 bytes."""
    return key.sign(message)


def signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature is that of a key over a message.

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
        why = getattr(error, "strerror", None) or error
        raise OptionError(f"{path}: the key cannot be read: {why}: check the path") from error


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        # The mode is given when the file is made: at no moment can others read the key.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
