"""``mesoscope synth edit``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import forging, options

if TYPE_CHECKING:
    from mesoscope.synth.edits.recipe import EditRecipe


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
    from mesoscope.synth.forge_folder import ForgingOptions, edit_folder
    from mesoscope.synth.forgery import Encoding
    from mesoscope.synth.reals import Framing

    chosen = ForgingOptions(
        Encoding(format_, quality), Framing(size_px, margin),
        seed=seed, per_picture=per_picture, validation=validation, landmarks=landmarks,
        sheet=sheet, jobs=jobs,
    )  # fmt: skip
    recipe = _recipe(recipe_path, only, strength)
    make = partial(edit_folder, reals, out, recipe=recipe, donors=donors)
    return forging.run(lambda options, watch: make(options=options, watch=watch), chosen, out)


def _recipe(path: Path | None, only: str | None, strength: str | None) -> EditRecipe:
    from mesoscope.synth.edits.recipe import EditRecipe, read_edit_recipe, strength_of

    recipe = EditRecipe() if path is None else read_edit_recipe(path)
    if only is not None:
        names = [name.strip().replace("-", "_") for name in only.split(",")]
        recipe = recipe.only(tuple(name for name in names if name))
    return recipe if strength is None else recipe.stronger(strength_of(strength))
