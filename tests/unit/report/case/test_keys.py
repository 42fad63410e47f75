import errno
import os
import stat

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesoscope.errors import OptionError, OutputError
from mesoscope.report.case.seal import (
    fingerprint,
    make_keys,
    public_bytes,
    read_private,
    read_public,
    sign,
    signed_by,
)


def pem(key, passphrase=None):
    how = form.BestAvailableEncryption(passphrase) if passphrase else form.NoEncryption()
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, how)


def test_a_pair_signs_and_checks(tmp_path):
    public, digits = make_keys(tmp_path / "k.pem")
    assert public == tmp_path / "k.pub.pem"
    key = read_private(tmp_path / "k.pem")
    assert read_public(public) == public_bytes(key)
    assert fingerprint(public_bytes(key)) == digits
    signature = sign(key, b"words")
    assert signed_by(public_bytes(key), signature, b"words")
    assert not signed_by(public_bytes(key), signature, b"other words")
    assert not signed_by(b"\x01" * 32, signature, b"words")


def test_the_private_key_is_the_owners_alone(tmp_path):
    make_keys(tmp_path / "k.pem")
    assert stat.S_IMODE((tmp_path / "k.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("there", ["k.pem", "k.pub.pem"])
def test_keys_are_never_overwritten(tmp_path, there):
    (tmp_path / there).write_text("mine")
    with pytest.raises(OptionError, match="exists already"):
        make_keys(tmp_path / "k.pem")
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_link_that_points_nowhere_is_not_followed(tmp_path):
    (tmp_path / "k.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OptionError, match="exists already"):
        make_keys(tmp_path / "k.pem")
    assert not (tmp_path / "elsewhere").exists()


def test_a_pair_is_written_or_nothing(tmp_path, monkeypatch):
    plain = os.open

    def full(path, *rest):
        if str(path).endswith(".pub.pem"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        with pytest.raises(OutputError, match=r"k\.pub\.pem: cannot be written"):
            make_keys(tmp_path / "k.pem")
    assert not list(tmp_path.iterdir())
    make_keys(tmp_path / "k.pem")


def test_no_folder_for_the_key(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        make_keys(tmp_path / "none/k.pem")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"nothing", "not a private key"),
        (
            pem(Ed25519PrivateKey.generate(), b"secret"),
            "protected by a passphrase, which was not given",
        ),
        (pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 key"),
    ],
)
def test_private_keys_that_cannot_be_used(tmp_path, content, says):
    (tmp_path / "k.pem").write_bytes(content)
    with pytest.raises(OptionError, match=says):
        read_private(tmp_path / "k.pem")


def test_public_keys_that_cannot_be_used(tmp_path):
    make_keys(tmp_path / "k.pem")
    with pytest.raises(OptionError, match="a private key"):
        read_public(tmp_path / "k.pem")
    (tmp_path / "n").write_text("nothing")
    with pytest.raises(OptionError, match="not a public key"):
        read_public(tmp_path / "n")
    with pytest.raises(OptionError, match="cannot be read"):
        read_public(tmp_path / "missing")
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    (tmp_path / "n").write_bytes(
        other.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(OptionError, match="not an Ed25519 key"):
        read_public(tmp_path / "n")


def test_a_key_with_a_passphrase(tmp_path):
    path = tmp_path / "k.pem"
    public, _ = make_keys(path, passphrase="pass phrase ä")
    assert b"ENCRYPTED" in path.read_bytes()
    key = read_private(path, ask=lambda: "pass phrase ä")
    assert public_bytes(key) == read_public(public)
    for wrong in ("pass phrase", ""):
        with pytest.raises(OptionError, match="not its passphrase"):
            read_private(path, ask=lambda wrong=wrong: wrong)


def test_a_key_without_a_passphrase_asks_for_none(tmp_path):
    make_keys(tmp_path / "k.pem")
    assert read_private(tmp_path / "k.pem", ask=pytest.fail)


def test_a_full_disk_leaves_no_half_key(tmp_path, monkeypatch):
    def full(descriptor, mode):
        os.close(descriptor)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("mesoscope.report.case.seal.os.fdopen", full)
        with pytest.raises(OutputError, match="No space left on device"):
            make_keys(tmp_path / "k.pem")
    assert list(tmp_path.iterdir()) == []
    make_keys(tmp_path / "k.pem")  # and the next try has its way
