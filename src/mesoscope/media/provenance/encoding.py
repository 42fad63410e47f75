"""Findings about the encoding of a JPEG: quantisation tables and structure."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mesoscope.media.provenance.finding import Finding

if TYPE_CHECKING:
    from mesoscope.media.provenance.parts import JpegFacts

# ITU T.81, tables K.1 and K.2, row by row.
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
)  # fmt: skip
# mozjpeg's default for both: the table of N. Robidoux, published in ImageMagick's forum.
_ROBIDOUX = (
    16, 16, 16, 18, 25, 37, 56, 85, 16, 17, 20, 27, 34, 40, 53, 75,
    16, 20, 24, 31, 43, 62, 91, 135, 18, 27, 31, 40, 53, 74, 106, 156,
    25, 34, 43, 53, 69, 94, 131, 189, 37, 40, 62, 74, 94, 124, 169, 238,
    56, 53, 91, 106, 131, 169, 226, 311, 85, 75, 135, 156, 189, 238, 311, 418,
)  # fmt: skip
_SAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
_LEAST_TRAILING = 16  # bytes; shorter data, such as a line ending, is ignored


def encoding(facts: JpegFacts, *, has_camera: bool) -> list[Finding]:
    """Return findings about a JPEG's tables and structure.

    Args:
        facts: Encoding of the JPEG.
        has_camera: Whether EXIF names a camera.
    """
    found = [_tables(facts)] if facts.table_of else []
    found += [_structure(facts, has_camera=has_camera)] if facts.sampling else []
    found += _segments(facts)
    if facts.trailing >= _LEAST_TRAILING:
        found.append(
            Finding(
                "encoding", "data behind the end", f"{facts.trailing} bytes", "JPEG",
                "Something follows the end of the picture. Telephones put moving pictures, depth "
                "maps and further pictures there; it can also have been appended later.",
            )
        )  # fmt: skip
    return found


def quality(facts: JpegFacts) -> tuple[str, int] | None:
    """Identify the family and quality of the quantisation tables.

    Returns:
        Family and quality, such as ``("standard", 75)``; the families are ``standard``,
        ``mozjpeg`` and ``standard luminance``. ``None`` for other tables.
    """
    tables = [facts.tables.get(number) for number in facts.table_of]
    if not tables or tables[0] is None:
        return None
    luma, chroma = tables[0], tables[1] if len(tables) > 1 else None
    q = _known(_LUMINANCE).get(luma)
    if q is not None:
        both = chroma is None or chroma in _scaled(_CHROMINANCE, q)
        return "standard" if both else "standard luminance", q
    q = _known(_ROBIDOUX).get(luma)
    return ("mozjpeg", q) if q is not None and chroma in (None, luma) else None


def luminance_table(q: int) -> tuple[int, ...]:
    """Return the standard luminance table at a quality of 1 to 100, in zigzag order."""
    return _scaled(_LUMINANCE, q)[0]


@cache
def _known(base: tuple[int, ...]) -> dict[tuple[int, ...], int]:
    """Return all tables of a family, with their quality."""
    return {table: q for q in range(1, 101) for table in _scaled(base, q)}


def _scaled(base: tuple[int, ...], q: int) -> list[tuple[int, ...]]:
    """Scale a table to a quality, in zigzag order, as libjpeg does.

    Returns:
        The table with values of 8 bits ("baseline") and of 16 bits.
    """
    percent = 5000 // q if q < 50 else 200 - 2 * q
    scaled = [max((value * percent + 50) // 100, 1) for value in base]
    return [tuple(min(scaled[place], most) for place in _zigzag()) for most in (255, 32767)]


@cache
def _zigzag() -> list[int]:
    """Return the zigzag order of a table's 8 × 8 values (T.81, figure A.6)."""
    positions = [(row, column) for row in range(8) for column in range(8)]
    # Along the diagonals, with alternating direction.
    positions.sort(key=lambda p: (sum(p), p[0] if sum(p) % 2 else p[1]))
    return [8 * row + column for row, column in positions]


def _tables(facts: JpegFacts) -> Finding:
    known = quality(facts)
    if known is None:
        mean = _mean(facts)
        return Finding(
            "encoding", "quantisation tables", f"not standard ones{mean}", "JPEG",
            "Tables of their own are usual for cameras, for Adobe's programs and for a few "
            "websites, so these tables alone do not tell where the file comes from.",
        )  # fmt: skip
    family, q = known
    says = {
        "standard": "the standard's tables, as the free JPEG library scales them: software of many "
        "kinds writes them, social networks and telephones too, dedicated cameras seldom.",
        "mozjpeg": "the tables of mozjpeg, which websites and tools for the web use to make files "
        "small. Cameras do not write them.",
        "standard luminance": "the standard's table for brightness with another one for colour.",
    }[family]
    return Finding(
        "encoding", "quantisation tables", f"{family}, quality {q}", "JPEG",
        f"These are {says} It is the quality of the last save; what came before is not told.",
    )  # fmt: skip


def _mean(facts: JpegFacts) -> str:
    table = facts.tables.get(facts.table_of[0])
    return f" (mean step of brightness {sum(table) / 64:.1f})" if table else ""


def _structure(facts: JpegFacts, *, has_camera: bool) -> Finding:
    form = "progressive" if facts.progressive else "baseline"
    value = f"{form}, {facts.width}×{facts.height}, {_sampling(facts)}"
    if facts.progressive and has_camera:
        return Finding(
            "encoding", "structure", value, "JPEG",
            "EXIF names a camera, but the file is progressive, which the Exif standard does not "
            "allow cameras to write: software saved it again and kept the camera's data.",
            "hint",
        )  # fmt: skip
    meaning = (
        "Progressive files are made by software, mostly for websites."
        if facts.progressive
        else "Cameras and most software write it so."
    )
    return Finding("encoding", "structure", value, "JPEG", meaning)


def _sampling(facts: JpegFacts) -> str:
    if len(facts.sampling) == 1:
        return "grey"
    if len(facts.sampling) == 4:
        return "four colours (CMYK)"
    (h, v), *others = facts.sampling
    if not others or any(not all(o) or h % o[0] or v % o[1] for o in others):
        return "unusual colour sampling"
    steps = {(h // o[0], v // o[1]) for o in others}
    return _SAMPLINGS.get(steps.pop(), "unusual colour sampling") if len(steps) == 1 else "mixed"


def _segments(facts: JpegFacts) -> list[Finding]:
    found = []
    order = facts.order
    if "Ducky" in order:
        found.append(
            Finding(
                "software", "APP12", "Ducky", "JPEG",
                "Photoshop's export for the web leaves this mark. It tells nothing of what was "
                "changed.",
                "hint",
            )
        )  # fmt: skip
    if "Adobe" in order:
        found.append(
            Finding(
                "encoding", "APP14", "Adobe", "JPEG",
                "A mark that Adobe's programs write, and some libraries in their manner.",
            )
        )  # fmt: skip
    if "JFIF" in order and "Exif" in order and order.index("JFIF") < order.index("Exif"):
        found.append(
            Finding(
                "encoding", "order of segments", "JFIF before EXIF", "JPEG",
                "The Exif standard puts EXIF first, and most cameras do. Software that saves a "
                "photograph again often begins with JFIF.",
            )
        )  # fmt: skip
    return found
