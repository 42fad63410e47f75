"""Building blocks of a PDF report: styles, tables, charts and pictures.

DejaVu comes with matplotlib and is embedded, so Latin, Greek, Cyrillic and more scripts show on
every machine. Missing glyphs are escaped, see :func:`mesoscope.files.escape.escape_for_font`.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Circle, Drawing, Line, PolyLine, Rect, String
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Image, Paragraph, Table, TableStyle

from mesoscope.draw import clock
from mesoscope.files.escape import escape_for_font
from mesoscope.report.case.items import BINS, SHOWN
from mesoscope.report.case.words import score
from mesoscope.types.label import ANSWER_NAMES, reason_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reportlab.platypus import Flowable

    from mesoscope.report.case.evidence import Shot
    from mesoscope.report.case.items import HistogramBar, Tally, Timeline
    from mesoscope.types import Answer, Person


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
    """Register the fonts with reportlab; later calls do nothing.

    ``<b>`` inside a paragraph selects the bold face.
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
    """Return the characters that both faces for names have."""
    fonts = (pdfmetrics.getFont(name) for name in (SANS, BOLD, MONO))
    return frozenset.intersection(*(frozenset(font.face.charToGlyph) for font in fonts))


def safe(text: str) -> str:
    """Escape text for the font and for reportlab's markup."""
    return escape(escape_for_font(text, _glyphs()))


def plain(text: str) -> str:
    """Escape text for the font, without markup."""
    return escape_for_font(text, _glyphs())


def paragraph(text: str, style: ParagraphStyle = BODY) -> Paragraph:
    """Return a paragraph of untrusted text."""
    return Paragraph(safe(text), style)


def marked(text: str, style: ParagraphStyle = BODY, *, bullet: str = "") -> Paragraph:
    """Return a paragraph of markup whose variable parts went through :func:`safe`."""
    return Paragraph(text, style, bulletText=bullet or None)


def hexadecimal(colour: Color) -> str:
    """Format a colour for ``<font color=…>``."""
    return f"#{colour.hexval()[2:]}"


_BARE = [
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 6),
    ("TOPPADDING", (0, 0), (-1, -1), 2),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]


def verdict_text(label: Answer) -> str:
    """Return a label in its colour, as markup."""
    return f'<font color="{hexadecimal(LABEL[label])}"><b>{ANSWER_NAMES[label]}</b></font>'


def facts(rows: Iterable[tuple[str, str]], *, code: Sequence[str] = ()) -> Table:
    """Return a table of names and values; values of ``code`` in a monospaced font."""
    cells = [
        [paragraph(name, FAINT), paragraph(value, CODE if name in code else SMALL)]
        for name, value in rows
    ]
    return Table(
        cells, colWidths=(0.24 * WIDTH, 0.76 * WIDTH), style=TableStyle(_BARE), hAlign="LEFT"
    )


def grid(
    heads: Sequence[str], rows: Sequence[Sequence[Paragraph]], shares: Sequence[float]
) -> Table:
    """Return a table with a repeated heading; ``shares`` of the text width."""
    style = [
        *_BARE,
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, RULE),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, QUIET),
    ]
    return Table(
        [[paragraph(head, FAINT) for head in heads], *rows],
        colWidths=[share * WIDTH for share in shares],
        repeatRows=1,
        style=TableStyle(style),
        hAlign="LEFT",
    )


def note(text: str) -> Table:
    """Return a highlighted paragraph of markup."""
    style = [
        ("BACKGROUND", (0, 0), (-1, -1), NOTE),
        ("LINEBEFORE", (0, 0), (0, -1), 3, NOTE_EDGE),
        ("LEFTPADDING", (0, 0), (-1, -1), 9),
        ("TOPPADDING", (0, 0), (-1, -1), 6),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
    ]
    return Table([[marked(text)]], colWidths=(WIDTH,), style=TableStyle(style))


def tiles(tally: Tally) -> Table:
    """Return the counts of each label in large type."""
    there = [label for label in SHOWN if tally.labels[label]]
    cells = [
        [
            marked(f'<font size="8">{ANSWER_NAMES[label].capitalize()}</font>', FAINT)
            for label in there
        ],
        [
            marked(f'<font name="{BOLD}" size="16">{tally.labels[label]:,}</font>', LEAD)
            for label in there
        ],
    ]
    wide = WIDTH / max(4, len(there))
    style = [
        *_BARE,
        ("LEFTPADDING", (0, 0), (-1, -1), 8),
        ("BACKGROUND", (0, 0), (-1, -1), PANEL),
        ("TOPPADDING", (0, 0), (-1, 0), 6),
        *(("LINEABOVE", (at, 0), (at, 0), 3, LABEL[label]) for at, label in enumerate(there)),
        ("INNERGRID", (0, 0), (-1, -1), 0, PANEL),
        ("LINEAFTER", (0, 0), (-2, -1), 6, PAPER),
    ]
    return Table(cells, colWidths=[wide] * len(there), style=TableStyle(style), hAlign="LEFT")


