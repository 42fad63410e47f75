"""``mesoscope report``: hand over, check and sign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mesoscope.cli import judging, options, report_file
from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo
from mesoscope.cli.job import ledger as ledger_option
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.numbers import WholeRange
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.report.case.record import Check, State

_LISTED = 50  # files that are not as they were, named one by one
_SIGNATURES = {
    "good": "good: signed with the key that you gave",
    "other_key": "NOT by the key that you gave: another key signed it",
    "broken": "BROKEN: it does not fit this report",
    "absent": "MISSING: you gave a key, and this report is not signed",
    "unsigned": "none: whoever alters the report on purpose can make a new hash",
    "by_unknown": (
        "fits the key inside the report. That does not say whose key it is: get the signer's "
        "public key by another way, and give it with --key"
    ),
}


class Reports(click.Group):
    """``report SOURCE…`` is short for ``report make SOURCE…``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named, else ``make`` with all words."""
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "make", make, args


@click.group("report", cls=Reports, context_settings={"ignore_unknown_options": True})
def command() -> None:
    """Hand over verdicts with their evidence, and check such a report.

    "mesoscope report SOURCE… -o report.html" is short for "mesoscope report make SOURCE… -o
    report.html"; its options stand in "mesoscope report make --help".
    """


@command.command("make")
@click.argument(
    "sources", nargs=-1, required=True, metavar="SOURCE…", type=click.Path(readable=False)
)
@click.option(
    "-o", "--out", required=True, metavar="FILE", type=click.Path(path_type=Path),
    help="The report to write: .html, or .pdf for a case of a few files.",
)  # fmt: skip
@click.option("--title", default="", help="Title of the report.  [default: Check of …]")
@click.option("--case", default="", help="Number or name of the case.")
@click.option("--by", "analyst", default="", help="Who hands the report over.")
@click.option(
    "--pictures", type=WholeRange(0), default=24, show_default=True,
    help="Show so many files with their evidence, the most suspicious.",
)  # fmt: skip
@report_file.sign
@ledger_option
@judging.judging
@options.jobs
def make(
    sources: tuple[str, ...],
    out: Path,
    title: str,
    case: str,
    analyst: str,
    pictures: int,
    sign: Path | None,
    ledger: str | None,
    jobs: int,
) -> int:
    """Write a report of pictures and clips, of a scan's FILE.jsonl, or of a job folder.

    Pictures and clips are judged by the options given here. Verdicts of a .jsonl file and of a job
    stay as they are; those that are shown are judged once more for their evidence maps.
    """
    from mesoscope.scan.reporting import job_among, report_job, report_sources

    model = judging.model()
    with report_file.report_options(
        out, sign=sign, pictures=pictures, title=title, case=case, analyst=analyst
    ) as asked:
        job = job_among(sources, out)
        if job is not None:
            written, left = report_job(job, out, ledger=ledger, model=model, options=asked)
        else:
            given = click.get_current_context().get_parameter_source("ledger")
            if given is ParameterSource.COMMANDLINE:  # in the environment it is meant for jobs only
                raise OptionError("--ledger belongs to jobs: give a job folder as the source")
            detector = judging.detector(jobs=jobs)
            with bar(unit="files") as progress:
                written, failed = report_sources(
                    sources, out, detector, model=model, options=asked,
                    watch=lambda _verdict: progress.update(),
                )  # fmt: skip
    report_file.say_written(written)
    if job is None:
        return INPUT_FAILED if failed else DONE
    if left:
        echo(f"{left:,} files of the job are not judged yet: they are not in it", err=True)
    return DONE


@command.command("verify")
@click.argument("report", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--key", metavar="PUB.pem", type=click.Path(path_type=Path, dir_okay=False),
    help="The signer's public key, got by another way than the report.",
)  # fmt: skip
@click.option(
    "--root", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
    help="Where relative paths of files start.  [default: the current folder]",
)  # fmt: skip
@click.option("--model", help="A model file to compare with the report's, besides the shipped.")
@click.option(
    "--report-only", is_flag=True, help="Check the report, and not the files it is about."
)
def verify(
    report: Path, key: Path | None, root: Path | None, model: str | None, report_only: bool
) -> int:
    """Recompute the hashes of a report, and check its signature.

    Exit codes: 0 all is as it was, 1 the report or a file is not, or a file is missing.
    """
    from mesoscope.models.file import find_model
    from mesoscope.report.case.record import verify as check
    from mesoscope.report.case.seal import read_public

    given = None if key is None else read_public(key)
    at_hand = None if model is None else find_model(model)
    odd: list[tuple[State, str]] = []

    def watch(source: str, state: State) -> None:
        if state != "unchanged" and len(odd) < _LISTED:
            odd.append((state, source))

    found = check(report, key=given, root=root, model=at_hand, files=not report_only, watch=watch)
    _tell(report, found, odd, report_only=report_only)
    moved = found.files["changed"] + found.files["missing"]
    changed_model = "changed" in found.models.values()
    return DONE if found.trusted and not moved and not changed_model else INPUT_FAILED


def _tell(
    report: Path, found: Check, odd: Sequence[tuple[State, str]], *, report_only: bool
) -> None:
    from mesoscope.files.names import shown

    seal = found.seal
    state = "as it was made" if seal.intact else "ALTERED: its bytes do not fit its hash"
    echo(f"{report}")
    echo(f"  report     {state} ({shown(found.made)}, mesoscope {shown(found.version)})")
    echo(f"  digest     {seal.content_sha256}")
    echo(f"  signature  {_SIGNATURES[found.signature]}")
    if seal.signed:
        echo(f"  key        {seal.key_fingerprint}")
    settings = {None: "not recorded", True: "fit their hash", False: "do NOT fit their hash"}
    echo(f"  settings   {settings[found.settings_match]}")
    for name, model_state in found.models.items():
        said = {"missing": "its file is not at hand", "unknown": "its hash is not recorded"}
        echo(f"  model      {shown(name)}: {said.get(model_state, model_state)}")
    if report_only:
        return
    parts = [f"{found.files[state]:,} {state}" for state in ("unchanged", "changed", "missing")]
    unknown = found.files["unknown"]
    if unknown:
        parts.append(f"{unknown:,} not to be read")
    echo(f"  files      {', '.join(parts)}")
    for file_state, source in odd:
        echo(f"    {file_state:<9}  {shown(source)}")
    rest = sum(found.files.values()) - found.files["unchanged"] - len(odd)
    if rest:
        echo(f"    and {rest:,} more")


@command.command("keygen")
@click.argument("key", metavar="KEY.pem", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--passphrase", is_flag=True,
    help="Protect KEY.pem by a passphrase, which is asked for, and again at each signing.",
)  # fmt: skip
def keygen(key: Path, passphrase: bool) -> int:
    """Make a key pair: KEY.pem signs and stays secret, KEY.pub.pem is given away.

    Neither file is ever overwritten. Without --passphrase, only its mode, 0600, keeps others from
    KEY.pem. Scripts give the passphrase in the variable MESOSCOPE_KEY_PASSPHRASE.
    """
    from mesoscope.report.case.seal import make_keys

    secret = report_file.passphrase(key, new=True) if passphrase else None
    public, digits = make_keys(key, passphrase=secret)
    echo(f"{key}: signs, keep it secret")
    echo(f"{public}: give this one to those who check your reports")
    echo(f"fingerprint  {digits}")
    return DONE
