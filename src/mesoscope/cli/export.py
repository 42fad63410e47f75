"""``mesoscope export``."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from mesoscope.cli import options
from mesoscope.cli.main import DONE
from mesoscope.cli.printing import echo, plural


@click.command("export")
@click.argument("job", type=click.Path(file_okay=False))
@click.option(
    "-o", "--out", required=True, metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The file to write: .jsonl, .csv or .parquet; - prints JSON lines.",
)  # fmt: skip
@options.ledger
def command(job: str, out: Path, ledger: str | None) -> int:
    """Write the verdicts of a job, in a folder or at s3://bucket/job, to a file.

    An export during a scan works, too: it writes the verdicts so far.
    """
    from mesoscope.scan.results import open_results
    from mesoscope.scan.sinks import JsonLines, export, json_lines

    with contextlib.closing(open_results(job, ledger)) as opened:
        if str(out) == "-":
            with JsonLines(sys.stdout.fileno()) as output:
                for line in json_lines(opened.results()):
                    output.write_line(line)
            return DONE
        count = export(opened, out)
    echo(f"{plural(count, 'verdict')} written to {out}", err=True)
    return DONE
