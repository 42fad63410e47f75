"""Protocol Buffers' wire format, as far as an ONNX file needs it: fields, one after another.

A field is a tag (number × 8 + wire type, as a varint) and a value; see
https://protobuf.dev/programming-guides/encoding and ``onnx.proto``.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BYTES", "VARINT", "Field", "MalformedError", "fields", "length_delimited", "number_of"]

VARINT, BYTES = 0, 2  # wire types
_FIXED64, _FIXED32 = 1, 5


class Field(NamedTuple):
    """Where a field's value lies.

    Attributes:
        number: Of the field in its message.
        wire: Its wire type.
        start: Of the value, in bytes from the beginning of the file.
        length: Of the value, in bytes.
        tag_at: Where the field itself begins.
    """

    number: int
    wire: int
    start: int
    length: int
    tag_at: int


class MalformedError(Exception):
    """The bytes are no protobuf message, or only the beginning of one."""


def fields(file: IO[bytes], start: int, end: int) -> Iterator[Field]:
    """The fields of the message that lies between two places of a file.

    Raises:
        MalformedError: No protobuf message lies there.
    """
    at = start
    while at < end:
        tag_at = at
        tag, at = _varint(file, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            _, after = _varint(file, at, end)
            length = after - at
        elif wire == BYTES:
            length, at = _varint(file, at, end)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise MalformedError
        if not 0 < number < 1 << 29 or length > end - at:
            raise MalformedError
        yield Field(number, wire, at, length, tag_at)
        at += length


def number_of(file: IO[bytes], field: Field) -> int:
    """The value of a field that is a varint.

    Raises:
        MalformedError: It is none.
    """
    if field.wire != VARINT:
        raise MalformedError
    return _varint(file, field.start, field.start + field.length)[0]


def length_delimited(number: int, body: bytes) -> bytes:
    """A field of bytes, as it stands in a file."""
    out = bytearray()
    for value in (number << 3 | BYTES, len(body)):
        rest = value
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        out.append(rest)
    return bytes(out) + body


def _varint(file: IO[bytes], at: int, end: int) -> tuple[int, int]:
    file.seek(at)
    value = 0
    for i, byte in enumerate(file.read(min(10, end - at))):
        value |= (byte & 127) << (7 * i)
        if byte < 128:
            return value, at + i + 1
    raise MalformedError  # no varint is longer than ten bytes
