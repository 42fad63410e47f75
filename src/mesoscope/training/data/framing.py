"""Where the face is in each train picture, so that crops may be made around it.

Data sets frame faces in their own ways: video faces are cut out tightly, portraits stand in their
surroundings. A network that saw each kind of source in one framing takes the framing for part of
the evidence. Crops around the found face, tight or loose at random, take that away, and are what
a finder's crops will be (``augment.reframe``).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.picture import open_sample
from mesoscope.errors import OutputError
from mesoscope.files.whole import beside
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.synth.landmarks import find_main_faces
from mesoscope.types import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightning_fabric import Fabric
    from numpy.typing import NDArray

    from mesoscope.data.sample import Sample
    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.fit.watcher import RunWatcher
    from mesoscope.training.recipe.recipe import Recipe

BATCH = 8  # pictures that the finder looks at together
BOXES = "faces.npz"


def ready_to_reframe(
    data: Survey, recipe: Recipe, run: Path, fabric: Fabric, watcher: RunWatcher
) -> Survey:
    """Find the main face of every train picture.

    Args:
        data: What was found.
        recipe: Where it does not reframe, nothing is done.
        run: The run folder; the boxes are kept there, and read again by a resumed run.
        fabric: The first process works, the others wait and read.
        watcher: Shown the progress.

    Returns:
        The survey with the boxes.

    Raises:
        OutputError: The run folder cannot be written.
    """
    if not recipe.augment.reframe:
        return data
    if fabric.is_global_zero:
        _keep_boxes(data, run, watcher)
    fabric.barrier()
    return dataclasses.replace(data, boxes=_boxes(run, data.digests))


def _keep_boxes(data: Survey, run: Path, watcher: RunWatcher) -> None:
    kept, samples = run / BOXES, data.train
    if kept.exists() and _boxes(run, data.digests) is not None:
        return
    chunks = [samples[at : at + BATCH] for at in range(0, len(samples), BATCH)]
    found = map_ordered(_of_chunk, chunks, threads=cores())
    boxes = np.concatenate(
        [*watcher.count(found, len(chunks), "finding the face in each train picture")]
    )
    try:
        run.mkdir(parents=True, exist_ok=True)
        with beside(kept) as fresh, fresh.open("wb") as file:
            np.savez_compressed(file, boxes=boxes, digests=np.array(data.digests))
    except OSError as error:
        raise OutputError(f"{kept}: cannot be written: {error.strerror}") from error
    seen = int(np.isfinite(boxes).all(1).sum())
    watcher.say(f"faces found in {seen} of {len(samples)} train pictures")


def _of_chunk(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """``(n, 4)``, not a number where no face is seen."""
    boxes = np.full((len(samples), 4), np.nan, np.float32)
    frames = [Frame(open_sample(sample), sample.file) for sample in samples]
    for i, face in enumerate(find_main_faces(frames)):
        if face is not None:
            boxes[i] = face.box
    return boxes


def _boxes(run: Path, digests: str) -> NDArray[np.float32] | None:
    """What is kept, ``None`` where it is of other pictures."""
    with np.load(run / BOXES, allow_pickle=False) as kept:
        same = str(kept["digests"]) == digests
        return np.asarray(kept["boxes"], np.float32) if same else None
