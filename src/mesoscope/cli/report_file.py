"""Options of a report and its signing key, for ``scan --report``, ``report`` and ``serve``."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.printing import echo, plural
from mesoscope.cli.progress import bar
from mesoscope.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tqdm import tqdm

    from mesoscope.report.case.make import ReportOptions, WrittenReport

VARIABLE = "MESOSCOPE_KEY_PASSPHRASE"  # for scripts, which have no terminal


def passphrase(key: Path, *, new: bool = False) -> str:
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
def report_options(
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
    key = None if sign is None else read_private(sign, ask=lambda: passphrase(sign))
    if pictures is None:
        pictures = PICTURES
    with contextlib.ExitStack() as stack:
        bars: list[tqdm[None]] = []

        def watch(_done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(bar(total=total, what="evidence", unit="files")))
            bars[0].update()

        yield ReportOptions(title, case, analyst, pictures, key, watch)


def print_written(written: WrittenReport) -> None:
    """Print a line about a written report."""
    signed = ", signed" if written.signed else ""
    echo(
        f"{written.path}: {plural(written.files, 'file')}, {written.with_evidence} with "
        f"evidence{signed}; its digest is {written.digest}",
        err=True,
    )