def histogram(bars: Sequence[HistogramBar], cuts: Sequence[float]) -> Drawing:
    """Draw the distribution of scores."""
    high, base, wide = 78.0, 14.0, WIDTH * 0.86
    drawing = Drawing(WIDTH, high + base + 4)
    step = wide / BINS
    for bar in bars:
        drawing.add(
            Rect(
                bar.bin * step + 0.06 * step, base + high * bar.low, 0.88 * step,
                high * (bar.high - bar.low), fillColor=LABEL[bar.label], strokeColor=None,
            )
        )  # fmt: skip
    drawing.add(Line(0, base, wide, base, strokeColor=QUIET, strokeWidth=0.8))
    for cut in cuts:
        x = cut * wide
        drawing.add(_dashed(x, base, x, base + high))
    _words(drawing, ((0, "start", "0 surely real"), (wide / 2, "middle", ".5"),
                     (wide, "end", "1 surely fake")), 3)  # fmt: skip
    return drawing


def timeline(line: Timeline, cuts: Sequence[float]) -> Drawing:
    """Draw the scores of a clip's faces over time, one line per person."""
    left, base, high = 16.0, 14.0, 84.0
    wide = WIDTH - left - 6
    drawing = Drawing(WIDTH, high + base + 8)
    for y, text in ((0.0, "0"), (0.5, ".5"), (1.0, "1")):
        at = base + high * y
        drawing.add(Line(left, at, left + wide, at, strokeColor=RULE, strokeWidth=0.6))
        _words(drawing, ((left - 4, "end", text),), at - 2.5)
    for cut in cuts:
        drawing.add(_dashed(left, base + high * cut, left + wide, base + high * cut))
    for person in line.lines:
        colour = PERSON[person.person % len(PERSON)]
        dash = DASHES[person.person % len(DASHES)]
        for run in person.runs:
            points = [v for dot in run for v in (left + wide * dot.x, base + high * dot.y)]
            if len(run) > 1:
                drawing.add(
                    PolyLine(points, strokeColor=colour, strokeWidth=1.3, strokeDashArray=dash)
                )
            for x, y in zip(points[::2], points[1::2], strict=True):
                drawing.add(Circle(x, y, 1.9, fillColor=colour, strokeColor=None))
    ends = ((left, "start", 0.0), (left + wide / 2, "middle", line.end_s / 2),
            (left + wide, "end", line.end_s))  # fmt: skip
    _words(drawing, tuple((x, anchor, clock(time)) for x, anchor, time in ends), 3)
    return drawing


def persons(people: Sequence[Person]) -> Table:
    """Return a table of the persons of a clip."""
    rows = []
    for one in people:
        colour = hexadecimal(PERSON[one.number % len(PERSON)])
        details = [reason_text(one.reason)] if one.reason else []
        details += ["in the background: no say in the verdict"] if one.background else []
        why = f" <font color='#5b616c'>{safe('; '.join(details))}</font>" if details else ""
        rows.append(
            [
                marked(f'<font color="{colour}">●</font> {one.number + 1}', SMALL),
                marked(verdict_text(one.label or "none") + why, SMALL),
                paragraph(score(one.p_fake), SMALL),
                paragraph(str(one.frames), SMALL),
                paragraph(f"{clock(one.first_s)} – {clock(one.last_s)}", SMALL),
            ]
        )
    heads = ("Person", "Verdict", "p_fake", "Frames", "Seen")
    return grid(heads, rows, (0.12, 0.4, 0.12, 0.12, 0.24))


def picture(shot: Shot, *, width: float, height: float) -> Image:
    """Return a picture, as large as fits, at most one point per pixel."""
    scale = min(width / shot.width, height / shot.height, 1.0)
    return Image(io.BytesIO(shot.jpeg), shot.width * scale, shot.height * scale, hAlign="LEFT")


def rows_of(cells: Sequence[Sequence[Flowable]], across: int) -> Table:
    """Arrange cells in rows; each may hold a picture and its caption."""
    lines = [list(cells[at : at + across]) for at in range(0, len(cells), across)]
    lines[-1] += [[] for _ in range(across - len(lines[-1]))]
    return Table(lines, colWidths=[WIDTH / across] * across, style=TableStyle(_BARE), hAlign="LEFT")


def _dashed(x1: float, y1: float, x2: float, y2: float) -> Line:
    return Line(x1, y1, x2, y2, strokeColor=INK, strokeWidth=0.8, strokeDashArray=(3, 2.5))


def _words(drawing: Drawing, words: Iterable[tuple[float, str, str]], y: float) -> None:
    colour: Color = QUIET
    for x, anchor, text in words:
        drawing.add(
            String(x, y, text, fontName=SANS, fontSize=7.5, fillColor=colour, textAnchor=anchor)
        )
