"""How often a model says that it does not know such faces: writes results/unfamiliar.csv.

    .venv/bin/python benchmarks/unfamiliar.py mesoscope ../shared/data
    .venv/bin/python benchmarks/unfamiliar.py mesoscope ../shared/data \\
        --held-out stylegan=runs/without-stylegan/model.onnx

Every picture goes through a Detector, taken as one face, and each verdict is given twice: with the
guard and without it. The kinds are the validation faces of each source as they are; pictures that
are no faces; the same faces spoilt (both from ``strange.py``); and, with ``--held-out``, the faces
of a source that the model named beside it was not trained on.
"""

from __future__ import annotations

import argparse
import datetime as dt
import itertools
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import strange
from cells import model_name, others, rounded, write
from measure import ROOT
from mesoscope.data.manifest import read_datasets
from mesoscope.detection.detector import Detector
from mesoscope.detection.judge import is_unfamiliar, judge
from mesoscope.faces.crop import crop
from mesoscope.media.image import open_image
from mesoscope.metrics import effective_count, proportion_interval, roc_auc
from mesoscope.models.file import find_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mesoscope.data.manifest import Sample
    from mesoscope.types import Pixels, Verdict

RESULTS = ROOT / "results/unfamiliar.csv"
COLUMNS = (
    "date", "model", "trained_on", "family", "kind", "n", "unfamiliar", "unfamiliar_low",
    "unfamiliar_high", "auroc", "decided_unguarded", "wrong_unguarded", "wrong_unguarded_low",
    "wrong_unguarded_high", "decided", "wrong", "wrong_low", "wrong_high", "pictures", "command",
)  # fmt: skip


@dataclass
class Kind:
    """What a model said of one kind of pictures: a row of the table.

    ``truths`` holds labels, or stays empty for pictures that are no faces. ``groups`` are pictures
    that belong together, such as frames of a video.
    """

    detector: Detector
    truths: list[int] = field(default_factory=list)
    groups: list[tuple[str, str]] = field(default_factory=list)
    distances: list[float] = field(default_factory=list)
    refused: list[bool] = field(default_factory=list)
    guarded: list[str | None] = field(default_factory=list)
    unguarded: list[str | None] = field(default_factory=list)

    def add(self, verdict: Verdict, sample: Sample | None = None) -> None:
        """Count one verdict."""
        card = self.detector.card
        for face in verdict.faces:
            if face.unfamiliar is None:
                sys.exit(f"{self.detector.model_id}: a model without a guard: train --resume it")
            self.distances.append(face.unfamiliar)
            self.refused.append(is_unfamiliar(face, card.guard))
            self.guarded.append(verdict.label)
            self.unguarded.append(judge(verdict.faces, card.thresholds).label)
            number = ("", str(len(self.groups)))
            self.groups.append(number if sample is None else (sample.source, sample.group))
            if sample is not None:
                self.truths.append(sample.label)

    def row(self, family: str, kind: str, familiar: Kind) -> dict[str, object]:
        """Its figures; ``familiar`` are the faces to tell it from."""
        n = len(self.distances)
        row: dict[str, object] = {"family": family, "kind": kind, "n": n}
        row |= _share("unfamiliar", np.array(self.refused), self.groups)
        if self is not familiar:
            labels = [0] * len(familiar.distances) + [1] * n
            row["auroc"] = roc_auc(labels, familiar.distances + self.distances)
        for suffix, labels_given in (("_unguarded", self.unguarded), ("", self.guarded)):
            clear = np.array([label in ("fake", "real") for label in labels_given])
            row[f"decided{suffix}"] = float(clear.mean()) if n else None
            if self.truths and clear.any():
                said = np.array([label == "fake" for label in labels_given])
                wrong = (said != np.array(self.truths))[clear]
                groups = list(itertools.compress(self.groups, clear))
                row |= _share(f"wrong{suffix}", wrong, groups)
        return row


def _share(name: str, hits: np.ndarray, groups: Sequence[tuple[str, str]]) -> dict[str, float]:
    """A share with its 95 % interval; the frames of one video are not worth their number."""
    numbers: dict[tuple[str, str], int] = {}
    worth = effective_count([numbers.setdefault(group, len(numbers)) for group in groups])
    low, high = proportion_interval(float(hits.sum()), len(hits), effective_n=worth)
    return {name: float(hits.mean()), f"{name}_low": low, f"{name}_high": high}


def faces_by_source(detector: Detector, samples: Sequence[Sample]) -> dict[str, Kind]:
    """The faces as they are, a kind a source."""
    kinds: dict[str, Kind] = defaultdict(lambda: Kind(detector))
    verdicts = detector.check_many((sample.path for sample in samples), keep_going=True)
    for sample, verdict in zip(samples, verdicts, strict=True):
        kinds[sample.source].add(verdict, sample)
    return dict(sorted(kinds.items()))


