"""How a PDF report looks: its fonts, colours and kinds of paragraph, and text made safe for them.

DejaVu comes with matplotlib and is embedded, so Latin, Greek, Cyrillic and more scripts show on
every machine. What it lacks is written as an escape, see :func:`mesoscope.files.names.drawn`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph

from mesoscope.files.names import drawn

if TYPE_CHECKING:
    from collections.abc import Mapping

SANS, BOLD, MONO = "mesoscope-sans", "mesoscope-bold", "mesoscope-mono"
_FILES = {SANS: "DejaVuSans", BOLD: "DejaVuSans-Bold", MONO: "DejaVuSansMono"}
WIDTH = 174 * mm  # of the text on A4
INK, QUIET, RULE, PANEL = (HexColor(c) for c in ("#1c1e22", "#5b616c", "#d9dce1", "#f6f7f9"))
NOTE, NOTE_EDGE, PAPER = (HexColor(c) for c in ("#fff5dd", "#d9a400", "#ffffff"))
LABEL: Mapping[str, Color] = {
    "fake": HexColor("#b84f00"),
    "real": HexColor("#0072b2"),
    "inconclusive": HexColor("#6b4fa0"),
    "none": QUIET,
    "unreadable": QUIET,
}
PERSON = tuple(
    HexColor(c) for c in ("#0072b2", "#b84f00", "#00795c", "#a83f86", "#8a6200", "#3c3c3c")
)
DASHES: tuple[tuple[int, ...] | None, ...] = (None, (6, 3), (2, 3), (8, 2, 2, 2), (4, 2), (10, 4))

TITLE = ParagraphStyle("title", fontName=BOLD, fontSize=19, leading=24, textColor=INK, spaceAfter=4)
HEAD = ParagraphStyle(
    "head", fontName=BOLD, fontSize=12.5, leading=16, textColor=INK, spaceBefore=16, spaceAfter=5,
    keepWithNext=1,
)  # fmt: skip
ITEM = ParagraphStyle("item", parent=HEAD, fontSize=10.5, leading=14, spaceBefore=12, spaceAfter=3)
PART = ParagraphStyle("part", parent=HEAD, fontSize=9, leading=12, spaceBefore=8, spaceAfter=3)
LEAD = ParagraphStyle("lead", fontName=SANS, fontSize=11, leading=15, textColor=INK, spaceAfter=8)
BODY = ParagraphStyle("body", fontName=SANS, fontSize=9, leading=13, textColor=INK, spaceAfter=5)
SMALL = ParagraphStyle("small", parent=BODY, fontSize=8, leading=11, spaceAfter=2)
FAINT = ParagraphStyle("faint", parent=SMALL, textColor=QUIET)
CODE = ParagraphStyle("code", parent=SMALL, fontName=MONO, fontSize=7.6)
BULLET = ParagraphStyle("bullet", parent=BODY, leftIndent=11, bulletIndent=1, spaceAfter=3)


def load_fonts() -> None:
    """Make the fonts known to reportlab; again costs nothing.

    ``<b>`` inside a paragraph takes the bold face.
    """
    import matplotlib as mpl

    known = set(pdfmetrics.getRegisteredFontNames())
    folder = Path(mpl.get_data_path()) / "fonts/ttf"
    for name, file in _FILES.items():
        if name not in known:
            pdfmetrics.registerFont(TTFont(name, str(folder / f"{file}.ttf")))
    pdfmetrics.registerFontFamily(SANS, normal=SANS, bold=BOLD, italic=SANS, boldItalic=BOLD)
    pdfmetrics.registerFontFamily(MONO, normal=MONO, bold=MONO, italic=MONO, boldItalic=MONO)


@cache
def _glyphs() -> frozenset[int]:
    """The characters that both faces which carry names have."""
    fonts = (pdfmetrics.getFont(name) for name in (SANS, BOLD, MONO))
    return frozenset.intersection(*(frozenset(font.face.charToGlyph) for font in fonts))


def safe(text: str) -> str:
    """Text for the font, without marks of a paragraph's own little language."""
    return escape(drawn(text, _glyphs()))


def plain(text: str) -> str:
    """Text for the font, to be drawn as it is."""
    return drawn(text, _glyphs())


def say(text: str, style: ParagraphStyle = BODY) -> Paragraph:
    """A paragraph of text that came from anywhere."""
    return Paragraph(safe(text), style)


def marked(text: str, style: ParagraphStyle = BODY, *, bullet: str = "") -> Paragraph:
    """A paragraph of our own text with marks, whose other parts went through :func:`safe`."""
    return Paragraph(text, style, bulletText=bullet or None)


def hexadecimal(colour: Color) -> str:
    """A colour for ``<font color=…>``."""
    return f"#{colour.hexval()[2:]}"
