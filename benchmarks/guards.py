"""Which sign tells that a picture is of a kind that training lacked, or that its label is wrong.

    .venv/bin/python benchmarks/strangers.py ../shared/data --recipes shipped --keep kept \
        --set augment.reframe=0.0
    .venv/bin/python benchmarks/strangers.py ../shared/data --recipes shipped --keep kept \
        --set augment.reframe=0.0 --set seed=2
    .venv/bin/python benchmarks/strangers.py ../shared/data --recipes shipped --keep kept \
        --set augment.reframe=0.0 --set seed=3 --set decide.guard=true
    .venv/bin/python benchmarks/guards.py ../shared/data kept

For each left-out kind there are three networks, which differ by their seed alone. Each sign is a
number for a picture, higher = more doubt:

- *confidence*: one minus the distance of the mean ``p_fake`` from .5, which the energy of a network
  with one logit equals in order;
- *seeds*: standard deviation of the logits of the three networks;
- *augmentations*: standard deviation of one network's logits on the crop, its mirror image, and
  copies after JPEG at quality 75 and after resizing to three quarters and back;
- *distance*: the guard of the model file, a Mahalanobis distance from the training crops.

``results/guards.csv`` says of each kind and sign: how well it tells left-out pictures from
validation pictures of known kinds (AUC, .5 = blind), how many of the left-out ones it refuses where
it refuses 5 % of the known ones, and how well it tells wrong labels from right ones among the
left-out ones.
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cells import write
from measure import ROOT
from mesoscope.data.manifest import read_dataset
from mesoscope.detection.scorer import OnnxScorer
from mesoscope.imaging.encode import through_jpeg
from mesoscope.imaging.filters import resize
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.training.data.dataset import batches, plain_crop
from strangers_figures import KINDS, auc_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesoscope.data.sample import Sample
    from mesoscope.types import Pixels

RESULTS = ROOT / "results/guards.csv"
RECIPE = "shipped augment.reframe=0.0"
NETWORKS = (RECIPE, f"{RECIPE} seed=2", f"{RECIPE} seed=3 decide.guard=true")
KNOWN_REFUSED = 0.05
COLUMNS = (
    "date", "kind", "sign", "n_left_out", "n_known", "strange_auc", "strange_auc_low",
    "strange_auc_high", "left_out_refused", "wrong_auc", "wrong_auc_low", "wrong_auc_high",
    "command",
)  # fmt: skip


def again_as_jpeg(crop: Pixels) -> Pixels:
    return through_jpeg(crop, 75)


def again_smaller(crop: Pixels) -> Pixels:
    size = crop.shape[0]
    small = resize(crop, size * 3 // 4, size * 3 // 4, cv2.INTER_AREA)
    return resize(small, size, size, cv2.INTER_LINEAR)


def mirrored(crop: Pixels) -> Pixels:
    return np.ascontiguousarray(crop[:, ::-1])


AUGMENTATIONS: tuple[Callable[[Pixels], Pixels], ...] = (mirrored, again_as_jpeg, again_smaller)


def signs(models: list[OnnxScorer], samples: list[Sample]) -> tuple[np.ndarray, dict]:
    """The mean ``p_fake`` of some networks, and each sign, of all pictures."""
    logits: list[list[np.ndarray]] = [[] for _ in models]
    varied: list[list[np.ndarray]] = [[] for _ in AUGMENTATIONS]
    distance = []
    crops = map_ordered(lambda s: plain_crop(s, 1.0), samples, threads=cores())
    for batch in batches(crops, 16):
        for at, model in enumerate(models):
            found = model.score(batch)
            logits[at].append(found.logit)
        if found.unfamiliar is None:
            raise SystemExit(f"{models[-1].model_id} has no guard: --set decide.guard=true")
        distance.append(found.unfamiliar)
        for at, change in enumerate(AUGMENTATIONS):
            changed = np.stack([change(crop) for crop in batch])
            varied[at].append(models[0].score(changed).logit)
    by_seed = np.stack([np.concatenate(parts) for parts in logits])  # (networks, n)
    by_change = np.stack([by_seed[0], *(np.concatenate(parts) for parts in varied)])
    p_fake = 1 / (1 + np.exp(-by_seed.mean(0)))
    return p_fake, {
        "confidence": 1 - np.abs(2 * p_fake - 1),
        "seeds": by_seed.std(0),
        "augmentations": by_change.std(0),
        "distance": np.concatenate(distance),
    }


def measured(kind: str, models: list[OnnxScorer], samples: list[Sample]) -> list[dict]:
    """One row a sign."""
    p_fake, by_sign = signs(models, samples)
    left_out = np.array([sample.source in KINDS[kind] for sample in samples])
    wrong = (p_fake >= 0.5) != np.array([sample.label == 1 for sample in samples])
    names = sorted({(s.source, s.group) for s in samples})
    index = {name: at for at, name in enumerate(names)}
    groups = np.array([index[s.source, s.group] for s in samples])
    strange, mistaken = left_out.astype(int), wrong[left_out].astype(int)
    rows = []
    for sign, values in by_sign.items():
        limit = np.quantile(values[~left_out], 1 - KNOWN_REFUSED)
        rows.append(
            {
                "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
                "kind": kind,
                "sign": sign,
                "n_left_out": int(left_out.sum()),
                "n_known": int((~left_out).sum()),
                **auc_columns("strange_auc", strange, values, groups),
                "left_out_refused": round(float((values[left_out] > limit).mean()), 4),
                **auc_columns("wrong_auc", mistaken, values[left_out], groups[left_out]),
                "command": "python benchmarks/guards.py ../shared/data kept",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("kept", type=Path, help="the folder of strangers.py --keep")
    arguments = parser.parse_args()
    samples = [s for s in read_dataset(arguments.dataset) if s.split == "validation"]
    rows = []
    for kind in KINDS:
        models = [OnnxScorer(arguments.kept / f"{name}, {kind}.onnx") for name in NETWORKS]
        rows += measured(kind, models, samples)
        for row in rows[-4:]:
            print(
                f"{kind}: {row['sign']}: strange {row['strange_auc']:.3f}, refused "
                f"{row['left_out_refused']:.1%}, wrong {row['wrong_auc']:.3f}",
                flush=True,
            )
    write(RESULTS, COLUMNS, rows)
    print(f"wrote {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
