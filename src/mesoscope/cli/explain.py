"""``mesoscope explain``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import judging
from mesoscope.cli.echo import echo
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.errors import OptionError, SourceError
from mesoscope.errors.failures import failure
from mesoscope.files.names import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.evidence.explain import Explanation


@click.command("explain")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(readable=False))
@click.option(
    "-o",
    "--out",
    metavar="PICTURE|FOLDER",
    help="The picture to write, .png, .jpg or .webp; for several files a folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print verdicts and maps as JSON lines.")
@click.option("--force", is_flag=True, help="Replace pictures that exist.")
@judging.judging
def command(
    files: tuple[str, ...],
    out: str | None,
    as_json: bool,
    force: bool,
) -> int:
    """Draw what a verdict rests on: faces, scores, evidence maps, the timeline of a clip.

    A file without a face gives a picture that says so. Exit codes: 0 done, 1 some file could not
    be read, 2 usage, 3 model.
    """
    if out is None and not as_json:
        raise OptionError("say where the picture goes, as in -o out.png; or print with --json")
    targets = [None] * len(files) if out is None else _targets(files, out, force=force)

    from mesoscope.evidence.explain import explain, save_picture

    detector = judging.detector(heat=True)
    failed = False
    for name, target in zip(files, targets, strict=True):
        try:
            explained = explain(detector, name)
        except Exception as error:
            said = failure(name, error)
            if not isinstance(said, SourceError):
                raise
            echo(f"mesoscope: {visible(str(said))}", err=True)
            failed = True
            continue
        if target is not None:
            save_picture(explained.picture, target)
        if as_json:
            click.echo(_json(explained, target))
        else:
            echo(visible(_line(explained, target)))
    return INPUT_FAILED if failed else DONE


def _json(explained: Explanation, target: Path | None) -> str:
    picture = None if target is None else str(target)
    return json.dumps({**explained.to_dict(), "picture": picture}, separators=(",", ":"))


def _line(explained: Explanation, target: Path | None) -> str:
    verdict = explained.verdict
    said: str = verdict.label or "no verdict"
    if verdict.reason is not None:
        said += f" ({verdict.reason})"
    score = "" if verdict.p_fake is None else f"  p_fake {verdict.p_fake:.3f}"
    if len(verdict.persons or verdict.faces) > 1:
        what = "persons" if verdict.persons else "faces"
        score += f", of {len(verdict.persons or verdict.faces)} {what}"
    notes = "".join(f"; {note}" for note in verdict.notes)
    return f"{verdict.source}: {said}{score}{notes}  → {target}"


def _targets(files: Sequence[str], out: str, *, force: bool) -> list[Path | None]:
    """Where each file's picture goes; all that can be refused is refused before the work.

    Pictures in a folder keep the file's whole name and its folders below those that all files
    share, so that two files never meet.

    Raises:
        OptionError: A source would be overwritten, a picture exists, or the name is of no format.
    """
    from mesoscope.evidence.explain import format_of

    folder = len(files) > 1 or out.endswith(("/", os.sep)) or Path(out).is_dir()
    if not folder:
        format_of(Path(out))
        targets = [Path(out)]
    elif Path(out).suffix and not Path(out).is_dir() and not out.endswith(("/", os.sep)):
        raise OptionError(f"{out}: {len(files)} pictures need a folder, as in -o explained/")
    else:
        absolute = [Path(name).parent.resolve() / Path(name).name for name in files]
        shared = Path(os.path.commonpath([path.parent for path in absolute]))
        targets = [
            Path(out, path.relative_to(shared).parent, f"{path.name}.png") for path in absolute
        ]
    sources = [Path(name) for name in files]
    for target in targets:
        if not target.exists():
            continue
        if any(source.exists() and target.samefile(source) for source in sources):
            raise OptionError(f"{target}: this is the file to explain: choose another name")
        if target.is_dir():
            raise OptionError(f"{target}: a folder stands there: choose another name")
        if not force:
            raise OptionError(
                f"{target}: exists already: choose another name, or replace it with --force"
            )
    return list(targets)
