"""Edits a second on one core, of 256×256 faces whose landmarks are known.

All are timed in memory, as the training loader makes them: drawn from the default recipe with a
donor at hand, and then each kind by itself.
"""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

import pictures
from blends import known, made, one_core
from measure import Bound, Row, parser, rounds, run, say, workplace
from mesoscope.synth.edits import EDITS, Donor, EditRecipe, edit

ASKED = 60  # edits a second and core, as the default recipe draws them


def options():
    made = parser("edits", __doc__.splitlines()[0])
    made.add_argument("--n", type=int, default=64, help="faces in memory")
    made.add_argument("--seconds", type=float, default=2.0, help="of a round")
    return made


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.n, chosen.seconds = 12, 0.3
    conditions.versions |= {
        name: version(package)
        for name, package in (("opencv", "opencv-python-headless"), ("numpy", "numpy"))
    }
    with workplace() as work, one_core():
        data, _ = pictures.faces(work / "faces", 2 * chosen.n)
        frames, landmarks = known(work / "faces/real")
        data = f"{data}; {len(frames)} with a face"
        say(f"{len(frames)} faces: {data}")
        recipes = {"default": EditRecipe()}
        recipes |= {name: EditRecipe(least_change=0).only((name,)) for name in EDITS}
        sides = {
            name: lambda recipe=recipe: made(editor(frames, landmarks, recipe), chosen.seconds)
            for name, recipe in recipes.items()
        }
        measured = rounds(sides, chosen.rounds, say)
    return [
        Row(
            "edits", "edits of the default recipe" if name == "default" else f"{name} alone",
            "pictures/s", measured[name],
            asked=Bound("ours", "≥", ASKED) if name == "default" else None,
            n=len(frames), how="one core, one thread, pixels and landmarks → forgery", data=data,
        )
        for name in recipes
    ]  # fmt: skip


def editor(frames, landmarks, recipe):
    """Each face in turn, with the next but six as its donor."""
    count = len(frames)

    def make(at):
        other = (at + 7) % count
        donor = Donor(frames[other].pixels, landmarks[other])
        rng = np.random.default_rng(at)
        edit(frames[at].pixels, landmarks[at], rng, recipe=recipe, donor=donor)

    return make, count


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
