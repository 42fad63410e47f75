"""Training Meso-4 at 256×256, pictures loaded from disk: our loop, and Keras' fit.

Ours is ``mesoscope.training.fit.loop`` as ``mesoscope train`` calls it: once with the project's
recipe and its augmentation, once like the peers' without any and with their loss. Theirs is Adam
and mean squared error, as the authors train, over the quicker of their image generator and tf.data,
with or without XLA. What limits each side shows in the rows for the loader alone and for the
network alone.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import peers
import pictures
from measure import ROOT, Bound, Row, console_script, cores, parser, rounds, run, say, workplace
from workers import Worker

RECIPE = ROOT / "recipes/meso4.toml"
BATCH = 32
PLAIN = (
    "augment.crop_scale_min=1.0", "augment.flip=0.0", "augment.colour=0.0", "augment.rescale=0.0",
    "augment.blur=0.0", "augment.noise=0.0", "augment.jpeg=0.0", "optimise.loss='mse'",
    "optimise.label_smoothing=0.0", "optimise.learning_rate=1e-3", "network.dropout=0.5",
)  # fmt: skip
WAYS = (("generator", False), ("generator", True), ("dataset", False), ("dataset", True))


def options():
    made = parser("training", __doc__.splitlines()[0])
    made.set_defaults(rounds=3)
    made.add_argument("--n", type=int, default=2000, help="pictures in the folder")
    made.add_argument("--steps", type=int, default=60, help="of 32 pictures, a round")
    made.add_argument("--warm", type=int, default=10, help="of them before the clock starts")
    return made


def bench(chosen, conditions) -> list[Row]:
    if chosen.quick:
        chosen.n, chosen.steps, chosen.warm = 160, 5, 2
    python = peers.interpreter(chosen.peers)
    with workplace() as work:
        data, n = pictures.faces(work / "set/train", chosen.n)
        pictures.faces(work / "set/validation", 4)  # the survey wants one; it is never reached
        pictures.read_all(work / "set")
        with (
            Worker(peers.OURS, "ours.py") as ours,
            Worker(peers.OURS, "ours.py") as ours_plain,
            Worker(python, "theirs.py") as theirs,
        ):
            conditions.add(ours.ask("train_versions"))
            conditions.add(theirs.ask("start"), "peers")
            root, folder = str(work / "set"), str(work / "set/train")
            length = {"steps": chosen.steps, "warm": chosen.warm}

            def train(worker, overrides):
                return worker.ask(
                    "train", root=root, recipe=str(RECIPE), overrides=list(overrides),
                    run=str(work / "run"), **length,
                )  # fmt: skip

            def fit(way, xla):
                return theirs.ask("train", root=folder, way=way, batch=BATCH, xla=xla, **length)

            found = {how: fit(*how) for how in WAYS}
            say(
                "theirs, pictures/s: "
                + ", ".join(f"{named(*h)}: {r:.0f}" for h, r in found.items())
            )
            way, xla = max(found, key=lambda how: found[how])
            images = chosen.steps * BATCH
            measured = rounds(
                {
                    "recipe": lambda: train(ours, ()),
                    "plain": lambda: train(ours_plain, PLAIN),
                    "processes": lambda: processes(work, images),
                    "theirs": lambda: fit(way, xla),
                    "network": lambda: ours.ask("network", recipe=str(RECIPE), **length),
                    "their network": lambda: fit("memory", xla),
                    "loader": lambda: reading(ours, root, (), images),
                    "plain loader": lambda: reading(ours, root, PLAIN, images),
                    "their loader": lambda: theirs.ask(
                        "read", root=folder, way=way, batch=BATCH, steps=chosen.steps
                    ),
                },
                chosen.rounds,
                say,
            )
    how = (
        f"batch {BATCH}, {chosen.steps} steps of which {chosen.warm} warm up, {cores()} cores; "
        f"theirs: {named(way, xla)}"
    )

    def row(what, mine, others, other, value=None):
        asked = None if value is None else Bound("ratio", "≥", value)
        return Row(
            "training", what, "pictures/s", measured[mine], measured[others], other, asked=asked,
            n=n, how=how, model="Meso-4", data=data,
        )  # fmt: skip

    return [
        row("training, the recipe with augmentation", "recipe", "theirs", "Keras fit", 1.0),
        row("training, the recipe, one process a core", "processes", "theirs", "Keras fit", 1.0),
        row("training, no augmentation, as theirs", "plain", "theirs", "Keras fit", 1.0),
        row("network alone, forward and back", "network", "their network", "Keras fit"),
        row("loader alone, with augmentation", "loader", "their loader", "Keras' loader"),
        row("loader alone, no augmentation", "plain loader", "their loader", "Keras' loader"),
    ]


def processes(work: Path, images: int) -> float:
    """Pictures a second of ``mesoscope train`` with a process for each core, from its own log."""
    with tempfile.TemporaryDirectory(dir=work) as run_folder:
        out = Path(run_folder) / "run"
        subprocess.run(
            [
                console_script(), "train", work / "set", "--recipe", RECIPE, "--out", out,
                "--accelerator", "cpu", "--devices", str(cores()),
                "--set", "optimise.epochs=1", "--set", f"data.images_per_epoch={images}",
            ],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return json.loads((out / "log.jsonl").read_text())["images_per_s"]


def reading(ours, root: str, overrides, n: int) -> float:
    """Pictures a second of our loader alone."""
    return ours.ask("read", root=root, recipe=str(RECIPE), overrides=list(overrides), n=n)


def named(way: str, xla: bool) -> str:
    """A way of theirs in words."""
    loader = {"generator": "ImageDataGenerator", "dataset": "tf.data"}[way]
    return f"{loader}{' with XLA' if xla else ''}"


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
