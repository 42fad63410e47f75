"""How much of its surroundings a found face should bring along: measured on labelled crops.

``python benchmarks/faces_margin.py ../shared/data`` looks for the face in each validation picture,
counts how often ``--faces auto`` takes the picture as it is, and scores crops of several margins
around the found box beside the whole picture. Rows go to ``results/faces_margin.csv``.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import random
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from measure import ROOT, command_line, say

MARGINS = (1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.3)
WHOLE = "whole picture"
CARDS = "as the card says"  # the mean logit over its margins
RESULTS = ROOT / "results/faces_margin.csv"
COLUMNS = (
    "date", "model", "source", "n", "no_face", "auto_whole", "side_over_box_low",
    "side_over_box", "side_over_box_high", "margin", "accuracy", "auc", "p_fake_real",
    "p_fake_fake", "unfamiliar", "command",
)  # fmt: skip


def options() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="benchmarks/faces_margin.py", description=__doc__)
    made.add_argument("dataset", type=Path)
    made.add_argument("--model", default=None, help="name or file; the default model")
    made.add_argument("--n", type=int, default=300, help="pictures a source, both classes alike")
    made.add_argument("--results", type=Path, default=RESULTS)
    return made


def chosen(samples, n: int):
    """``n`` validation pictures a source, half of them real; the same in every run."""
    by = defaultdict(list)
    for sample in samples:
        if sample.split == "validation":
            by[sample.source, sample.label].append(sample)
    picked = defaultdict(list)
    for (source, _), some in sorted(by.items()):
        random.Random(0).shuffle(some)
        picked[source] += some[: n // 2]
    return picked


def looked_at(samples, card):
    """Of each picture: its crops by margin, side over box, whether auto takes it whole."""
    from mesoscope.faces.crop import crop
    from mesoscope.faces.finder import AutoFinder, whole_face
    from mesoscope.faces.mtcnn import MtcnnFinder
    from mesoscope.media.image import open_image

    finder = MtcnnFinder()
    auto = AutoFinder(finder)
    for sample in samples:
        frame = open_image(sample.path)
        (found,) = finder.find([frame])
        taken = auto.find([frame])[0].whole
        height, width = frame.pixels.shape[:2]
        box = _central(found.faces, width, height)
        if box is None:
            yield sample.label, None, None, taken
            continue
        crops = {
            margin: crop(frame.pixels, box, margin=margin, size_px=card.input_px)
            for margin in dict.fromkeys((*MARGINS, *_margins(card)))
        }
        whole = whole_face(frame).box
        crops[WHOLE] = crop(frame.pixels, whole, margin=card.crop_margin, size_px=card.input_px)
        side = max(box[2] - box[0], box[3] - box[1])
        yield sample.label, crops, max(width, height) / side, taken


def _margins(card) -> tuple[float, ...]:
    return card.face_margin, *card.further_margins


def together(answers):
    """The answers of several crops of each face as one: mean logits, median strangeness."""
    p = np.clip([p_fake for p_fake, _ in answers], 1e-7, 1 - 1e-7)
    logits = np.log(p / (1 - p)).mean(0)
    far = [one for _, one in answers if one is not None]
    return 1 / (1 + np.exp(-logits)), np.median(far, axis=0) if far else None


def _central(faces, width: int, height: int):
    """The box nearest to the middle: the labelled face, where several stand in a picture."""

    def off(face) -> float:
        x1, y1, x2, y2 = face.box
        return float(np.hypot((x1 + x2) / 2 - width / 2, (y1 + y2) / 2 - height / 2))

    return min(faces, key=off).box if faces else None


def rows_of(source: str, samples, scorer) -> list[dict]:
    from mesoscope import metrics

    seen = list(looked_at(samples, scorer.card))
    known = [one for one in seen if one[1] is not None]
    ratios = np.quantile([one[2] for one in known], (0.05, 0.5, 0.95))
    labels = np.array([one[0] for one in known])
    guard = scorer.card.guard
    rows, answers = [], {}
    for margin in dict.fromkeys((*MARGINS, WHOLE, *_margins(scorer.card))):
        crops = np.stack([one[1][margin] for one in known])
        scores = [scorer.score(crops[i : i + 2]) for i in range(0, len(crops), 2)]
        p_fake = np.concatenate([s.p_fake for s in scores]).astype(np.float64)
        far = [s.unfamiliar for s in scores]
        answers[margin] = p_fake, None if far[0] is None else np.concatenate(far)
    answers[CARDS] = together([answers[margin] for margin in _margins(scorer.card)])
    for margin in (*MARGINS, WHOLE, CARDS):
        p_fake, far = answers[margin]
        strange = np.nan
        if guard is not None and far is not None:
            strange = float((far > guard.unfamiliar_above).mean())
        measured = metrics.measure(labels, p_fake)
        rows.append(
            {
                "source": source,
                "n": len(seen),
                "no_face": f"{1 - len(known) / len(seen):.4f}",
                "auto_whole": f"{np.mean([one[3] for one in seen]):.4f}",
                "side_over_box_low": f"{ratios[0]:.2f}",
                "side_over_box": f"{ratios[1]:.2f}",
                "side_over_box_high": f"{ratios[2]:.2f}",
                "margin": margin,
                "accuracy": f"{measured['accuracy']:.4f}",
                "auc": f"{measured['auc']:.4f}",
                "p_fake_real": f"{p_fake[labels == 0].mean():.3f}",
                "p_fake_fake": f"{p_fake[labels == 1].mean():.3f}",
                "unfamiliar": f"{strange:.3f}",
            }
        )
    return rows


def mean_rows(rows: list[dict]) -> list[dict]:
    """Means over the sources, by margin."""
    means = []
    for margin in (*MARGINS, WHOLE, CARDS):
        of = [row for row in rows if row["margin"] == margin]
        mean = {"source": "mean", "margin": margin, "n": sum(row["n"] for row in of)}
        for name in ("no_face", "auto_whole", "accuracy", "auc", "p_fake_real", "p_fake_fake"):
            mean[name] = f"{np.mean([float(row[name]) for row in of]):.4f}"
        means.append(mean)
    return means


def main(arguments=None) -> None:
    from mesoscope.data.manifest import read_datasets
    from mesoscope.detection.scorer import OnnxScorer
    from mesoscope.models import DEFAULT_MODEL
    from mesoscope.models.file import find_model

    asked = options().parse_args(arguments)
    scorer = OnnxScorer(find_model(asked.model or DEFAULT_MODEL))
    rows: list[dict] = []
    for source, samples in chosen(read_datasets([asked.dataset]), asked.n).items():
        rows += rows_of(source, samples, scorer)
        for row in rows[-len(MARGINS) - 2 :]:
            say(" ".join(f"{key}={value}" for key, value in row.items()))
    rows += mean_rows(rows)
    told = command_line("benchmarks/faces_margin.py", sys.argv[1:])
    fresh = not asked.results.exists()
    with asked.results.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        around = {"date": dt.datetime.now(dt.timezone.utc).date(), "model": scorer.model_id}
        writer.writerows(around | row | {"command": told} for row in rows)
    for row in rows[-len(MARGINS) - 2 :]:
        print(" ".join(f"{key}={value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
