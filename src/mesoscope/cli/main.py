"""``mesoscope``: loads the command, prints errors as one line, sets the exit code.

Exit codes: 0 done, 1 some input failed or a result could not be written, 2 usage, 3 model or
missing extra, 10 ``--fail-on`` met or severe finding of an audit, 70 internal fault, 130
interrupted.
"""

from __future__ import annotations

import difflib
import importlib
import itertools
import os
import shlex
import sys
import traceback
from typing import TYPE_CHECKING

import click

from mesoscope import __version__
from mesoscope.cli.printing import echo
from mesoscope.errors import (
    DatasetError,
    JobError,
    MesoscopeError,
    MissingExtra,
    ModelError,
    OptionError,
    RecipeError,
    RunError,
)
from mesoscope.errors.failures import cause, describe
from mesoscope.files.escape import escape_text

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {  # name → module, in the order of --help
    "scan": "scan",
    "explain": "explain",
    "watch": "watch",
    "export": "export",
    "report": "report",
    "provenance": "provenance",
    "audit": "audit",
    "evaluate": "evaluate",
    "prepare": "prepare",
    "synth": "synth",
    "shards": "shards",
    "train": "train",
    "prune": "prune",
    "quantize": "quantize",
    "import-keras": "import_keras",
    "models": "models",
    "check": "check",
    "serve": "serve",
    "keys": "keys",
}
_OUTPUTS = frozenset({"-o", "--out", "--report", "--json", "--sheet"})
DONE, INPUT_FAILED, USAGE, MODEL, ALARM, FAULT, INTERRUPTED = 0, 1, 2, 3, 10, 70, 130


class Commands(click.Group):
    """Imports the module of a command only when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        """Return the names of all commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; ``None`` if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mesoscope.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command in the arguments; an unknown one is an error with a suggestion."""
        word = args[0] if args else ""
        if word and word not in COMMANDS and not word.startswith("-"):
            similar = difflib.get_close_matches(word, COMMANDS, n=1)
            if os.path.exists(word):  # noqa: PTH110
                hint = f"to judge a file or a folder: mesoscope scan {shlex.quote(word)}"
            elif similar:
                hint = f"did you mean {similar[0]}?"
            else:
                hint = "commands: " + ", ".join(COMMANDS)
            raise click.UsageError(f"{word}: no such command; {hint}", ctx)
        _refuse_dash(ctx, args)
        return super().resolve_command(ctx, args)


def _refuse_dash(ctx: click.Context, args: list[str]) -> None:
    """Reject ``-`` as an output of commands that cannot write to standard output."""
    if args[:1] in (["scan"], ["export"]):
        return
    for option, value in itertools.pairwise(args):
        if value == "-" and option in _OUTPUTS:
            raise click.UsageError(
                f"{option} -: {args[0]} cannot write to standard output: name a file, as in ./- "
                "for a file of that name",
                ctx,
            )


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mesoscope")
def mesoscope() -> None:
    """Detect forged faces in pictures and clips. p_fake: higher = more fake."""
    from mesoscope.cli.progress import attach  # not needed for --version

    attach()


def exit_code(error: MesoscopeError) -> int:
    """Return the exit code of an error."""
    if isinstance(error, ModelError | MissingExtra):
        return MODEL
    if isinstance(error, DatasetError | JobError | OptionError | RecipeError | RunError):
        return USAGE
    return INPUT_FAILED


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its exit code."""
    _open_streams()
    code: object
    try:
        code = mesoscope.main(arguments, prog_name="mesoscope", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe, as in `mesoscope scan … | head`
        code = DONE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - printed as one line, without a traceback
        code = _report(error)
    _close_streams()
    sys.exit(code if isinstance(code, int) else DONE)


def _report(error: BaseException) -> int:
    """Print an error as one line and return its exit code."""
    try:
        if isinstance(error, click.exceptions.Abort):
            return INTERRUPTED
        if isinstance(error, KeyboardInterrupt):
            echo("mesoscope: interrupted", err=True)
            return INTERRUPTED
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            return error.exit_code
        if isinstance(error, click.ClickException):
            echo(f"mesoscope: {escape_text(error.format_message())}", err=True)
            if isinstance(error, click.UsageError) and error.ctx is not None:
                echo(f"see: {error.ctx.command_path} --help", err=True)
            return error.exit_code
        if isinstance(error, MesoscopeError):
            echo(f"mesoscope: {escape_text(str(error))}", err=True)
            return exit_code(error)
        return _report_unexpected(error)
    except OSError:  # standard error is closed
        return INPUT_FAILED


def _report_unexpected(error: BaseException) -> int:
    if isinstance(error, OSError):
        name = "a result, or standard output" if error.filename is None else error.filename
        reason = cause(error)
        echo(f"mesoscope: {escape_text(str(name))}: cannot be written or read: {reason}", err=True)
        return INPUT_FAILED
    if isinstance(error, MemoryError):
        echo("mesoscope: out of memory: close other programs, or lower --jobs", err=True)
        return INPUT_FAILED
    if os.environ.get("MESOSCOPE_TRACEBACK"):
        traceback.print_exception(error)
    description = escape_text(describe(error))
    echo(
        f"mesoscope: a fault of mesoscope, {description}: please report it, with the output of the "
        "same command under MESOSCOPE_TRACEBACK=1",
        err=True,
    )
    return FAULT


def _open_streams() -> None:
    """Reopen closed standard streams, so that no other file gets their descriptors."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            # Standard output is opened read-only, so writing fails if it was closed.
            flags = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            descriptor = os.open(os.devnull, flags)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            stream = open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for output in (sys.stdout, sys.stderr):
        if hasattr(output, "reconfigure"):  # file names that are not UTF-8 must not end a scan
            output.reconfigure(errors="backslashreplace")


def _close_streams() -> None:
    """Flush the streams; after a failure, keep Python from flushing again and printing an error."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
