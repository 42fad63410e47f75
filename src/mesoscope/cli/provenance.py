"""``mesoscope provenance``."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.printing import echo
from mesoscope.errors import OptionError, SourceError
from mesoscope.errors.failures import cause

if TYPE_CHECKING:
    from mesoscope.media.provenance import Finding, Provenance

_MAX_WIDTH = 100
_MAX_LENGTH = 4096  # characters of a path or an error
_MAX_PEM = 16 << 20  # characters; the certificates that browsers trust have about 220,000
_MARKS = {"strong": "!", "hint": "?", "note": " "}
_LEGEND = (
    "! stated by the file itself, or by a verified signature; ? worth a look, may be harmless. "
    "Metadata are easily removed and easily forged: none of this is a verdict."
)


@click.command("provenance")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per file.")
@click.option("--place", is_flag=True, help="Show the coordinates of the place.")
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.pem",
    help="File of certificates of trusted C2PA signers.",
)
def command(files: tuple[str, ...], as_json: bool, place: bool, trust: Path | None) -> int:
    """Show the metadata and provenance of pictures and clips.

    Content Credentials (C2PA), EXIF, XMP, IPTC, generators' settings, how a JPEG was encoded. They
    never change a verdict. Nothing is fetched from the network. Exit codes: 0 done, 1 some input
    failed, 2 usage.
    """
    from mesoscope.media.provenance import Provenance, read_provenance

    anchors = _anchors(trust)
    failed = False
    page = Page(min(shutil.get_terminal_size((_MAX_WIDTH, 0)).columns, _MAX_WIDTH))
    for number, file in enumerate(files):
        try:
            result = read_provenance(file, place=place, trust_anchors=anchors)
        except SourceError as error:
            failed = True
            result = Provenance(file, None, error={"code": error.code, "message": str(error)})
        if as_json:
            click.echo(result.to_json())
        else:
            echo(("\n" if number else "") + page.show(result))
    if not as_json:
        echo("\n" + page.wrap(_LEGEND, ""), err=True)
    return INPUT_FAILED if failed else DONE


def _anchors(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        with path.open(encoding="ascii") as file:  # may be an endless device
            text = file.read(_MAX_PEM)
    except OSError as error:
        raise OptionError(f"--trust {path}: cannot be opened: {cause(error)}") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"--trust {path}: not a text file: give certificates as PEM") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise OptionError(f"--trust {path}: holds no certificate in PEM: give a .pem file")
    return text


class Page:
    """Formats findings as text; the meaning of each kind of finding is printed once."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.explained: set[str] = set()

    def wrap(self, text: str, indent: str) -> str:
        """Wrap text to the width of the page without breaking addresses and paths."""
        return textwrap.fill(
            text,
            self.width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def show(self, result: Provenance) -> str:
        """Return the findings of one file, or its error."""
        from mesoscope.media.provenance.finding import plain  # not needed for --json

        if result.error is not None:
            return plain(result.error["message"], _MAX_LENGTH)
        return "\n".join(
            [
                f"{plain(result.source, _MAX_LENGTH)} ({result.kind})",
                *map(self._entry, result.findings),
            ]
        )

    def _entry(self, finding: Finding) -> str:
        mark = _MARKS[finding.weight]
        about = dict.fromkeys((finding.title, finding.field))  # avoids "Software, Software"
        head = f"{', '.join(about)}: {finding.value} [{finding.where}]"
        first, _, rest = self.wrap(head, "    ").partition("\n")
        lines = [f"  {mark} {first[4:]}", *([rest] if rest else [])]
        if finding.meaning not in self.explained:
            self.explained.add(finding.meaning)
            lines.append(self.wrap(finding.meaning, "      "))
        return "\n".join(lines)
