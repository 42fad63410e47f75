"""How often genuine faces are labelled fake, and forged ones real, by skin tone in the picture.

    .venv/bin/python benchmarks/skin_tone.py ../shared/data

None of the data sets says how dark its people's skin is. So the *individual typology angle* (ITA;
Chardon, Cretois & Hourseau, *Skin colour typology and suntanning pathways*, International Journal
of Cosmetic Science 1991) is measured on both cheeks: arctan((L* - 50) / b*) in degrees, of the
medians of a patch. Two of its published limits give three groups: above 41 degrees *light*, above
10 *intermediate or tan*, else *brown or dark*. The light of a photograph and its processing change
the angle, often more than skin differs: a pale face in dim light counts as dark. So a group is one
of pictures, not of people. Pictures in bluish light, where b* is at most 3, have no such angle.

Each validation picture is labelled by a shipped model as one face. ``results/skin_tone.csv`` holds
the shares of the labels and the AUC of each group, means over the sources that have at least 20
genuine and 20 forged pictures in every group, because the groups mix the sources unlike. Intervals:
95 %, by bootstrap over groups of related pictures within each source.
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from cells import write
from measure import ROOT
from mesoscope import metrics
from mesoscope.data.manifest import read_dataset
from mesoscope.data.sample import open_sample
from mesoscope.detection.detector import Detector
from mesoscope.detection.stages import find_in_pictures
from mesoscope.errors import MesoscopeError
from mesoscope.faces.main_face import MainFaceFinder
from mesoscope.models.file import shipped
from mesoscope.runtime.threads import cores
from mesoscope.synth.landmarks import landmarks_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.sample import Sample
    from mesoscope.types import Pixels

RESULTS = ROOT / "results/skin_tone.csv"
LIGHT, TAN = 41.0, 10.0  # degrees
LEAST_YELLOW = 3.0  # of b*; bluish light makes skin bluer than skin is
GROUPS = ("light", "intermediate or tan", "brown or dark")
LEAST = 20  # pictures of each class of a source in a group
RESAMPLES = 1000
SHARES = ("real_fake", "real_real", "fake_fake", "fake_real", "auc")
COLUMNS = (
    "date", "model", "group", "sources", "n_real", "n_fake",
    *(c for share in SHARES for c in (share, f"{share}_low", f"{share}_high")), "command",
)  # fmt: skip


class Answer(NamedTuple):
    """A picture, its group of skin tone and what a model says of it."""

    sample: Sample
    tone: str
    p_fake: float
    label: str


def angle_of(pixels: Pixels, points: np.ndarray) -> float:
    """The individual typology angle of both cheeks, in degrees; NaN where there is none.

    ``points``: eyes, nose, corners of the mouth, ``(5, 2)``.
    """
    side = max(2, round(0.09 * float(np.linalg.norm(points[1] - points[0]))))
    patches = []
    for eye, mouth in ((points[0], points[3]), (points[1], points[4])):
        away = 0.25 * (eye - points[2]) * (1, 0)  # from the nose, to the side
        x, y = (0.45 * eye + 0.55 * mouth + away).round().astype(int)
        patch = pixels[max(0, y - side) : y + side + 1, max(0, x - side) : x + side + 1]
        patches.append(patch.reshape(-1, 3))
    colours = np.concatenate(patches)[None].astype(np.float32) / 255
    if not colours.size:
        return float("nan")
    lightness, _, yellow = np.median(cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)[0], 0)
    if yellow <= LEAST_YELLOW:
        return float("nan")
    return float(np.degrees(np.arctan2(lightness - 50, yellow)))


def tones(samples: Sequence[Sample]) -> list[str]:
    """The group of each picture, empty where there is no face or no angle."""
    found = []
    answers = find_in_pictures((s.picture for s in samples), MainFaceFinder(), threads=cores())
    for sample, answer in zip(samples, answers, strict=True):
        points = None if isinstance(answer, MesoscopeError) else landmarks_in(answer)
        angle = float("nan") if points is None else angle_of(open_sample(sample), points)
        light, tan = angle > LIGHT, angle > TAN
        found.append("" if np.isnan(angle) else GROUPS[0 if light else 1 if tan else 2])
    return found


def answers_of(model: Path, samples: Sequence[Sample], tone: Sequence[str]) -> list[Answer]:
    verdicts = Detector(model, faces="whole").check_many(s.picture for s in samples)
    return [
        Answer(sample, its, verdict.p_fake, verdict.label)
        for sample, its, verdict in zip(samples, tone, verdicts, strict=True)
        if its and verdict.p_fake is not None
    ]


def sources_of(answers: Sequence[Answer]) -> list[str]:
    """The sources that every group has enough pictures of."""
    counts: dict[tuple[str, str, int], int] = {}
    for one in answers:
        key = (one.sample.source, one.tone, one.sample.label)
        counts[key] = counts.get(key, 0) + 1
    sources = sorted({one.sample.source for one in answers})
    cells = [(tone, label) for tone in GROUPS for label in (0, 1)]
    return [s for s in sources if all(counts.get((s, *cell), 0) >= LEAST for cell in cells)]


def figures_of(answers: Sequence[Answer], sources: Sequence[str]) -> dict[str, float]:
    """Shares of the labels and the AUC, means over the sources."""
    by_source = []
    for source in sources:
        own = [one for one in answers if one.sample.source == source]
        truth = np.array([one.sample.label for one in own])
        says = np.array([one.label for one in own])
        by_source.append(
            (
                *((says[truth == label] == said).mean() for label in (0, 1) for said in LABELS),
                metrics.roc_auc(truth, np.array([one.p_fake for one in own])),
            )
        )
    real_fake, real_real, fake_fake, fake_real, auc = np.nanmean(by_source, axis=0)
    return dict(zip(SHARES, (real_fake, real_real, fake_fake, fake_real, auc), strict=True))


LABELS = ("fake", "real")


def drawn(answers: Sequence[Answer], rng: np.random.Generator) -> list[Answer]:
    """A bootstrap sample of the groups of related pictures of each source."""
    groups: dict[str, dict[str, list[Answer]]] = {}
    for one in answers:
        groups.setdefault(one.sample.source, {}).setdefault(one.sample.group, []).append(one)
    picked = []
    for of in groups.values():
        every = list(of.values())
        for at in rng.integers(len(every), size=len(every)):
            picked += every[at]
    return picked


def rows_of(model: Path, samples: Sequence[Sample], tone: Sequence[str]):
    """One row a group."""
    answers = answers_of(model, samples, tone)
    sources = sources_of(answers)
    for group in GROUPS:
        own = [one for one in answers if one.tone == group and one.sample.source in sources]
        rng = np.random.default_rng(1)
        resampled = [figures_of(drawn(own, rng), sources) for _ in range(RESAMPLES)]
        row = {
            "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
            "model": model.stem,
            "group": group,
            "sources": " ".join(sources),
            "n_real": sum(one.sample.label == 0 for one in own),
            "n_fake": sum(one.sample.label == 1 for one in own),
            "command": "python benchmarks/skin_tone.py ../shared/data",
        }
        for name, value in figures_of(own, sources).items():
            low, high = np.nanquantile([one[name] for one in resampled], (0.025, 0.975))
            row |= {name: round(float(value), 4), f"{name}_low": round(float(low), 4)}
            row[f"{name}_high"] = round(float(high), 4)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    arguments = parser.parse_args()
    samples = [s for s in read_dataset(arguments.dataset) if s.split == "validation"]
    tone = tones(samples)
    print({group: tone.count(group) for group in (*GROUPS, "")})
    rows = []
    for model in shipped().values():
        for row in rows_of(model, samples, tone):
            rows.append(row)
            print({k: v for k, v in row.items() if k in ("model", "group", *SHARES)}, flush=True)
    write(RESULTS, COLUMNS, rows)
    print(f"wrote {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
