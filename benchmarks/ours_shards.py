"""Our side of ``shards.py``: asked through :mod:`workers`."""

from __future__ import annotations

import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

from ours import _recipe, network, train, train_versions
from workers import serve

_SURVEYS: dict[str, object] = {}


def look(root: str):
    """Read every picture once, as a run does before its first epoch; its seconds and pictures."""
    from mesoscope.data.manifest import read_datasets
    from mesoscope.training.data.dataset import survey

    started = time.perf_counter()
    samples = read_datasets([Path(root)])
    _SURVEYS[root] = survey(
        samples, where="bench", skip_unreadable=False, watch=lambda items, _n: items
    )
    return {"seconds": time.perf_counter() - started, "pictures": len(samples)}


def load(root: str, recipe: str, overrides: list[str], n: int):
    """Pictures a second of an epoch's loader with nobody behind it; and the highest memory, MiB."""
    from mesoscope.runtime.threads import cores, map_ordered
    from mesoscope.training.data.dataset import batches, draw_epoch, training_crop
    from mesoscope.training.fit.schedule import epoch_samples

    if root not in _SURVEYS:
        look(root)
    made, samples = (
        _recipe(recipe, [*overrides, f"data.images_per_epoch={n}"]),
        _SURVEYS[root].train,
    )
    started = time.perf_counter()
    rng = np.random.default_rng(1)
    _, shown = epoch_samples(draw_epoch(samples, made.data, rng), samples, made.data, rng)
    crops = map_ordered(
        lambda one: training_crop(one[1], made, (1, 0, one[0])),
        enumerate(shown), threads=cores(), depth=128,
    )  # fmt: skip
    done = sum(len(x) for x in batches(crops, 32))
    rate = done / (time.perf_counter() - started)
    return {"rate": rate, "done": done, "peak": _peak()}


def manifest(root: str):
    """Seconds until the samples of a manifest stand in memory."""
    from mesoscope.data.manifest import read_dataset

    started = time.perf_counter()
    rows = len(read_dataset(Path(root)))
    return {"seconds": time.perf_counter() - started, "rows": rows}


def _peak() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would begin with what our parent had when it started us
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)


if __name__ == "__main__":
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    serve(
        {"look": look, "load": load, "manifest": manifest, "network": network, "train": train,
         "train_versions": train_versions}
    )  # fmt: skip