def together(detector: Detector, kinds: Iterable[Kind]) -> Kind:
    """Several kinds as one."""
    whole = Kind(detector)
    for one in kinds:
        for name in ("truths", "groups", "distances", "refused", "guarded", "unguarded"):
            getattr(whole, name).extend(getattr(one, name))
    return whole


def some_of_each(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many of each source and class, spread over the whole."""
    cells: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    for sample in samples:
        cells[sample.source, sample.label].append(sample)
    return [
        cell[i]
        for cell in cells.values()
        for i in np.unique(np.linspace(0, len(cell) - 1, min(most, len(cell))).astype(int))
    ]


def spoilt(detector: Detector, samples: Sequence[Sample], kind: str) -> Kind:
    """Faces spoilt in one way, at the size of the crops."""
    found, margin = Kind(detector), detector.card.crop_margin

    def pictures() -> Iterator[Pixels]:
        for sample in samples:
            pixels = open_image(sample.path).pixels
            box = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
            yield strange.SPOILT[kind](crop(pixels, box, margin=margin, size_px=strange.SIDE))

    for sample, verdict in zip(samples, detector.check_many(pictures()), strict=True):
        found.add(verdict, sample)
    return found


def rows_of_model(path: Path, samples: Sequence[Sample], arguments: argparse.Namespace):
    """Faces as they are, no faces, spoilt faces."""
    detector = Detector(path, faces="whole")
    sources = faces_by_source(detector, samples)
    every = together(detector, sources.values())
    for name, kind in {"all": every, **sources}.items():
        yield detector, kind.row("faces", name, every if name == "all" else kind)
    for name in strange.OBJECTS:
        kind = Kind(detector)
        for verdict in detector.check_many(strange.objects(name, arguments.objects)):
            kind.add(verdict)
        yield detector, kind.row("no faces", name, every)
    some = some_of_each(samples, arguments.spoilt)
    for name in strange.SPOILT:
        yield detector, spoilt(detector, some, name).row("spoilt faces", name, every)


def rows_held_out(pairs: Sequence[str], samples: Sequence[Sample]):
    """A source that a model was not trained on, beside the sources that it was trained on."""
    for pair in pairs:
        name, _, path = pair.partition("=")
        if name not in {sample.source for sample in samples} or not path:
            sys.exit(f"--held-out {pair}: give a source of the data set and a model: NAME=MODEL")
        detector = Detector(find_model(path), faces="whole")
        sources = faces_by_source(detector, samples)
        known = together(detector, (kind for n, kind in sources.items() if n != name))
        yield detector, sources[name].row("held out", name, known)
        yield detector, known.row("known beside", name, known)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", help="a shipped model or a file")
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--objects", type=int, default=200, help="pictures of each kind of object")
    parser.add_argument("--spoilt", type=int, default=50, help="faces a source and class to spoil")
    parser.add_argument("--held-out", action="append", default=[], metavar="NAME=MODEL")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    samples = [s for s in read_datasets(arguments.datasets) if s.split == arguments.split]
    where = " ".join(map(str, arguments.datasets))
    fixed = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "pictures": f"{where}, {arguments.split} split",
        "command": f"python benchmarks/unfamiliar.py {arguments.model} {where}",
    }
    rows = []
    for detector, row in itertools.chain(
        rows_of_model(find_model(arguments.model), samples, arguments),
        rows_held_out(arguments.held_out, samples),
    ):
        left_out = row["kind"] if row["family"] in ("held out", "known beside") else ""
        trained_on = f"all but {left_out}" if left_out else "all sources"
        rows.append({**fixed, "model": detector.model_id, "trained_on": trained_on, **row})
        print(_line(rows[-1]), flush=True)
    _write(arguments.out, rows)


def _line(row: dict[str, object]) -> str:
    shown = [f"{row['family']:13s}{row['kind']:18s}{row['n']:6d}"]
    for name in ("unfamiliar", "auroc", "decided_unguarded", "wrong_unguarded", "decided", "wrong"):
        value = row.get(name)
        shown.append(f"{name} –" if value is None else f"{name} {value:.3f}")
    return "  ".join(shown)


def _write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    """Write the rows; those of models that were not measured now stay as they are."""
    kept = others(path, rows, _name)
    path.parent.mkdir(exist_ok=True)
    write(path, COLUMNS, [*kept, *map(rounded, rows)])
    print(f"{len(rows)} rows written to {path}, {len(kept)} kept")


def _name(row: Mapping[str, object]) -> tuple[str, str]:
    return model_name(row), str(row["trained_on"])


if __name__ == "__main__":
    main()
