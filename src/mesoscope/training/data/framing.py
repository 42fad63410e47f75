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

from mesoscope.detection.stages import find_in_pictures
from mesoscope.errors import MesoscopeError
from mesoscope.faces.main_face import MainFaceFinder
from mesoscope.files.whole import whole
from mesoscope.runtime.log import logger
from mesoscope.runtime.threads import cores

if TYPE_CHECKING:
    from pathlib import Path

    from lightning_fabric import Fabric
    from numpy.typing import NDArray

    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.fit.watcher import RunWatcher
    from mesoscope.training.recipe.recipe import Recipe

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
    answers = find_in_pictures(
        (sample.picture for sample in samples), MainFaceFinder(), threads=cores()
    )
    boxes = np.full((len(samples), 4), np.nan, np.float32)  # not a number where no face is seen
    shown = watcher.count(answers, len(samples), "finding the face in each train picture")
    for box, answer in zip(boxes, shown, strict=True):
        if isinstance(answer, MesoscopeError):
            raise answer
        if answer.faces:
            box[:] = answer.faces[0].box
    run.mkdir(parents=True, exist_ok=True)
    with whole(kept) as part, part.open("wb") as file:
        np.savez_compressed(file, boxes=boxes, digests=np.array(data.digests))
    seen = int(np.isfinite(boxes).all(1).sum())
    logger.info(f"faces found in {seen} of {len(samples)} train pictures")


def _boxes(run: Path, digests: str) -> NDArray[np.float32] | None:
    """What is kept, ``None`` where it is of other pictures."""
    with np.load(run / BOXES, allow_pickle=False) as kept:
        same = str(kept["digests"]) == digests
        return np.asarray(kept["boxes"], np.float32) if same else None
