"""Matroska and WebM (RFC 8794 and 9559): the programs, the time and the tags of a clip."""

from __future__ import annotations

import calendar
from typing import TYPE_CHECKING, BinaryIO

from mesoscope.media.provenance.parts import LARGEST_TEXT, decode_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesoscope.media.provenance.parts import Parts

_SEGMENT, _INFO, _TAGS, _TAG, _SIMPLE = 0x18538067, 0x1549A966, 0x1254C367, 0x7373, 0x67C8
_NAME, _STRING, _DATE = 0x45A3, 0x4487, 0x4461
_TEXTS = {0x4D80: "MuxingApp", 0x5741: "WritingApp", 0x7BA9: "Title"}
_OPENED = frozenset((_SEGMENT, _INFO, _TAGS, _TAG))
_SINCE_2001_S = calendar.timegm((2001, 1, 1, 0, 0, 0))
_DEEPEST = 8
_MOST_ELEMENTS = 200_000  # a long clip has a cluster every few seconds
_WHERE = "Matroska"


class _Walk:
    """One walk over the elements, which hops over the pictures."""

    def __init__(self, file: BinaryIO, parts: Parts) -> None:
        self.file, self.parts = file, parts
        self.size = file.seek(0, 2)
        self.left = _MOST_ELEMENTS

    def elements(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Each element's number, and where its content begins and ends."""
        while at < end and self.left > 0:
            self.left -= 1
            self.file.seek(at)
            head = self.file.read(12)
            wide = _width(head[:1], most=4)
            length = _width(head[wide : wide + 1], most=8)
            if not wide or not length or len(head) < wide + length:
                self.fault()
                return
            number = int.from_bytes(head[:wide], "big")
            told = int.from_bytes(head[wide : wide + length], "big") & (1 << 7 * length) - 1
            body = at + wide + length
            unknown = told == (1 << 7 * length) - 1  # of a stream that was written as it came
            if not unknown and body + told > end:
                self.fault()
            if unknown and number != _SEGMENT:
                return
            at = end if unknown else body + told
            yield number, body, min(at, end)
        if self.left <= 0:
            self.parts.left_out(_WHERE, f"more than {_MOST_ELEMENTS:,} elements")

    def fault(self) -> None:
        if not any(f.where == _WHERE for f in self.parts.findings):
            self.parts.damaged(_WHERE, "elements", "the file ends before the clip does")

    def content(self, at: int, end: int) -> bytes:
        self.file.seek(at)
        return self.file.read(min(end - at, LARGEST_TEXT))

    def visit(self, at: int, end: int, depth: int = 0) -> None:
        for number, body, stop in self.elements(at, end):
            if number in _OPENED and depth < _DEEPEST:
                self.visit(body, stop, depth + 1)
            elif number == _SIMPLE:
                self.tag(body, stop)
            elif number in _TEXTS:
                text = decode_text(self.content(body, stop))
                self.parts.add_text(_WHERE, _TEXTS[number], text)
            elif number == _DATE:
                since = int.from_bytes(self.content(body, stop)[:8], "big", signed=True)
                self.parts.times.append(("created", _SINCE_2001_S + since / 1e9))

    def tag(self, at: int, end: int) -> None:
        texts = {
            number: decode_text(self.content(body, stop))
            for number, body, stop in self.elements(at, end)
            if number in (_NAME, _STRING)
        }
        self.parts.add_text(_WHERE, texts.get(_NAME, ""), texts.get(_STRING, ""))


def _width(first: bytes, *, most: int) -> int:
    """How many bytes a number has, by the zeros that its first byte begins with; 0 for none."""
    width = 9 - first[0].bit_length() if first else 0
    return width if 1 <= width <= most else 0


def read_ebml(file: BinaryIO, parts: Parts) -> None:
    """Walk a Matroska or WebM file into ``parts``."""
    walk = _Walk(file, parts)
    walk.visit(0, walk.size)
