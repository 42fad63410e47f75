"""What ``scan --report``, ``report`` and ``serve`` share: the key's options, and what is said."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tqdm import tqdm

    from mesoscope.report.case.make import ReportOptions, WrittenReport

VARIABLE = "MESOSCOPE_KEY_PASSPHRASE"  # for scripts, which nobody can ask

sign = click.option(
    "--sign",
    metavar="KEY.pem",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Sign the report with this private key (mesoscope report keygen).",
)


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


@contextlib.contextmanager
def report_options(
    out: Path,
    *,
    sign: Path | None,
    pictures: int | None = None,
    title: str = "",
    case: str = "",
    analyst: str = "",
) -> Iterator[ReportOptions]:
    """Miss what can be missed before the work; show a bar while evidence is gathered.

    Raises:
        OptionError: A report that cannot be written, or a key that cannot be used.
        MissingExtra: The ``report`` extra is not installed.
    """
    from mesoscope.report.case.contents import PICTURES
    from mesoscope.report.case.make import ReportOptions, refuse_report
    from mesoscope.report.case.seal import read_private

    refuse_report(out)
    key = None if sign is None else read_private(sign, ask=lambda: passphrase(sign))
    shown = PICTURES if pictures is None else pictures
    with contextlib.ExitStack() as stack:
        bars: list[tqdm[None]] = []

        def watch(_done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(bar(total=total, what="evidence", unit="files")))
            bars[0].update()

        yield ReportOptions(title, case, analyst, shown, key, watch)


def say_written(written: WrittenReport) -> None:
    """One line on the report."""
    noun = "file" if written.files == 1 else "files"
    echo(
        f"{written.path}: {written.files:,} {noun}, {written.with_evidence} with evidence"
        f"{', signed' if written.signed else ''}; its digest is {written.digest}",
        err=True,
    )
