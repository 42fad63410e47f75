"""What ``scan --report`` and ``report`` share: what is asked for, checked early, and written."""

from __future__ import annotations

import dataclasses
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope import __version__
from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mesoscope.detection.detector import Detector
    from mesoscope.report.case.evidence import Judge
    from mesoscope.report.case.facts import Settings
    from mesoscope.report.case.items import Spool
    from mesoscope.scan.ledger_reader import LedgerReader
    from mesoscope.types import DetectOptions, Thresholds

FORMATS = (".html", ".htm", ".pdf")

sign = click.option(
    "--sign",
    metavar="KEY.pem",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Sign the report with this private key (mesoscope report keygen).",
)


VARIABLE = "MESOSCOPE_KEY_PASSPHRASE"  # for scripts, which nobody can ask


def passphrase(key: Path, *, new: bool = False) -> str:
    """The passphrase of a private key: from the environment, else asked for on the terminal.

    Args:
        key: The key's file.
        new: It is about to be made, so what is typed is asked for twice.

    Raises:
        OptionError: Neither is there.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return given
    if not sys.stdin.isatty():
        raise OptionError(
            f"{key}: needs a passphrase, and there is no terminal to ask on: set {VARIABLE}"
        )
    told: str = click.prompt(
        f"Passphrase of {key}", hide_input=True, confirmation_prompt=new, err=True
    )
    return told


@dataclass(frozen=True, slots=True)
class Wanted:
    """A report that is asked for.

    Attributes:
        out: The file to write.
        key: Signs it.
        pictures: Files shown with their evidence, at most.
        title: Empty for one made from the number of files.
        case: Number or name of the case.
        analyst: Who hands it over.
    """

    out: Path
    key: Ed25519PrivateKey | None
    pictures: int
    title: str = ""
    case: str = ""
    analyst: str = ""


def wanted(
    out: Path,
    *,
    sign: Path | None,
    pictures: int | None = None,
    title: str = "",
    case: str = "",
    analyst: str = "",
) -> Wanted:
    """Miss what can be missed before the work.

    Raises:
        OptionError: Neither HTML nor PDF, no such folder, or a key that cannot be used.
        MissingExtra: The ``report`` extra is not installed.
    """
    if out.suffix.lower() not in FORMATS:
        raise OptionError(f"{out}: a report is written as .html or .pdf: name the file so")
    if out.is_dir():
        raise OptionError(f"{out}: a folder: name a file for the report")
    if not out.parent.is_dir():
        raise OptionError(f"{out}: there is no folder {out.parent}: make it first")
    from mesoscope.report import require

    require("matplotlib", "jinja2", "reportlab")
    from mesoscope.report.case.contents import PICTURES
    from mesoscope.report.case.keys import read_private

    key = None if sign is None else read_private(sign, ask=lambda: passphrase(sign))
    shown = PICTURES if pictures is None else pictures
    return Wanted(out, key, shown, title, case, analyst)


def write_report(
    asked: Wanted,
    items: Spool,
    *,
    judge: Judge | None,
    settings: Settings | None,
    thresholds: Thresholds | None,
    model: Path | None,
) -> None:
    """Gather the evidence, write the report, and say what was written.

    Args:
        asked: What is asked for.
        items: The verdicts.
        judge: Judges those that are shown once more, for their evidence maps.
        settings: By which the verdicts were given, where that is known.
        thresholds: In force, where that is known.
        model: A model file besides those that are shipped.

    Raises:
        OptionError: Too many files for a PDF.
        OutputError: It cannot be written.
    """
    from mesoscope.report.case.contents import collect
    from mesoscope.report.case.facts import CaseDetails, model_facts
    from mesoscope.report.case.page import write_page
    from mesoscope.report.case.pdf import refuse_long, write_pdf

    paper = asked.out.suffix.lower() == ".pdf"
    if paper:
        refuse_long(len(items), asked.out)
    details = CaseDetails.now(
        asked.title or _title(items),
        version=__version__,
        reference=asked.case,
        analyst=asked.analyst,
    )
    with bar(total=min(asked.pictures, len(items)), what="evidence", unit="files") as progress:
        contents = collect(
            items, details,
            models=lambda ids: model_facts(ids, at_hand=model),
            settings=settings, thresholds=thresholds, judge=judge, pictures=asked.pictures,
            watch=lambda _done, _of: progress.update(),
        )  # fmt: skip
    digest = (write_pdf if paper else write_page)(contents, asked.out, key=asked.key)
    noun = "file" if len(items) == 1 else "files"
    echo(
        f"{asked.out}: {len(items):,} {noun}, {len(contents.evidence)} with evidence"
        f"{', signed' if asked.key else ''}; its digest is {digest}",
        err=True,
    )


def new_spool() -> Spool:
    """Where verdicts wait for their report."""
    from mesoscope.report.case.items import Spool

    return Spool()


def _title(items: Spool) -> str:
    if len(items) == 1:
        from mesoscope.files.names import shown

        (item,) = items
        return f"Check of {shown(Path(item.verdict.source).name)}"
    return f"Check of {len(items):,} files"


def detector_with_heat(model: str | Path, options: DetectOptions) -> Detector:
    """A detector by the same options that keeps evidence maps."""
    from mesoscope.detection.detector import Detector

    return Detector(model, **{**dataclasses.asdict(options), "heat": True})


def report_of_detector(asked: Wanted, items: Spool, model: str, detector: Detector) -> None:
    """Write the report of what a detector has judged."""
    from mesoscope.models.file import find_model
    from mesoscope.report.case.facts import settings_of

    write_report(
        asked, items,
        judge=detector_with_heat(model, detector.options),
        settings=settings_of(detector.options, detector.thresholds),
        thresholds=detector.thresholds,
        model=find_model(model),
    )  # fmt: skip


def report_of_job(asked: Wanted, ledger: LedgerReader, *, model: Path | None) -> None:
    """Write the report of a job folder, by the settings that the job was begun with."""
    from mesoscope.report.case.facts import model_path, settings_of
    from mesoscope.report.case.items import Spool
    from mesoscope.scan.export import parsed
    from mesoscope.types import DetectOptions, Verdict

    facts = ledger.facts()
    begun = facts.get("settings")
    known = {field.name for field in dataclasses.fields(DetectOptions)}
    options = DetectOptions(
        **{k: v for k, v in (begun if isinstance(begun, dict) else {}).items() if k in known}  # type: ignore[arg-type]
    )
    path = model_path(str(facts.get("model")), at_hand=model)
    judge = None if path is None else detector_with_heat(path, options)
    thresholds = None if judge is None else judge.thresholds
    with Spool() as items:
        for row in ledger.results():
            parsed(row)
            judged = None if row.sha256 is None else row.sha256.hex()
            items.add(Verdict.from_json(row.verdict), judged_sha256=judged)
        write_report(
            asked, items, judge=judge, settings=settings_of(options, thresholds),
            thresholds=thresholds, model=model,
        )  # fmt: skip
