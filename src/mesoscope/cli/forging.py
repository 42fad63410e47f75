"""What the makers of ``mesoscope synth`` share: their options, and a run over many reals."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo
from mesoscope.cli.main import DONE, INPUT_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mesoscope.errors import SourceError
    from mesoscope.synth.encoding import Encoding
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.synth.framing import Framing
    from mesoscope.synth.reals import Real
    from mesoscope.synth.writing import Maker, Summary
    from mesoscope.types import Json

_SHOWN = 3  # reasons in the closing line


def _quality(_: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    """``60-95``, or ``90`` for one quality."""
    low, _dash, high = value.partition("-")
    try:
        return int(low), int(high or low)
    except ValueError as error:
        said = f"{value!r} is neither one number nor two, such as 60-95"
        raise click.BadParameter(said, param=option) from error


def _size(_: click.Context, option: click.Parameter, value: str) -> int | None:
    """A number of pixels, or ``None`` for ``keep``."""
    try:
        return None if value == "keep" else int(value)
    except ValueError as error:
        said = f"{value!r} is neither a number of pixels nor keep"
        raise click.BadParameter(said, param=option) from error


reals = click.argument("reals", metavar="REALS", type=click.Path(path_type=Path))
out = click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="The folder for forgeries and twins; one that was begun so is gone on with.",
)  # fmt: skip
per_picture = click.option(
    "--per-picture", type=click.IntRange(1), default=1, show_default=True,
    help="Forgeries of each real.",
)  # fmt: skip
seed = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn."
)
landmarks = click.option(
    "--landmarks", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Landmarks that you have: JSON lines, or .npz.  [default: found by MTCNN]",
)  # fmt: skip
format_ = click.option(
    "--format", "format_", type=click.Choice(["png", "jpg"]), default="jpg", show_default=True,
    help="Of the pictures; masks are always PNG.",
)  # fmt: skip
quality = click.option(
    "--quality", metavar="LOW-HIGH", default="60-95", show_default=True, callback=_quality,
    help="JPEG quality, drawn once a pair.",
)  # fmt: skip
size = click.option(
    "--size", "size_px", metavar="PIXELS|keep", default="keep", show_default=True, callback=_size,
    help="Cut a square of so many pixels around each face, or keep pictures as they are.",
)  # fmt: skip
margin = click.option(
    "--margin", type=click.FloatRange(1, 10), default=1.3, show_default=True,
    help="With --size: side of the square over the face's longest side.",
)  # fmt: skip
validation = click.option(
    "--validation", type=click.FloatRange(0, 1), default=0.2, show_default=True,
    help="Share of a plain folder's pictures that goes to validation/.",
)  # fmt: skip
sheet = click.option(
    "--sheet", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Draw a contact sheet, too: real, forged and mask side by side.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """What the options say, beside the maker's own.

    Attributes:
        reals: A folder, a data set or its manifest.
        out: The folder to write.
        encoding: How pairs are saved.
        framing: What is cut out of pictures.
        seed: Of all that is drawn.
        per_picture: Forgeries a real.
        validation: Share of a plain folder's pictures.
        landmarks: The user's file.
        sheet: Where to draw a contact sheet.
        jobs: Threads.
    """

    reals: Path
    out: Path
    encoding: Encoding
    framing: Framing
    seed: int = 0
    per_picture: int = 1
    validation: float = 0.2
    landmarks: Path | None = None
    sheet: Path | None = None
    jobs: int = 0


def run(
    job: Job,
    options: Mapping[str, Json],
    maker_for: Callable[[Sequence[Real], Mapping[str, Landmarks]], Maker],
) -> int:
    """Forge the reals and say what came of it.

    Args:
        job: The shared options.
        options: The maker's name and own settings: they mark the folder.
        maker_for: Makes the maker, once the reals and their landmarks are known.

    Returns:
        The exit code.

    Raises:
        DatasetError: No reals, or landmarks that cannot be read.
        OptionError: The folder was begun with other options.
        OutputError: It cannot be written.
    """
    from mesoscope.synth.folder import ForgeryFolder
    from mesoscope.synth.reals import read_reals
    from mesoscope.synth.sheet import refuse_suffix, write_sheet
    from mesoscope.synth.writing import write_forgeries, write_left_out

    if job.sheet is not None:
        refuse_suffix(job.sheet)
    started = time.monotonic()
    found = read_reals(job.reals, validation=job.validation)
    marks: dict[str, Json] = {
        **options,
        "reals": str(job.reals.resolve()),
        "size": job.framing.size_px or "keep",
        "margin": job.framing.margin,
        "validation": job.validation,
        "landmarks": None if job.landmarks is None else str(job.landmarks.resolve()),
    }
    with ForgeryFolder(job.out, options=marks, encoding=job.encoding, seed=job.seed) as folder:
        failed: dict[str, SourceError] = {}
        known = _landmarks(job, found, failed)
        make = maker_for(found, known)
        with bar(total=len(found) * job.per_picture, what="forging") as progress:
            progress.update(len(folder))
            summary = write_forgeries(
                folder, found, make,
                framing=job.framing, landmarks=known, failed=failed,
                per_picture=job.per_picture, jobs=job.jobs, watch=lambda _: progress.update(),
            )  # fmt: skip
        write_left_out(folder.root, summary)
        there = len(folder)
    echo(closing(summary, job.out, time.monotonic() - started), err=True)
    if job.sheet is not None and there:
        write_sheet(job.sheet, job.out)
        echo(f"contact sheet: {job.sheet}", err=True)
    return INPUT_FAILED if summary.unreadable or not there else DONE


def _landmarks(
    job: Job, found: Sequence[Real], failed: dict[str, SourceError]
) -> dict[str, Landmarks]:
    from mesoscope.synth.folder import LANDMARKS
    from mesoscope.synth.landmarks import landmarks_of, read_landmarks

    if job.landmarks is not None:
        root = job.reals if job.reals.is_dir() else job.reals.parent
        return read_landmarks(job.landmarks, root)
    with bar(total=len(found), what="finding faces") as progress:
        return landmarks_of(
            found, kept=job.out / LANDMARKS, jobs=job.jobs, watch=progress.update, failed=failed
        )


def closing(summary: Summary, out: Path, elapsed_s: float) -> str:
    """What came of a run, in a line."""
    noun = "forgery and its twin" if summary.made == 1 else "forgeries and their twins"
    parts = [f"{summary.made:,} {noun} made in {elapsed_s:.1f} s, written to {out}"]
    if summary.there:
        parts.append(f"{summary.there:,} were there already")
    if summary.left_out:
        reasons = summary.reasons()
        said = ", ".join(f"{count:,} × {reason}" for reason, count in reasons[:_SHOWN])
        more = ", …" if len(reasons) > _SHOWN else ""
        noun = "picture" if len(summary.left_out) == 1 else "pictures"
        parts.append(
            f"{len(summary.left_out):,} {noun} left out ({said}{more}): "
            f"listed in {out / 'left_out.csv'}"
        )
    return "; ".join(parts)
