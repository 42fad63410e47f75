"""``mesoscope export``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from mesoscope.cli.echo import echo
from mesoscope.cli.job import ledger as ledger_option
from mesoscope.cli.main import DONE


@click.command("export")
@click.argument("job", type=click.Path(file_okay=False))
@click.option(
    "-o", "--out", required=True, metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The file to write: .jsonl, .csv or .parquet; - prints JSON lines.",
)  # fmt: skip
@ledger_option
def command(job: str, out: Path, ledger: str | None) -> int:
    """Write the verdicts of a job, a folder or s3://bucket/job, to a file.

    A job that is still being scanned may be exported, too: what is judged so far is written.
    """
    from mesoscope.scan.results import open_results
    from mesoscope.scan.sinks import JsonLines, export, json_lines

    with contextlib.closing(open_results(job, ledger)) as kept:
        if str(out) == "-":
            with JsonLines(sys.stdout.fileno()) as printed:
                for line in json_lines(kept.results()):
                    printed.write_line(line)
            return DONE
        count = export(kept, out)
    echo(f"{count} {'verdict' if count == 1 else 'verdicts'} written to {out}", err=True)
    return DONE
