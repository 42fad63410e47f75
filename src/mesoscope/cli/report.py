"""``mesoscope report``, and what ``scan --report`` and ``serve`` share with it: options, keys."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from mesoscope.cli import detection, options
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.options import WholeRange
from mesoscope.cli.printing import echo, plural
from mesoscope.cli.progress import bar
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tqdm import tqdm

    from mesoscope.report.case.make import ReportOptions, WrittenReport
    from mesoscope.report.case.record import Check, State

_LISTED = 50  # changed or missing files named one by one
_SIGNATURES = {
    "good": "good: signed with the given key",
    "other_key": "WRONG KEY: signed with another key than the given one",
    "broken": "BROKEN: it does not match this report",
    "absent": "MISSING: a key was given, but this report is not signed",
    "unsigned": "none: someone who alters the report can also replace its hash",
    "by_unknown": (
        "matches the key inside the report, whose owner is unknown: get the signer's public key "
        "over another channel, and give it with --key"
    ),
}


class Reports(click.Group):
    """``report SOURCE…`` is short for ``report make SOURCE…``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the named command, otherwise ``make`` with all arguments."""
        if args and args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return "make", make, args


@click.group("report", cls=Reports, context_settings={"ignore_unknown_options": True})
def command() -> None:
    """Write a report of verdicts with evidence, or verify one.

    "mesoscope report SOURCE… -o report.html" is short for "mesoscope report make SOURCE… -o
    report.html"; "mesoscope report make --help" lists its options.
    """


@command.command("make")
@click.argument(
    "sources", nargs=-1, required=True, metavar="SOURCE…", type=click.Path(readable=False)
)
@click.option(
    "-o", "--out", required=True, metavar="FILE", type=click.Path(path_type=Path),
    help="The report to write: .html, or .pdf for a few files.",
)  # fmt: skip
@click.option("--title", default="", help="Title of the report.  [default: Check of …]")
@click.option("--case", default="", help="Number or name of the case.")
@click.option("--by", "analyst", default="", help="Author of the report.")
@click.option(
    "--pictures", type=WholeRange(0), default=24, show_default=True,
    help="Number of files shown with evidence, the most suspicious first.",
)  # fmt: skip
@options.sign
@options.ledger
@detection.detection_options()
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

    Pictures and clips are judged with these options. Verdicts of a .jsonl file or a job are kept;
    the files shown with evidence are judged again for their evidence maps.
    """
    from mesoscope.scan.reporting import job_among, report_job, report_sources

    model = detection.model()
    with signed_report_options(
        out, sign=sign, pictures=pictures, title=title, case=case, analyst=analyst
    ) as report_options:
        job = job_among(sources, out)
        if job is not None:
            written, left = report_job(job, out, ledger=ledger, model=model, options=report_options)
        else:
            if ledger is not None:
                raise OptionError("--ledger needs a job folder as the source")
            detector = detection.build(detection.spec(jobs=jobs))
            with bar(unit="files") as progress:
                written, failed = report_sources(
                    sources, out, detector, model=model, options=report_options,
                    watch=lambda _verdict: progress.update(),
                )  # fmt: skip
    print_written(written)
    _tell_unused_model(model, written)
    if job is None:
        if not written.files:
            echo("no picture or clip was found: check the path", err=True)
        return INPUT_FAILED if failed else DONE
    if left:
        echo(f"{left:,} files of the job are not judged yet, and not in the report", err=True)
    return DONE


@command.command("verify")
@click.argument("report", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--key", metavar="PUB.pem", type=click.Path(path_type=Path, dir_okay=False),
    help="The signer's public key, received over another channel than the report.",
)  # fmt: skip
@click.option(
    "--root", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
    help="Base of relative paths of files.  [default: the current folder]",
)  # fmt: skip
@click.option(
    "--model", help="A model file to compare with the report's, besides the shipped ones."
)
@click.option("--report-only", is_flag=True, help="Check the report only, not its files.")
def verify(
    report: Path, key: Path | None, root: Path | None, model: str | None, report_only: bool
) -> int:
    """Recompute the hashes of a report, its files and its models, and check its signature.

    Exit codes: 0 nothing changed, 1 something changed, a file is missing, or the signature is not
    valid for --key.
    """
    from mesoscope.models.file import find_model
    from mesoscope.report.case.record import verify as check
    from mesoscope.report.case.seal import read_public

    public_key = None if key is None else read_public(key)
    model_file = None if model is None else find_model(model)
    different: list[tuple[State, str]] = []

    def watch(source: str, state: State) -> None:
        if state != "unchanged" and len(different) < _LISTED:
            different.append((state, source))

    result = check(
        report, key=public_key, root=root, model=model_file, files=not report_only, watch=watch
    )
    _print_check(report, result, different, report_only=report_only)
    unchanged = not (
        result.files["changed"] or result.files["missing"] or "changed" in result.models.values()
    )
    return DONE if result.trusted and unchanged else INPUT_FAILED


