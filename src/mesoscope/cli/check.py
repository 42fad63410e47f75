"""``mesoscope check``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mesoscope.cli.echo import echo
from mesoscope.cli.extras import extra
from mesoscope.cli.main import ALARM, DONE, INPUT_FAILED
from mesoscope.cli.numbers import WholeRange
from mesoscope.errors import OptionError
from mesoscope.errors.failures import cause


@click.command("check")
@click.argument("paths", nargs=-1, required=True, metavar="FILE…", type=click.Path(readable=False))
@click.option(
    "--server", required=True, envvar="MESOSCOPE_SERVER", metavar="URL",
    help="The service, as http://127.0.0.1:8000; else MESOSCOPE_SERVER says it.",
)  # fmt: skip
@click.option(
    "--key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Holds the key for the service; else MESOSCOPE_KEY does.",
)  # fmt: skip
@click.option(
    "--table/--no-table", default=None,
    help="Print a table; otherwise JSON lines.  [default: on a terminal]",
)  # fmt: skip
@click.option(
    "--jobs", type=WholeRange(1, 64), default=8, show_default=True,
    help="Requests at the same time.",
)  # fmt: skip
@click.option(
    "--fail-on", type=click.Choice(["fake"]), help="Exit with 10 where a verdict has this label."
)
def command(
    paths: tuple[str, ...],
    server: str,
    key_file: Path | None,
    table: bool | None,
    jobs: int,
    fail_on: str | None,
) -> int:
    """Have a service judge pictures, clips and folders of them.

    The answers are those of scan, by the model and the options of the service. Exit codes: 0 done,
    1 some input failed or the service refused, 2 usage, 10 with --fail-on.
    """
    with extra("client", "httpx"):
        from mesoscope.client import Client
    from mesoscope.cli.rows import HEADER, row
    from mesoscope.media.walk import walk

    show = sys.stdout.isatty() if table is None else table
    failed = alarm = False
    if show:
        echo(HEADER)
    with Client(server, key=_key(key_file), jobs=jobs) as client:
        for verdict in client.check_many(walk(paths), keep_going=True):
            failed |= verdict.error is not None
            alarm |= verdict.label == fail_on
            if show:
                echo(row(verdict))
            else:
                click.echo(verdict.to_json())
    if fail_on and alarm:
        return ALARM
    return INPUT_FAILED if failed else DONE


def _key(file: Path | None) -> str | None:
    """The key, which never stands on a command line: others on the machine could read it there."""
    import os

    if file is None:
        return os.environ.get("MESOSCOPE_KEY") or None
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = cause(error) if isinstance(error, OSError) else "not a key"
        raise OptionError(f"--key-file {file}: cannot be read: {why}") from error
