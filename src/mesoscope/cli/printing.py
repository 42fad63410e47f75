"""Printing for people: escaped lines, verdicts and tables; option names become flags.

Messages of the library put names of options between backticks, with a value behind ``=``:
```` `max_pixels` ````, ```` `faces=whole` ````. They are printed as flags.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

import click

from mesoscope.files.escape import escape_text
from mesoscope.types.label import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import Person, Thresholds, Verdict

__all__ = [
    "HEADER",
    "columns",
    "echo",
    "echo_thresholds",
    "escape_text",
    "flagged",
    "flags",
    "plural",
    "row",
]

# Options outside of DetectOptions, whose fields hold their flags themselves.
_SAME = (
    "address", "all_faces", "allow_host", "allow_loss", "check_faces", "data", "device",
    "donors_apart", "engine", "finetune", "fix", "force", "format", "gpus", "http", "jpeg_quality",
    "learning_rate", "ledger", "limit", "margin", "max_loss", "model", "name", "out", "port",
    "quality", "r1", "resume", "seed", "shards", "shares", "skip_unreadable", "sparsity",
    "split", "structured", "suspects",
)  # fmt: skip
_OTHERS = {name: "--" + name.replace("_", "-") for name in _SAME} | {
    "architecture": "--arch",
    "keep_days": "--keep",
    "keep_results_days": "--keep-results",
    "overrides": "--set",
    "set": "SET",
    "size_px": "--size",
}
# Only as a word of its own, because file names may hold backticks. Line breaks may be escaped.
_NAMED = re.compile(r"(?<![^\s(])`([a-z][a-z0-9_]*)(?:=([^`\s]+))?`(?=[,;:.)]*(?:\s|\\n|$))")

HEADER = f"{'label':<13}{'p_fake':>6}  source"  # of the rows of verdicts


def echo(text: object = "", *, err: bool = False) -> None:
    """Print text with control characters escaped and names of options as flags.

    Args:
        text: One or more lines.
        err: Print to standard error.
    """
    click.echo("\n".join(escape_text(flagged(line)) for line in str(text).split("\n")), err=err)


def echo_thresholds(model_id: str, thresholds: Thresholds, otherwise: str) -> None:
    """Print the thresholds of a calibrated model, with a warning where they decide nothing.

    Args:
        model_id: Name and digest of the model.
        thresholds: The thresholds.
        otherwise: What to try beside more faces, for the warning.
    """
    fake, real = thresholds.fake_above, thresholds.real_below
    echo(f"{model_id}: fake from {fake:.4f}, real below {real:.4f}")
    if fake >= 1 and real <= 0:
        echo(
            "warning: no threshold separates the faces of --calibrate, so every verdict will be "
            f"inconclusive: calibrate on more faces, {otherwise}"
        )


@functools.cache
def flags() -> dict[str, str]:
    """Return the flags of the library's options by name."""
    from mesoscope.types.options import option_infos  # slow, and --version does not need it

    return _OTHERS | {name: f"--{info.flag}" for name, info in option_infos().items()}


def flagged(text: str) -> str:
    """Replace names of options by flags: ``--max-pixels``, ``--faces whole``."""
    return _NAMED.sub(_flag, text) if "`" in text else text


def _flag(match: re.Match[str]) -> str:
    name, value = match.groups()
    flag = flags().get(name)
    if flag is None:
        return match[0]
    return flag if value is None else f"{flag} {value}"


def row(verdict: Verdict) -> str:
    """Return the table row of a verdict: label, score, source, reason; then a row per person."""
    if verdict.error is not None:
        return f"{_label_and_score(verdict, 13)}  {escape_text(verdict.error['message'])}"
    reason = _reason(verdict)
    first = (
        f"{_label_and_score(verdict, 13)}  {escape_text(verdict.source)}{reason and ' ' + reason}"
    )
    return "\n".join([first, *map(_person, verdict.persons)])


def _person(person: Person) -> str:
    background = " in the background" if person.background else ""
    return (
        f"  {_label_and_score(person, 11)}    person {person.number + 1}: "
        f"{plural(person.frames, 'frame')}, {person.first_s:.1f}–{person.last_s:.1f} s"
        f"{_reason(person)}{background}"
    )


def _label_and_score(result: Verdict | Person, width: int) -> str:
    score = "     –" if result.p_fake is None else f"{result.p_fake:6.3f}"
    return f"{result.label or '–':<{width}}{score}"


def _reason(result: Verdict | Person) -> str:
    implied = result.reason in (None, "between_thresholds")  # the label implies it
    return "" if implied else f" ({result.reason})"


def columns(rows: Sequence[Sequence[str]], *, right: Sequence[int] = (1,)) -> list[str]:
    """Return rows of cells as aligned lines.

    Args:
        rows: Cells; all rows have the same length.
        right: Indices of the columns to align to the right.
    """
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
