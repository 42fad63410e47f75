"""Make a case report: check the arguments, collect the evidence, write the file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope import __version__
from mesoscope.errors import OptionError
from mesoscope.files.atomic import refuse_missing_parent
from mesoscope.files.escape import escape_name
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
    """Options of a case report.

    Attributes:
        title: Title; if empty, made from the number of files.
        case: Number or name of the case.
        analyst: Name of the analyst.
        pictures: Largest number of files with evidence: the most suspicious.
        key: Signing key, see :func:`mesoscope.report.case.seal.read_private`.
        watch: Called after each file with evidence, with the number done and the total.
    """

    title: str = ""
    case: str = ""
    analyst: str = ""
    pictures: int = PICTURES
    key: Ed25519PrivateKey | None = None
    watch: Callable[[int, int], None] | None = None


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A written report.

    Attributes:
        path: Path of the report.
        files: Number of files in it.
        with_evidence: Number of files with evidence.
        digest: Digest in its seal.
        signed: Whether it is signed.
        models: Ids of the models of its verdicts.
    """

    path: Path
    files: int
    with_evidence: int
    digest: str
    signed: bool
    models: tuple[str, ...] = ()


def refuse_report(out: Path) -> None:
    """Check before long work that a report can be written: suffix, folder, extra.

    Raises:
        OptionError: The suffix is neither HTML nor PDF, ``out`` is a folder, or its folder is
            missing.
        MissingExtra: The ``report`` extra is not installed.
    """
    if out.suffix.lower() not in FORMATS:
        raise OptionError(f"{out}: a report is written as .html or .pdf: name the file so")
    if out.is_dir():
        raise OptionError(f"{out}: a folder: name a file for the report")
    refuse_missing_parent(out)
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
    """Collect the evidence for verdicts, and write the report.

    Args:
        items: The verdicts.
        out: The file to write, ``.html`` or ``.pdf``; written atomically.
        options: Options of the report.
        judge: Judges the shown items again, for their evidence maps.
        settings: Settings of the verdicts, if known.
        thresholds: Thresholds of the verdicts, if known.
        model: A model file besides the shipped ones, for its facts.

    Raises:
        OptionError: As for :func:`refuse_report`, or there are too many files for a PDF.
        MissingExtra: The ``report`` extra is not installed.
        OutputError: The report is not writable.
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
    return WrittenReport(
        out, len(items), len(contents.evidence), digest, options.key is not None,
        tuple(model.id for model in contents.models),
    )  # fmt: skip


def report_judged(
    items: VerdictSpool,
    out: Path,
    detector: Detector,
    *,
    model: str | os.PathLike[str],
    options: ReportOptions | None = None,
) -> WrittenReport:
    """Report verdicts of a detector in this process, whose model and settings are known.

    Args:
        items: The verdicts; a scan writes them there, as into other sinks.
        out: The file to write, ``.html`` or ``.pdf``.
        detector: The detector of the verdicts.
        model: Its model, by name or file, to judge shown items again for evidence maps.
        options: Options of the report.

    Raises:
        As for :func:`make_report`.
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
    """Report earlier verdicts, whose settings are unknown.

    Args:
        items: The verdicts.
        out: The file to write, ``.html`` or ``.pdf``.
        detector: Its options judge shown items again, with the most frequent model of the verdicts.
        model: A model that the verdicts may name, besides the shipped ones.
        options: Options of the report.

    Raises:
        As for :func:`make_report`.
    """
    from collections import Counter

    at_hand = find_model(model)
    named = Counter(item.verdict.model for item in items).most_common(1)
    path = model_path(named[0][0], at_hand=at_hand) if named else None
    judge = None if path is None else with_maps(path, detector.options)
    return make_report(items, out, options=options, judge=judge, model=at_hand)


def with_maps(model: Path, options: DetectOptions) -> Detector:
    """Return a detector with the same options and evidence maps."""
    from mesoscope.detection.detector import DetectorSpec

    return DetectorSpec.of(model, dataclasses.replace(options, heat=True)).build()


def _title(items: VerdictSpool) -> str:
    if len(items) == 1:
        (item,) = items
        return f"Check of {escape_name(Path(item.verdict.source).name)}"
    return f"Check of {len(items):,} files"
