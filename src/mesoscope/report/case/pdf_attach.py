"""Files inside a PDF: the report's record and its seal, uncompressed, so that they are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportlab.pdfbase.pdfdoc import (
    PDFArray,
    PDFDictionary,
    PDFName,
    PDFStream,
    PDFString,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reportlab.pdfgen.canvas import Canvas


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