def _print_check(
    report: Path, check: Check, different: Sequence[tuple[State, str]], *, report_only: bool
) -> None:
    from mesoscope.files.escape import escape_name

    seal = check.seal
    state = "unchanged" if seal.intact else "ALTERED: its content does not match its hash"
    echo(f"{report}")
    echo(
        f"  report     {state} ({escape_name(check.made)}, mesoscope {escape_name(check.version)})"
    )
    echo(f"  digest     {seal.content_sha256}")
    echo(f"  signature  {_SIGNATURES[check.signature]}")
    if seal.signed:
        echo(f"  key        {seal.key_fingerprint}")
    settings = {None: "not recorded", True: "match their hash", False: "do NOT match their hash"}
    echo(f"  settings   {settings[check.settings_match]}")
    for name, model_state in check.models.items():
        words = {"missing": "its file was not found", "unknown": "its hash is not recorded"}
        echo(f"  model      {escape_name(name)}: {words.get(model_state, model_state)}")
    if report_only:
        return
    parts = [f"{check.files[state]:,} {state}" for state in ("unchanged", "changed", "missing")]
    unknown = check.files["unknown"]
    if unknown:
        parts.append(f"{unknown:,} unreadable")
    echo(f"  files      {', '.join(parts)}")
    for file_state, source in different:
        echo(f"    {file_state:<9}  {escape_name(source)}")
    rest = sum(check.files.values()) - check.files["unchanged"] - len(different)
    if rest:
        echo(f"    and {rest:,} more")


@command.command("keygen")
@click.argument("key", metavar="KEY.pem", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--passphrase", is_flag=True,
    help="Encrypt KEY.pem with a passphrase; the terminal prompts for it now and at each signing.",
)  # fmt: skip
def keygen(key: Path, passphrase: bool) -> int:
    """Make an Ed25519 key pair: the private KEY.pem and the public KEY.pub.pem.

    Neither file is ever overwritten. Without --passphrase, only the mode of KEY.pem, 0600, protects
    it. Scripts pass the passphrase in the variable MESOSCOPE_KEY_PASSPHRASE.
    """
    from mesoscope.report.case.seal import make_keys

    secret = ask_passphrase(key, new=True) if passphrase else None
    public, fingerprint = make_keys(key, passphrase=secret)
    echo(f"{key}: the private key, keep it secret")
    echo(f"{public}: the public key, give it to those who verify your reports")
    echo(f"fingerprint  {fingerprint}")
    return DONE


VARIABLE = "MESOSCOPE_KEY_PASSPHRASE"  # for scripts, which have no terminal


def ask_passphrase(key: Path, *, new: bool = False) -> str:
    """Return the passphrase of a private key, from the environment or a prompt on the terminal.

    Args:
        key: File of the key.
        new: The key is about to be made, so the prompt asks twice.

    Raises:
        OptionError: The variable is not set, and there is no terminal.
    """
    variable = os.environ.get(VARIABLE)
    if variable:
        return variable
    if not sys.stdin.isatty():
        raise OptionError(f"{key}: needs a passphrase, and there is no terminal: set {VARIABLE}")
    typed: str = click.prompt(
        f"Passphrase of {key}", hide_input=True, confirmation_prompt=new, err=True
    )
    return typed


@contextlib.contextmanager
def signed_report_options(
    out: Path,
    *,
    sign: Path | None,
    pictures: int | None = None,
    title: str = "",
    case: str = "",
    analyst: str = "",
) -> Iterator[ReportOptions]:
    """Check the options of a report before the work, and show a bar while evidence is collected.

    Raises:
        OptionError: The report cannot be written, or the key cannot be used.
        MissingExtra: The ``report`` extra is not installed.
    """
    from mesoscope.report.case.contents import PICTURES
    from mesoscope.report.case.make import ReportOptions, refuse_report
    from mesoscope.report.case.seal import read_private

    refuse_report(out)
    key = None if sign is None else read_private(sign, ask=lambda: ask_passphrase(sign))
    if pictures is None:
        pictures = PICTURES
    with contextlib.ExitStack() as stack:
        bars: list[tqdm[None]] = []

        def watch(_done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(bar(total=total, what="evidence", unit="files")))
            bars[0].update()

        yield ReportOptions(title, case, analyst, pictures, key, watch)


def _tell_unused_model(model: str, written: WrittenReport) -> None:
    """Say so where ``--model`` is given and the verdicts, made earlier, are not of that model."""
    from mesoscope.files.escape import escape_name
    from mesoscope.models.file import find_model, model_id

    given = click.get_current_context().get_parameter_source("model")
    if given is ParameterSource.DEFAULT or not written.models:
        return
    one = model_id(find_model(model))
    if one not in written.models:
        echo(
            f"--model {escape_name(model)} is not used: the verdicts are by "
            f"{', '.join(map(escape_name, written.models))}: name pictures, clips or folders to "
            "have them judged by it",
            err=True,
        )


def print_written(written: WrittenReport) -> None:
    """Print a line about a written report."""
    signed = ", signed" if written.signed else ""
    echo(
        f"{written.path}: {plural(written.files, 'file')}, {written.with_evidence} with "
        f"evidence{signed}; its digest is {written.digest}",
        err=True,
    )
