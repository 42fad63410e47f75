"""Make a report: what is asked for, checked early; evidence gathered; the file written."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope import __version__
from mesoscope.errors import OptionError
from mesoscope.files.names import shown
from mesoscope.models.file import find_model
from mesoscope.report import require
from mesoscope.report.case.contents import (
    PICTURES,
    CaseDetails,
    collect,
    model_facts,
    model_path,
    settings_of,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mesoscope.detection.detector import Detector
    from mesoscope.report.case.contents import ReportSettings
    from mesoscope.report.case.evidence import Judge
    from mesoscope.report.case.items import VerdictSpool
    from mesoscope.types import DetectOptions, Thresholds

__all__ = ["FORMATS", "ReportOptions", "WrittenReport", "make_report", "refuse_report",
           "report_judged",
           "report_read", "with_maps"]  # fmt: skip

FORMATS = (".html", ".htm", ".pdf")


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What a report says beside its verdicts, and how much it shows.

    Attributes:
        title: Empty for one made from the number of files.
        case: Number or name of the case.
        analyst: Who hands it over.
        pictures: Files shown with their evidence, at most: the most suspicious.
        key: Signs it, see :func:`mesoscope.report.case.seal.read_private`.
        watch: Called after each file that is shown, with how many are done and of how many.
    """

    title: str = ""
    case: str = ""
    analyst: str = ""
    pictures: int = PICTURES
    key: Ed25519PrivateKey | None = None
    watch: Callable[[int, int], None] | None = None


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report that was written.

    Attributes:
        path: Its file.
        files: It is about so many.
        with_evidence: So many of them are shown with their evidence.
        digest: That of its seal.
        signed: Whether it is signed.
    """

    path: Path
    files: int
    with_evidence: int
    digest: str
    signed: bool


def refuse_report(out: Path) -> None:
    """Miss what can be missed before the work: the suffix, the folder, the extra.

    Raises:
        OptionError: Neither HTML nor PDF, a folder, or in a folder that is not there.
        MissingExtra: The ``report`` extra is not installed.
    """
    if out.suffix.lower() not in FORMATS:
        raise OptionError(f"{out}: a report is written as .html or .pdf: name the file so")
    if out.is_dir():
        raise OptionError(f"{out}: a folder: name a file for the report")
    if not out.parent.is_dir():
        raise OptionError(f"{out}: there is no folder {out.parent}: make it first")
    require("matplotlib", "jinja2", "reportlab")


def make_report(
    items: VerdictSpool,
    out: Path,
    *,
    options: ReportOptions | None = None,
    judge: Judge | None = None,
    settings: ReportSettings | None = None,
    thresholds: Thresholds | None = None,
    model: Path | None = None,
) -> WrittenReport:
    """Gather the evidence for verdicts, and write the report.

    Args:
        items: The verdicts.
        out: The file to write, ``.html`` or ``.pdf``; replaced whole.
        options: What it says and shows.
        judge: Judges those that are shown once more, for their evidence maps.
        settings: By which the verdicts were given, where that is known.
        thresholds: In force, where that is known.
        model: A model file besides those that are shipped, to tell facts of.

    Raises:
        OptionError: As :func:`refuse_report`, or too many files for a PDF.
        MissingExtra: The ``report`` extra is not installed.
        OutputError: It cannot be written.
    """
    from mesoscope.report.case.page import write_page
    from mesoscope.report.case.pdf import refuse_long, write_pdf

    refuse_report(out)
    options = options or ReportOptions()
    paper = out.suffix.lower() == ".pdf"
    if paper:
        refuse_long(len(items), out)
    details = CaseDetails.now(
        options.title or _title(items),
        version=__version__,
        reference=options.case,
        analyst=options.analyst,
    )
    contents = collect(
        items,
        details,
        models=lambda ids: model_facts(ids, at_hand=model),
        settings=settings,
        thresholds=thresholds,
        judge=judge,
        pictures=options.pictures,
        watch=options.watch,
    )
    digest = (write_pdf if paper else write_page)(contents, out, key=options.key)
    return WrittenReport(out, len(items), len(contents.evidence), digest, options.key is not None)


def report_judged(
    items: VerdictSpool,
    out: Path,
    detector: Detector,
    *,
    model: str | os.PathLike[str],
    options: ReportOptions | None = None,
) -> WrittenReport:
    """Report what a detector has just judged: model, settings and thresholds are known.

    Args:
        items: The verdicts; a scan writes them there, as into any other sink.
        out: The file to write, ``.html`` or ``.pdf``.
        detector: Judged them.
        model: Its model, by name or file: it judges once more what is shown, for evidence maps.
        options: What the report says and shows.

    Raises:
        As :func:`make_report`.
    """
    path = find_model(model)
    return make_report(
        items,
        out,
        options=options,
        judge=with_maps(path, detector.options),
        settings=settings_of(detector.options, detector.thresholds),
        thresholds=detector.thresholds,
        model=path,
    )


def report_read(
    items: VerdictSpool,
    out: Path,
    detector: Detector,
    *,
    model: str | os.PathLike[str],
    options: ReportOptions | None = None,
) -> WrittenReport:
    """Report verdicts that were given before: by which settings is not known.

    Args:
        items: The verdicts.
        out: The file to write, ``.html`` or ``.pdf``.
        detector: Its options judge once more what is shown, by the model that most verdicts name.
        model: A model that they may name, besides those that are shipped.
        options: What the report says and shows.

    Raises:
        As :func:`make_report`.
    """
    from collections import Counter

    at_hand = find_model(model)
    named = Counter(item.verdict.model for item in items).most_common(1)
    path = model_path(named[0][0], at_hand=at_hand) if named else None
    judge = None if path is None else with_maps(path, detector.options)
    return make_report(items, out, options=options, judge=judge, model=at_hand)


def with_maps(model: Path, options: DetectOptions) -> Detector:
    """A detector by the same options that keeps evidence maps."""
    from mesoscope.detection.detector import DetectorSpec

    return DetectorSpec.of(model, dataclasses.replace(options, heat=True)).build()


def _title(items: VerdictSpool) -> str:
    if len(items) == 1:
        (item,) = items
        return f"Check of {shown(Path(item.verdict.source).name)}"
    return f"Check of {len(items):,} files"
