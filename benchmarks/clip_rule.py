"""Which rule should make one score of a person's frames: writes results/clip_rule.csv.

    .venv/bin/python benchmarks/clip_rule.py mesoscope ../shared/data

Three kinds of clips. ``ffpp``: the frames of each video of the validation split. ``moving``: one
still face of each other source as a clip of twelve frames that jitters and zooms, a stretch of it
smaller or blurred, encoded as H.264 at three qualities. ``partly``: of the moving clips whose
source has a forgery and its original as a pair, the original's frames with a quarter of them
forged. Nothing is tuned on what is reported: exponents of weights and both thresholds are chosen on
four fifths of the groups and used on the last fifth, in turn.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import itertools
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from measure import ROOT
from mesoscope.data.manifest import read_datasets
from mesoscope.detection.scorer import OnnxScorer
from mesoscope.faces.crop import crop
from mesoscope.faces.finder import finder_for
from mesoscope.media.image import open_image
from mesoscope.metrics import roc_auc
from mesoscope.metrics.intervals import bootstrap_auc, interval
from mesoscope.models.file import find_model
from mesoscope.types import DetectOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mesoscope.data.manifest import Sample
    from mesoscope.types import Found, Pixels

    Floats = NDArray[np.float64]

RESULTS = ROOT / "results/clip_rule.csv"
COLUMNS = (
    "date", "model", "clips", "rule", "n_real", "n_fake", "auc", "auc_low", "auc_high", "change",
    "change_low", "change_high", "exponents", "real_told_fake", "real_told_real", "fake_told_fake",
    "fake_told_real", "data", "command",
)  # fmt: skip
TODAY = "trimmed mean of p"
FOLDS, RESAMPLES = 5, 1000
EXPONENTS = (0.25, 0.5, 1.0, 2.0)
FALSE_ALARMS, MISSED = 0.02, 0.15  # of the other folds' clips: what thresholds are chosen by
_FRAMES, _CANVAS, _CRFS = 12, 256, (18, 28, 36)
_FIXED_PX = 128  # sharpness is measured at one size
_REFERENCE_PX, _REFERENCE_SHARP = 100.0, 100.0


class Clip(NamedTuple):
    """One person's frames: log-odds, sides in pixels, sharpness, how far turned, ``(n,)`` each."""

    label: int
    group: str
    logits: Floats
    sides: Floats
    sharp: Floats
    turned: Floats


def rules() -> dict[str, Callable[[Clip, float], float]]:
    """Name → rule; the number is the exponent of its weights, for those that have some."""
    return {
        TODAY: lambda c, _: _trimmed(_p(c.logits)),
        "trimmed mean of p, a tenth": lambda c, _: _trimmed(_p(c.logits), 0.1),
        "mean of p": lambda c, _: float(_p(c.logits).mean()),
        "median of p": lambda c, _: float(np.median(_p(c.logits))),
        "mean of the highest quarter": lambda c, _: _highest(_p(c.logits)),
        "mean logit": lambda c, _: float(c.logits.mean()),
        "trimmed mean logit": lambda c, _: _trimmed(c.logits),
        "mean logit by size": lambda c, e: _weighted(c.logits, _of_size(c) ** e),
        "mean logit by sharpness": lambda c, e: _weighted(c.logits, _of_sharpness(c) ** e),
        "mean logit by both": lambda c, e: _weighted(
            c.logits, (_of_size(c) * _of_sharpness(c)) ** e
        ),
        "mean logit by confidence": lambda c, e: _weighted(c.logits, (0.1 + np.abs(c.logits)) ** e),
        "mean of p by size": lambda c, e: _weighted(_p(c.logits), _of_size(c) ** e),
        "mean of p by pose": lambda c, e: _weighted(_p(c.logits), (1 - c.turned) ** e),
        "share from .5": lambda c, _: float((c.logits >= 0).mean() + 1e-3 * _p(c.logits).mean()),
        "noisy or": lambda c, _: float(-np.log1p(-np.clip(_p(c.logits), 0, 1 - 1e-9)).sum()),
    }


def _p(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float64)


def _trimmed(values: Floats, trim: float = 0.2) -> float:
    cut = int(trim * values.size)
    return float(np.sort(values)[cut : values.size - cut].mean())


