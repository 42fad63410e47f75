"""Write a case report as a PDF document, with the contents of the HTML page."""

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
from mesoscope.report.case.record import record_head, record_rows
from mesoscope.report.case.seal import blank_seal, fingerprint, public_bytes, sealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from reportlab.pdfgen.canvas import Canvas

    from mesoscope.report.case.contents import Contents


def attach(canvas: Canvas, files: Mapping[str, tuple[str, str]]) -> None:
    """Attach files to a PDF (PDF 1.7, 7.11.4).

    Args:
        canvas: Canvas of the document, before it is saved.
        files: Description and ASCII text by name, in the order of names, as PDF requires.
    """
    document = canvas._doc  # noqa: SLF001 - reportlab has no public way to attach
    names: list[object] = []
    for name, (description, text) in files.items():
        about = PDFDictionary({"Type": PDFName("EmbeddedFile")})
        stream = PDFStream(about, text.encode("ascii") + b"\n", filters=[])
        entry = PDFDictionary(
            {
                "Type": PDFName("Filespec"),
                "F": PDFString(name),
                "UF": PDFString(name),
                "Desc": PDFString(description),
                "AFRelationship": PDFName("Data"),
                "EF": PDFDictionary({"F": document.Reference(stream)}),
            }
        )
        names += [PDFString(name), document.Reference(entry)]
    tree = PDFDictionary({"EmbeddedFiles": PDFDictionary({"Names": PDFArray(names)})})
    document.Catalog.Names = tree


PDF_MOST = 200  # files; longer lists belong on the HTML page, which has a search
_MARGIN = 18 * mm
_TOTAL = "number-of-pages"
_TITLE_MOST = 70  # characters of the title in a footer


def refuse_long(n_items: int, path: Path) -> None:
    """Check that a PDF does not get too many files.

    Raises:
        OptionError: There are more than :data:`PDF_MOST` files.
    """
    if n_items > PDF_MOST:
        raise OptionError(
            f"{path}: a PDF is for a case of up to {PDF_MOST} files, and these are {n_items:,}: "
            "write an .html report, which can be searched"
        )


def write_pdf(contents: Contents, path: Path, *, key: Ed25519PrivateKey | None = None) -> str:
    """Write the report as PDF.

    Args:
        contents: Contents of the report.
        path: The file to write; replaced when the new one is complete.
        key: Signing key.

    Returns:
        The digest in the seal.

    Raises:
        OptionError: There are too many files for a PDF.
        OutputError: The report is not writable.
    """
    refuse_long(contents.tally.total, path)
    load_fonts()
    items = [ReportEntry(evidence, contents.thresholds) for evidence in contents.evidence]
    first = record_head(contents.details, contents.models, contents.settings, contents.tally)
    files = {
        "record.json": (
            "All verdicts and hashes of this report",
            f"{first}\n{''.join(record_rows(contents.items, contents.numbered_verdicts))}",
        ),
        "seal.json": ("The digest of this report, and its signature", blank_seal(key)),
    }
    signer = "" if key is None else fingerprint(public_bytes(key))
    with sealed(path, key) as sealing:
        _document(sealing.fresh, contents).build([*story(contents, items, signer), _End(files)])
    return sealing.digest


class _Document(BaseDocTemplate):  # type: ignore[misc]
    """A document with its headings as outline."""

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 - named by reportlab
        """Add a bookmark for headings."""
        style = getattr(flowable, "style", None)
        if style not in (HEAD, ITEM):
            return
        canvas: Canvas = self.canv
        name = f"at-{canvas.getPageNumber()}-{id(flowable)}"
        canvas.bookmarkPage(name)
        text = _unquoted(flowable.getPlainText())
        canvas.addOutlineEntry(text, name, level=0 if style is HEAD else 1, closed=style is HEAD)


class _End(Flowable):  # type: ignore[misc]
    """End of the document, where the number of pages is known and files are attached."""

    def __init__(self, files: dict[str, tuple[str, str]]) -> None:
        super().__init__()
        self._files = files

    def wrap(self, *_available: float) -> tuple[float, float]:
        """Return no size."""
        return 0, 0

    def draw(self) -> None:
        """Define the page count of the footers, and attach the files."""
        canvas: Canvas = self.canv
        pages = canvas.getPageNumber()
        canvas.beginForm(_TOTAL)
        canvas.setFont(SANS, 7.5)
        canvas.setFillColor(QUIET)
        canvas.drawString(0, 0, f" of {pages}")
        canvas.endForm()
        attach(canvas, self._files)


def _unquoted(text: str) -> str:
    """Remove quotes from uncompressed text, so that it cannot look like a seal."""
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
