"""The report as a PDF document that one hands over: the same content as the page, on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFStream, PDFString
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

from mesoscope.errors import OptionError
from mesoscope.report.case.page import ReportEntry
from mesoscope.report.case.pdf_parts import HEAD, ITEM, QUIET, RULE, SANS, WIDTH, load_fonts, plain
from mesoscope.report.case.pdf_story import story
from mesoscope.report.case.record import head, rows
from mesoscope.report.case.seal import blank_seal, fingerprint, public_bytes, sealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from reportlab.pdfgen.canvas import Canvas

    from mesoscope.report.case.contents import Contents


def attach(canvas: Canvas, files: Mapping[str, tuple[str, str]]) -> None:
    """Attach files, which viewers list (PDF 1.7, 7.11.4).

    Args:
        canvas: Of the document, before it is saved.
        files: By name, in the order of names as PDF wants it: what each is, and its text in ASCII.
    """
    document = canvas._doc  # noqa: SLF001 - reportlab has no public way to attach
    names: list[object] = []
    for name, (says, text) in files.items():
        about = PDFDictionary({"Type": PDFName("EmbeddedFile")})
        stream = PDFStream(about, text.encode("ascii") + b"\n", filters=[])
        entry = PDFDictionary(
            {
                "Type": PDFName("Filespec"),
                "F": PDFString(name),
                "UF": PDFString(name),
                "Desc": PDFString(says),
                "AFRelationship": PDFName("Data"),
                "EF": PDFDictionary({"F": document.Reference(stream)}),
            }
        )
        names += [PDFString(name), document.Reference(entry)]
    tree = PDFDictionary({"EmbeddedFiles": PDFDictionary({"Names": PDFArray(names)})})
    document.Catalog.Names = tree


PDF_MOST = 200  # files; a longer list is for the page, whose table can be searched
_MARGIN = 18 * mm
_TOTAL = "number-of-pages"
_TITLE_MOST = 70  # characters of the title in a footer


def refuse_long(n_items: int, path: Path) -> None:
    """Make sure that a PDF is not asked to hold an archive.

    Raises:
        OptionError: More files than :data:`PDF_MOST`.
    """
    if n_items > PDF_MOST:
        raise OptionError(
            f"{path}: a PDF is for a case of up to {PDF_MOST} files, and these are {n_items:,}: "
            "write an .html report, which can be searched"
        )


def write_pdf(contents: Contents, path: Path, *, key: Ed25519PrivateKey | None = None) -> str:
    """Write the report as PDF.

    Args:
        contents: What to show.
        path: The file to write; it is replaced, once the new one is whole.
        key: Signs the report.

    Returns:
        The digest in its seal.

    Raises:
        OptionError: Too many files for a PDF.
        OutputError: It cannot be written.
    """
    refuse_long(contents.tally.total, path)
    load_fonts()
    items = [ReportEntry(evidence, contents.thresholds) for evidence in contents.evidence]
    first = head(contents.details, contents.models, contents.settings, contents.tally)
    files = {
        "record.json": (
            "All verdicts and hashes of this report",
            f"{first}\n{''.join(rows(contents.items, contents.whole))}",
        ),
        "seal.json": ("The digest of this report, and its signature", blank_seal(key)),
    }
    signer = "" if key is None else fingerprint(public_bytes(key))
    with sealed(path, key) as sealing:
        _document(sealing.fresh, contents).build([*story(contents, items, signer), _End(files)])
    return sealing.digest


class _Document(BaseDocTemplate):  # type: ignore[misc]
    """A document whose headings are its outline."""

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 - reportlab's
        """Give headings a bookmark."""
        style = getattr(flowable, "style", None)
        if style not in (HEAD, ITEM):
            return
        canvas: Canvas = self.canv
        name = f"at-{canvas.getPageNumber()}-{id(flowable)}"
        canvas.bookmarkPage(name)
        text = _unquoted(flowable.getPlainText())
        canvas.addOutlineEntry(text, name, level=0 if style is HEAD else 1, closed=style is HEAD)


class _End(Flowable):  # type: ignore[misc]
    """At the end of the last page: now it is known how many there are, and files are attached."""

    def __init__(self, files: dict[str, tuple[str, str]]) -> None:
        super().__init__()
        self._files = files

    def wrap(self, *_available: float) -> tuple[float, float]:
        """Takes no room."""
        return 0, 0

    def draw(self) -> None:
        """Define the part of the footers that was left open."""
        canvas: Canvas = self.canv
        pages = canvas.getPageNumber()
        canvas.beginForm(_TOTAL)
        canvas.setFont(SANS, 7.5)
        canvas.setFillColor(QUIET)
        canvas.drawString(0, 0, f" of {pages}")
        canvas.endForm()
        attach(canvas, self._files)


def _unquoted(text: str) -> str:
    """Text that is written uncompressed: without quotes it cannot look like a seal."""
    return text.replace('"', "'")


def _document(path: Path, contents: Contents) -> _Document:
    details = contents.details
    title = plain(details.title)
    if len(title) > _TITLE_MOST:
        title = f"{title[: _TITLE_MOST - 1]}…"

    def footer(canvas: Canvas, _document: BaseDocTemplate) -> None:
        right, low = A4[0] - _MARGIN, 11 * mm
        canvas.saveState()
        canvas.setStrokeColor(RULE)
        canvas.line(_MARGIN, low + 10, right, low + 10)
        canvas.setFont(SANS, 7.5)
        canvas.setFillColor(QUIET)
        canvas.drawString(_MARGIN, low, f"{title}, {details.made}")
        canvas.drawRightString(right - 24, low, f"Page {canvas.getPageNumber()}")
        canvas.translate(right - 24, low)
        canvas.doForm(_TOTAL)
        canvas.restoreState()

    frame = Frame(
        _MARGIN, 19 * mm, WIDTH, A4[1] - 19 * mm - 16 * mm,
        leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
    )  # fmt: skip
    return _Document(
        str(path),
        pagesize=A4,
        pageTemplates=[PageTemplate("page", [frame], onPage=footer)],
        title=_unquoted(plain(details.title)),
        author=_unquoted(plain(details.analyst)),
        creator=f"mesoscope {details.version}",
        producer="reportlab",
        lang="en",
        pageCompression=1,
    )
