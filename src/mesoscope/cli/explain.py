"""``mesoscope explain``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import detection
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.printing import echo, escape_text
from mesoscope.errors import OptionError, SourceError
from mesoscope.errors.failures import failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.evidence.explain import Explanation


@click.command("explain")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(readable=False))
@click.option(
    "-o",
    "--out",
    metavar="PICTURE|FOLDER",
    help="The picture to write, .png, .jpg or .webp, or a folder for several files.",
)
@click.option("--json", "as_json", is_flag=True, help="Print verdicts and maps as JSON lines.")
@click.option("--force", is_flag=True, help="Replace existing pictures.")
@detection.detection_options()
def command(
    files: tuple[str, ...],
    out: str | None,
    as_json: bool,
    force: bool,
) -> int:
    """Draw the evidence for a verdict: faces, scores, evidence maps, the timeline of a clip.

    A file without a face gives a picture that says so. Exit codes: 0 done, 1 some file could not
    be read, 2 usage, 3 model.
    """
    if out is None and not as_json:
        raise OptionError("give the picture to write, as in -o out.png, or --json")
    targets = [None] * len(files) if out is None else _targets(files, out, force=force)

    from mesoscope.evidence.explain import explain, save_picture

    detector = detection.build(detection.spec(heat=True))
    failed = False
    for name, target in zip(files, targets, strict=True):
        try:
            explained = explain(detector, name)
        except Exception as error:
            source_error = failure(name, error)
            if not isinstance(source_error, SourceError):
                raise
            echo(f"mesoscope: {escape_text(str(source_error))}", err=True)
            failed = True
            continue
        if target is not None:
            save_picture(explained.picture, target)
        if as_json:
            click.echo(_json(explained, target))
        else:
            echo(escape_text(_line(explained, target)))
    return INPUT_FAILED if failed else DONE


def _json(explained: Explanation, target: Path | None) -> str:
    picture = None if target is None else str(target)
    return json.dumps({**explained.to_dict(), "picture": picture}, separators=(",", ":"))


def _line(explained: Explanation, target: Path | None) -> str:
    verdict = explained.verdict
    label: str = verdict.label or "no verdict"
    if verdict.reason is not None:
        label += f" ({verdict.reason})"
    score = "" if verdict.p_fake is None else f"  p_fake {verdict.p_fake:.3f}"
    if len(verdict.persons or verdict.faces) > 1:
        noun = "persons" if verdict.persons else "faces"
        score += f", of {len(verdict.persons or verdict.faces)} {noun}"
    notes = "".join(f"; {note}" for note in verdict.notes)
    return f"{verdict.source}: {label}{score}{notes}  → {target}"


def _targets(files: Sequence[str], out: str, *, force: bool) -> list[Path | None]:
    """Return the path of each file's picture, and check it before the work begins.

    In a folder, pictures keep the whole names of their files, and the folders below the common one,
    so two files never get the same path.

    Raises:
        OptionError: A source would be overwritten, a picture exists, or a suffix is not supported.
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
            raise OptionError(f"{target}: the file to explain is at this path: choose another name")
        if target.is_dir():
            raise OptionError(f"{target}: a folder: choose another name")
        if not force:
            raise OptionError(
                f"{target}: exists already: choose another name, or replace it with --force"
            )
    return list(targets)