def _highest(values: Floats) -> float:
    return float(np.sort(values)[-max(1, values.size // 4) :].mean())


def _weighted(values: Floats, weights: Floats) -> float:
    return float(np.average(values, weights=np.maximum(weights, 1e-6)))


def _of_size(clip: Clip) -> Floats:
    return np.minimum(clip.sides / _REFERENCE_PX, 1)


def _of_sharpness(clip: Clip) -> Floats:
    return np.minimum(clip.sharp / _REFERENCE_SHARP, 1)


def crossed(
    clips: Sequence[Clip], rule: Callable[[Clip, float], float]
) -> tuple[Floats, list[str | None], list[float]]:
    """Scores and answers of clips, each by what was chosen on the other folds.

    Returns:
        Scores, answers, and the exponent that each fold chose.
    """
    labels = np.array([clip.label for clip in clips])
    names = sorted({clip.group for clip in clips})
    fold_of = dict(
        zip(np.random.default_rng(0).permutation(names).tolist(), itertools.cycle(range(FOLDS)))
    )
    folds = np.array([fold_of[clip.group] for clip in clips])
    by_exponent = {e: np.array([rule(clip, e) for clip in clips]) for e in EXPONENTS}
    scores = np.empty(len(clips))
    answers: list[str | None] = [None] * len(clips)
    chosen = []
    for fold in range(FOLDS):
        here, others = folds == fold, folds != fold
        aucs = {e: roc_auc(labels[others], s[others]) for e, s in by_exponent.items()}
        best = max(EXPONENTS, key=lambda e: (aucs[e], -e))
        chosen.append(best)
        known = by_exponent[best][others]
        scores[here] = by_exponent[best][here]
        fake_from = float(np.quantile(known[labels[others] == 0], 1 - FALSE_ALARMS))
        real_below = float(np.quantile(known[labels[others] == 1], MISSED))
        for n in np.flatnonzero(here):
            score = scores[n]
            answers[n] = (
                "fake" if score > fake_from else "real" if score < real_below else "inconclusive"
            )
    return scores, answers, chosen


def rows_of(kind: str, clips: Sequence[Clip]) -> Iterator[dict[str, object]]:
    """A row a rule."""
    labels = np.array([clip.label for clip in clips])
    groups = np.array([clip.group for clip in clips])
    drawn_today: Floats | None = None
    auc_today = 0.0
    for name, rule in rules().items():
        scores, answers, exponents = crossed(clips, rule)
        auc = roc_auc(labels, scores)
        drawn = bootstrap_auc(labels, scores, groups, n=RESAMPLES, seed=0)
        if drawn_today is None:
            drawn_today, auc_today = drawn, auc
        low, high = interval(drawn)
        change_low, change_high = interval(drawn - drawn_today)
        told = np.array(answers)
        yield {
            "clips": kind, "rule": name, "n_real": int((labels == 0).sum()),
            "n_fake": int((labels == 1).sum()), "auc": auc, "auc_low": low, "auc_high": high,
            "change": auc - auc_today, "change_low": change_low, "change_high": change_high,
            "exponents": " ".join(map(str, exponents)) if " by " in name else "",
            **{
                f"{truth}_told_{answer}": float((told[labels == label] == answer).mean())
                for label, truth in enumerate(("real", "fake"))
                for answer in ("fake", "real")
            },
        }  # fmt: skip


def videos(samples: Iterable[Sample], scorer: OnnxScorer) -> list[Clip]:
    """The pictures of each group, taken as frames of one person."""
    frames: dict[tuple[int, str], list[tuple[float, ...]]] = defaultdict(list)
    finder = finder_for(DetectOptions(faces="mtcnn"))
    for sample in samples:
        frame = open_image(sample.picture)
        height, width = frame.pixels.shape[:2]
        seen = _look(frame.pixels, (0.0, 0.0, float(width), float(height)), scorer)
        turned = _turned(finder.find([frame])[0])
        frames[sample.label, sample.group].append((*seen, turned))
    return [_clip(label, group, seen) for (label, group), seen in frames.items() if len(seen) >= 3]


def moving(samples: Sequence[Sample], scorer: OnnxScorer) -> Iterator[Clip]:
    """Each still face as a clip, one of the qualities in turn; both classes have the same life."""
    # A forgery and its original share a group, and so all that is drawn for them.
    numbers = {group: n for n, group in enumerate(sorted({s.group for s in samples}))}
    for sample in samples:
        draw = np.random.default_rng(numbers[sample.group])
        pictures, sides = _animated(open_image(sample.picture).pixels, draw)
        crf = _CRFS[numbers[sample.group] % len(_CRFS)]
        seen = [
            (*_look(picture, _middle(side), scorer), 0.0)  # one still face: one pose throughout
            for picture, side in zip(_encoded(pictures, crf), sides, strict=True)
        ]
        yield _clip(sample.label, sample.group, seen)


def partly(clips: Sequence[Clip]) -> list[Clip]:
    """Reals of pairs, and the same with a quarter of their frames forged."""
    reals = {clip.group: clip for clip in clips if not clip.label}
    found = []
    for clip in clips:
        real = reals.get(clip.group)
        if clip.label and real is not None:
            forged = np.arange(clip.logits.size) % 12 >= 9
            mixed = (np.where(forged, a, b) for a, b in zip(clip[2:], real[2:], strict=True))
            found += [real, Clip(1, clip.group, *mixed)]
    return found


def _animated(pixels: Pixels, draw: np.random.Generator) -> tuple[list[Pixels], list[int]]:
    """Twelve frames with a face that jitters and zooms; a third of them far away or blurred."""
    largest = int(draw.choice((96, 128, 176, 224)))
    hard, first = draw.choice(("none", "far", "blurred")), int(draw.integers(0, 9))
    ground = pixels.reshape(-1, 3).mean(0).astype(np.uint8)
    pictures, sides = [], []
    for n in range(_FRAMES):
        odd = first <= n < first + 4
        side = int(largest * draw.uniform(0.88, 1.0) * (0.4 if odd and hard == "far" else 1))
        face = np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA))
        if odd and hard == "blurred":
            face = cv2.GaussianBlur(face, (0, 0), side * draw.uniform(0.01, 0.03))
        canvas = np.broadcast_to(ground, (_CANVAS, _CANVAS, 3)).copy()
        at = (_CANVAS - side) // 2
        x, y = (at + int(v) for v in np.clip(draw.integers(-3, 4, 2), -at, at))
        canvas[y : y + side, x : x + side] = face
        pictures.append(canvas)
        sides.append(side)
    return pictures, sides


def _encoded(pictures: Sequence[Pixels], crf: int) -> list[Pixels]:
    """The same pictures after H.264."""
    file = io.BytesIO()
    with av.open(file, "w", "mp4") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(12), options={"crf": str(crf), "preset": "veryfast"}
        )
        stream.width = stream.height = _CANVAS
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def _middle(side: int) -> tuple[float, float, float, float]:
    at = (_CANVAS - side) / 2
    return at, at, at + side, at + side


