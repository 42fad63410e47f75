"""``mesoscope synth edit``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import forging, options
from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesoscope.errors import SourceError
    from mesoscope.synth.edits.recipe import EditRecipe
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.synth.reals import Real
    from mesoscope.synth.writing import Maker
    from mesoscope.types import Json


@click.command("edit")
@forging.reals
@forging.out
@click.option(
    "--recipe", "recipe_path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Chances and ranges, in TOML.",
)  # fmt: skip
@click.option(
    "--only", metavar="EDIT,…",
    help="Make these alone: liquify, splice, clone, inpaint, retouch, dodge_burn, whiten.",
)  # fmt: skip
@click.option(
    "--strength", metavar="low|medium|high|LOW-HIGH",
    help="Which stretch of all ranges is drawn from, as in 0.2-0.5.  [default: the recipe's]",
)  # fmt: skip
@click.option(
    "--donors", metavar="FOLDER", type=click.Path(path_type=Path),
    help="Real faces that parts are taken from.  [default: other people of REALS, same split]",
)  # fmt: skip
@forging.per_picture
@forging.seed
@forging.landmarks
@forging.format_
@forging.quality
@forging.size
@forging.margin
@forging.validation
@forging.sheet
@options.jobs
def command(
    reals: Path,
    out: Path,
    recipe_path: Path | None,
    only: str | None,
    strength: str | None,
    donors: Path | None,
    per_picture: int,
    seed: int,
    landmarks: Path | None,
    format_: str,
    quality: tuple[int, int],
    size_px: int | None,
    margin: float,
    validation: float,
    sheet: Path | None,
    jobs: int,
) -> int:
    """Do to faces what people do in Photoshop.

    Warps, parts of other people, cloned and painted-out skin, smoothing, light and shade, white
    teeth: one edit or several, drawn from a recipe.

    REALS is a folder of real faces, or a data set whose reals are taken. Each forgery in
    OUT/SPLIT/fake has its untouched twin of the same name in OUT/SPLIT/real, saved in the same way,
    its mask in OUT/masks and its numbers in OUT/forgeries.jsonl. A second run goes on.
    """
    from mesoscope.synth.edits.maker import DonorBook, edit_maker
    from mesoscope.synth.encoding import Encoding
    from mesoscope.synth.framing import Framing
    from mesoscope.synth.reals import read_reals

    recipe = _recipe(recipe_path, only, strength)
    framing = Framing(size_px, margin)
    givers = None if donors is None else read_reals(donors)
    job = forging.Job(
        reals, out, Encoding(format_, quality), framing,
        seed=seed, per_picture=per_picture, validation=validation, landmarks=landmarks,
        sheet=sheet, jobs=jobs,
    )  # fmt: skip

    def maker_for(found: Sequence[Real], known: Mapping[str, Landmarks]) -> Maker:
        if givers is None:
            return edit_maker(recipe, DonorBook(found, known, framing))
        theirs = _landmarks_of(givers, out, jobs)
        return edit_maker(recipe, DonorBook(givers, theirs, framing, apart=True))

    marks: dict[str, Json] = {
        "maker": "edit",
        **_flat(recipe),
        "donors": None if donors is None else str(donors.resolve()),
    }
    return forging.run(job, marks, maker_for)


def _recipe(path: Path | None, only: str | None, strength: str | None) -> EditRecipe:
    from mesoscope.synth.edits.keys import strength_of
    from mesoscope.synth.edits.recipe import EditRecipe, read_edit_recipe

    recipe = EditRecipe() if path is None else read_edit_recipe(path)
    if only is not None:
        names = [name.strip().replace("-", "_") for name in only.split(",")]
        recipe = recipe.only(tuple(name for name in names if name))
    return recipe if strength is None else recipe.stronger(strength_of(strength))


def _flat(recipe: EditRecipe) -> dict[str, Json]:
    """Each key with its section before it, so that a folder begun otherwise can name the one."""
    flat: dict[str, Json] = {}
    for key, value in json.loads(json.dumps(asdict(recipe))).items():
        if isinstance(value, dict):
            flat.update({f"{key}.{name}": one for name, one in value.items()})
        else:
            flat[key] = value
    return flat


def _landmarks_of(givers: Sequence[Real], out: Path, jobs: int) -> dict[str, Landmarks]:
    from mesoscope.synth.landmarks import landmarks_of

    failed: dict[str, SourceError] = {}
    with bar(total=len(givers), what="finding donors' faces") as progress:
        found = landmarks_of(
            givers, kept=out / "landmarks_of_donors.jsonl", jobs=jobs, watch=progress.update,
            failed=failed,
        )  # fmt: skip
    for error in failed.values():
        echo(f"mesoscope: donor left out: {visible(str(error))}", err=True)
    return found
