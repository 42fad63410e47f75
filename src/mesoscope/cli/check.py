"""``mesoscope check``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from mesoscope.cli import options
from mesoscope.cli.environment import extra
from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED
from mesoscope.cli.options import WholeRange
from mesoscope.cli.printing import HEADER, echo, row
from mesoscope.errors import OptionError
from mesoscope.errors.failures import cause


@click.command("check")
@click.argument("paths", nargs=-1, required=True, metavar="FILE…", type=click.Path(readable=False))
@click.option(
    "--server", required=True, envvar="MESOSCOPE_SERVER", metavar="URL",
    help="The service, as http://127.0.0.1:8000.  [default: the variable MESOSCOPE_SERVER]",
)  # fmt: skip
@click.option(
    "--key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="File that holds the key.  [default: the key in the variable MESOSCOPE_KEY]",
)  # fmt: skip
@options.table
@click.option(
    "--jobs", type=WholeRange(1, 64), default=8, show_default=True,
    help="Number of concurrent requests.",
)  # fmt: skip
@options.fail_on
def command(
    paths: tuple[str, ...],
    server: str,
    key_file: Path | None,
    table: bool | None,
    jobs: int,
    fail_on: str | None,
) -> int:
    """Send pictures, clips and folders of them to a service.

    The output is that of scan, with the model and the options of the service. Exit codes: 0 done,
    1 some input failed or the service refused, 2 usage, 10 with --fail-on.
    """
    with extra("client", "httpx"):
        from mesoscope.client import Client
    from mesoscope.media.walk import walk

    show_table = sys.stdout.isatty() if table is None else table
    failed = alarm = False
    if show_table:
        echo(HEADER)
    with Client(server, key=_key(key_file), jobs=jobs) as client:
        for verdict in client.check_many(walk(paths), keep_going=True):
            failed |= verdict.error is not None
            alarm |= verdict.label == fail_on
            if show_table:
                echo(row(verdict))
            else:
                click.echo(verdict.to_json())
    if fail_on and alarm:
        return ALARM
    return INPUT_FAILED if failed else DONE


def _key(file: Path | None) -> str | None:
    """Read the key; it is never an option, because other users can see command lines."""
    if file is None:
        return os.environ.get("MESOSCOPE_KEY") or None
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = cause(error) if isinstance(error, OSError) else "not a key"
        raise OptionError(f"--key-file {file}: cannot be read: {reason}") from error
