"""What commands say: one line at a time, in which nothing acts on the terminal."""

from __future__ import annotations

import click

from mesoscope.cli.flags import flagged

_ACTING = {*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029,
           *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF}  # fmt: skip
_VISIBLE = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _ACTING} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}


def visible(text: str) -> str:
    r"""A line for a terminal: control characters and changes of direction are written out.

    A name with an escape sequence shows as ``\x1b[31m`` in place of acting; a line break in it
    shows as ``\n``, so it cannot pass for a line of ours. JSON needs none of this.
    """
    return text.translate(_VISIBLE)


def echo(text: object = "", *, err: bool = False) -> None:
    """Print lines for people; what comes from names, cards and metadata is made visible.

    Args:
        text: Lines of ours; of each, what acts on a terminal is written out, and options that the
            library names are said as flags.
        err: To standard error.
    """
    click.echo("\n".join(visible(flagged(line)) for line in str(text).split("\n")), err=err)
