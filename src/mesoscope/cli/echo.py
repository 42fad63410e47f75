"""What commands say: one line at a time, in which nothing acts on the terminal."""

from __future__ import annotations

import click

from mesoscope.cli.flags import flagged
from mesoscope.files.names import visible

__all__ = ["echo", "visible"]


def echo(text: object = "", *, err: bool = False) -> None:
    """Print lines for people; what comes from names, cards and metadata is made visible.

    Args:
        text: Lines of ours; of each, what acts on a terminal is written out, and options that the
            library names are said as flags.
        err: To standard error.
    """
    click.echo("\n".join(visible(flagged(line)) for line in str(text).split("\n")), err=err)
