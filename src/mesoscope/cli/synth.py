"""``mesoscope synth``: the group, and its commands ``blend`` and ``edit``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli import forging, synth_stylegan, synth_stylegan_train
from mesoscope.cli.options import FiniteRange

if TYPE_CHECKING:
    from mesoscope.synth.edits.recipe import EditRecipe


@click.group("synth")
def command() -> None:
    """Make forgeries from real faces, to train and to evaluate detectors on.

    Each forgery comes with its untouched counterpart (twin), saved in the same way, a mask of the
    changed pixels, and all its parameters.
    """


_reals = click.argument("reals", metavar="REALS", type=click.Path(path_type=Path))


@command.command("blend")
@_reals
@forging.out
@click.option(
    "--method", type=click.Choice(["self", "xray", "both", "warped", "averaged"]), default="self",
    show_default=True,
    help="self blends a face into itself, xray uses a similar person's, both draws one of these; "
    "warped blends in a small, smooth copy, averaged the mean with a similar person's.",
)  # fmt: skip
@click.option(
    "--strength", type=FiniteRange(0, 4), default=1.0, show_default=True,
    help="How much the two sides of a blend differ.",
)  # fmt: skip
@forging.forging_options
def blend(reals: Path, out: Path, method: str, strength: float) -> int:
    """Blend faces into themselves, or with a similar face.

    This leaves the traces that all face swaps share: two statistics in one face, and a seam.

    REALS is a folder of real faces, or a data set whose reals are used. Each forgery in
    OUT/SPLIT/fake has its untouched twin of the same name in OUT/SPLIT/real, saved in the same way,
    its mask in OUT/masks and its parameters in OUT/forgeries.jsonl. A second run continues.
    """
    from mesoscope.synth.forge_folder import blend_folder

    return forging.run(partial(blend_folder, reals, out, method=method, strength=strength), out)


@command.command("edit")
@_reals
@forging.out
@click.option(
    "--recipe", "recipe_path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file of chances and ranges.",
)  # fmt: skip
@click.option(
    "--only", metavar="EDIT,…",
    help="Make only these edits: liquify, splice, clone, inpaint, retouch, dodge_burn, whiten.",
)  # fmt: skip
@click.option(
    "--strength", metavar="low|medium|high|LOW-HIGH",
    help="Part of all ranges to draw from, as in 0.2-0.5.  [default: the recipe's]",
)  # fmt: skip
@click.option(
    "--donors", metavar="FOLDER", type=click.Path(path_type=Path),
    help="Folder of real faces, or data set, of donors.  [default: other people of REALS, same "
    "split]",
)  # fmt: skip
@forging.forging_options
def edit(
    reals: Path,
    out: Path,
    recipe_path: Path | None,
    only: str | None,
    strength: str | None,
    donors: Path | None,
) -> int:
    """Edit faces as people do in Photoshop.

    Warps, parts of other people, cloned and inpainted skin, smoothing, dodging and burning, white
    teeth: one edit or several, drawn from a recipe.

    REALS is a folder of real faces, or a data set whose reals are used. Each forgery in
    OUT/SPLIT/fake has its untouched twin of the same name in OUT/SPLIT/real, saved in the same way,
    its mask in OUT/masks and its parameters in OUT/forgeries.jsonl. A second run continues.
    """
    from mesoscope.synth.forge_folder import edit_folder

    recipe = _recipe(recipe_path, only, strength)
    return forging.run(partial(edit_folder, reals, out, recipe=recipe, donors=donors), out)


def _recipe(path: Path | None, only: str | None, strength: str | None) -> EditRecipe:
    from mesoscope.synth.edits.recipe import EditRecipe, read_edit_recipe, strength_of

    recipe = EditRecipe() if path is None else read_edit_recipe(path)
    if only is not None:
        names = [name.strip().replace("-", "_") for name in only.split(",")]
        recipe = recipe.only(tuple(name for name in names if name))
    return recipe if strength is None else recipe.stronger(strength_of(strength))


command.add_command(synth_stylegan.command)
command.add_command(synth_stylegan_train.command)
