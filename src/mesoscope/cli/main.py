"""``mesoscope``: finds the command, shows errors as one line, sets the exit code.

Exit codes: 0 done, 1 some input failed, 2 usage, 3 model or missing extra, 10 ``--fail-on`` met or
a severe finding of an audit, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

from mesoscope import __version__
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
DONE, INPUT_FAILED, USAGE, MODEL, ALARM, INTERRUPTED = 0, 1, 2, 3, 10, 130


class Commands(click.Group):
    """Loads a command's file only when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """All names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mesoscope.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mesoscope")
def mesoscope() -> None:
    """Tell real faces from forged ones. p_fake: higher = more fake."""


def exit_code(error: MesoscopeError) -> int:
    """The exit code that an error stands for."""
    if isinstance(error, ModelError | MissingExtra):
        return MODEL
    if isinstance(error, DatasetError | JobError | OptionError | RecipeError | RunError):
        return USAGE
    return INPUT_FAILED


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names that are not UTF-8 must not end a scan
            stream.reconfigure(errors="backslashreplace")
    try:
        code = mesoscope.main(arguments, prog_name="mesoscope", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        code = INTERRUPTED
    except KeyboardInterrupt:
        click.echo("mesoscope: interrupted", err=True)
        code = INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except MesoscopeError as error:
        click.echo(f"mesoscope: {error}", err=True)
        code = exit_code(error)
    except BrokenPipeError:
        # The reader has gone, as in `mesoscope scan … | head`; and Python must not try to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    sys.exit(code if isinstance(code, int) else DONE)