def _look(
    pixels: Pixels, box: tuple[float, float, float, float], scorer: OnnxScorer
) -> tuple[float, float, float]:
    """Log-odds, side in pixels, sharpness: the variance of the Laplacian at a fixed size."""
    card = scorer.card
    seen = crop(pixels, box, margin=1.0, size_px=card.input_px, resize=card.resize)
    logit = float(scorer.score(seen[None]).logit[0])
    grey = cv2.cvtColor(crop(pixels, box, size_px=_FIXED_PX), cv2.COLOR_RGB2GRAY)
    return logit, box[2] - box[0], float(cv2.Laplacian(grey, cv2.CV_64F).var())


def _turned(found: Found) -> float:
    """How far the nose lies beside the middle of the eyes, in their distance, at most .9.

    Where no landmarks were found, the face is taken as half turned.
    """
    if not found.faces or not found.faces[0].landmarks:
        return 0.5
    (x1, y1), (x2, y2), (nose, _), *_ = found.faces[0].landmarks
    return min(0.9, abs(nose - (x1 + x2) / 2) / max(np.hypot(x2 - x1, y2 - y1), 1.0))


def _clip(label: int, group: str, seen: Sequence[tuple[float, ...]]) -> Clip:
    return Clip(label, group, *np.array(seen, np.float64).T)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a shipped model or a file")
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--videos", default="ffpp", help="the source whose groups are videos")
    parser.add_argument("--stills", type=int, default=140, help="clips made of a source and class")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    samples = [s for s in read_datasets(asked.datasets) if s.split == "validation"]
    scorer = OnnxScorer(find_model(asked.model), threads=1)
    kinds = {asked.videos: videos((s for s in samples if s.source == asked.videos), scorer)}
    stills: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda s: (s.group, s.label)):
        stills[sample.source, sample.label].append(sample)
    chosen = [
        s for (source, _), of in stills.items() if source != asked.videos
        for s in of[: asked.stills]
    ]  # fmt: skip
    kinds["moving"] = list(moving(chosen, scorer))
    kinds["partly"] = partly(kinds["moving"])
    where = " ".join(map(str, asked.datasets))
    fixed = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(), "model": scorer.model_id,
        "data": f"{where}, validation split",
        "command": f"python benchmarks/clip_rule.py {asked.model} {where}",
    }  # fmt: skip
    rows = [{**fixed, **row} for kind, clips in kinds.items() for row in rows_of(kind, clips)]
    for row in rows:
        print("{clips:8s}{rule:30s} AUC {auc:.3f} {change:+.4f}".format(**row))
    asked.out.parent.mkdir(exist_ok=True)
    with asked.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
