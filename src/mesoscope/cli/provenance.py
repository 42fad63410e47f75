"""``mesoscope provenance``."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.echo import echo
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.errors import OptionError, SourceError
from mesoscope.errors.failures import cause

if TYPE_CHECKING:
    from mesoscope.media.provenance import Finding, Provenance

_WIDEST = 100
_LONGEST = 4096  # characters of a path or of an error
_MARKS = {"strong": "!", "hint": "?", "note": " "}
_LEGEND = (
    "! the file says so itself, or a signature was checked; ? worth a look, and may be harmless. "
    "Metadata are easily removed and easily forged: none of this is a verdict."
)


@click.command("provenance")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(readable=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line a file.")
@click.option("--place", is_flag=True, help="Show coordinates of where it was taken.")
@click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.pem",
    help="Certificates of those whose C2PA signatures you trust.",
)
def command(files: tuple[str, ...], as_json: bool, place: bool, trust: Path | None) -> int:
    """Tell what pictures and clips say of themselves.

    Content Credentials (C2PA), EXIF, XMP, IPTC, generators' settings, how a JPEG was encoded. It
    stands beside a verdict and is no part of any score. Nothing is fetched. Exit codes: 0 done,
    1 some input failed, 2 usage.
    """
    from mesoscope.media.provenance import Provenance, read_provenance

    anchors = _anchors(trust)
    failed = False
    page = Page(min(shutil.get_terminal_size((_WIDEST, 0)).columns, _WIDEST))
    for number, file in enumerate(files):
        try:
            told = read_provenance(file, place=place, trust_anchors=anchors)
        except SourceError as error:
            failed = True
            told = Provenance(file, None, error={"code": error.code, "message": str(error)})
        if as_json:
            click.echo(told.to_json())
        else:
            echo(("\n" if number else "") + page.show(told))
    if not as_json:
        echo("\n" + page.wrap(_LEGEND, ""), err=True)
    return INPUT_FAILED if failed else DONE


_PEM_MOST = 16 << 20  # characters: all certificates that browsers trust are some 220,000


def _anchors(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        with path.open(encoding="ascii") as file:  # which may be a device without end
            text = file.read(_PEM_MOST)
    except OSError as error:
        raise OptionError(f"--trust {path}: cannot be opened: {cause(error)}") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"--trust {path}: not a text: give certificates as PEM") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise OptionError(f"--trust {path}: holds no certificate in PEM: give a .pem file")
    return text


class Page:
    """Findings for reading; what a kind of finding means is told once, by the first file."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.explained: set[str] = set()

    def wrap(self, text: str, indent: str) -> str:
        """Lines of the page's width; an address or a path is never broken."""
        return textwrap.fill(
            text,
            self.width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def show(self, told: Provenance) -> str:
        """What one file says, or why it could not be read."""
        from mesoscope.media.provenance.finding import plain  # only where a page is shown

        if told.error is not None:
            return plain(told.error["message"], _LONGEST)
        return "\n".join(
            [f"{plain(told.source, _LONGEST)} ({told.kind})", *map(self._entry, told.findings)]
        )

    def _entry(self, finding: Finding) -> str:
        mark = _MARKS[finding.weight]
        about = dict.fromkeys((finding.title, finding.field))  # "Software, Software" is once enough
        head = f"{', '.join(about)}: {finding.value} [{finding.where}]"
        first, _, rest = self.wrap(head, "    ").partition("\n")
        lines = [f"  {mark} {first[4:]}", *([rest] if rest else [])]
        if finding.meaning not in self.explained:
            self.explained.add(finding.meaning)
            lines.append(self.wrap(finding.meaning, "      "))
        return "\n".join(lines)
