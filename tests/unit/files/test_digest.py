"""SHA-256 of files, read in blocks."""

from __future__ import annotations

import hashlib
import io

import pytest

from mesoscope.files.digest import BLOCK_BYTES, hash_bytes, hash_file, hash_fraction


@pytest.mark.parametrize("length", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 5])
def test_hash_and_length_are_those_of_all_bytes(length: int) -> None:
    data = (bytes(range(256)) * (length // 256 + 1))[:length]
    found = hash_file(io.BytesIO(data))
    assert found == (hashlib.sha256(data).hexdigest(), length) == hash_bytes(data)


def test_bytes_that_were_read_already_are_hashed_first() -> None:
    file = io.BytesIO(b"head and tail")
    head = file.read(4)
    assert hash_file(file, head) == hash_bytes(b"head and tail")


def test_a_fraction_depends_on_the_text_alone() -> None:
    assert hash_fraction("a") == int(hashlib.sha256(b"a").hexdigest()[:16], 16) / 2**64
    assert hash_fraction("\udcff") != hash_fraction("a")
    assert all(0 <= hash_fraction(str(n)) < 1 for n in range(100))
