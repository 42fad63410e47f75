"""Accuracy of the shipped models and of the authors' weights: writes results/accuracy.csv.

    .venv/bin/python benchmarks/accuracy.py ../shared/data

Every model file goes through the same Detector, each picture taken as one face, on one split. The
authors' weights are imported into a temporary folder with ``mesoscope import-keras``.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import ROOT, SHARED
from mesoscope.data.manifest import read_datasets
from mesoscope.detection.detector import Detector
from mesoscope.evaluation.evaluate import evaluate
from mesoscope.models.file import shipped

RESULTS = ROOT / "results/accuracy.csv"
AUTHORS = {
    "Meso4_DF": "meso4",
    "Meso4_F2F": "meso4",
    "MesoInception_DF": "mesoinception4",
    "MesoInception_F2F": "mesoinception4",
}
FIGURES = (
    "accuracy", "balanced_accuracy", "auc", "eer", "ap", "tpr_at_fpr_0.01", "ece", "brier",
    "coverage", "decided", "error_among_decided",
)  # fmt: skip
BY_CHANCE = ("ece_by_chance", "ece_by_chance_high")  # of true probabilities: mean, 95 % quantile
COLUMNS = (
    "date", "model", "weights", "split", "source", "n", "n_real", "n_fake",
    *(c for f in FIGURES for c in (f, f"{f}_low", f"{f}_high")), *BY_CHANCE, "used_for", "command",
)  # fmt: skip


def import_authors(folder: Path) -> dict[str, Path]:
    """The authors' four weight files as model files; none where they are absent."""
    found = {}
    for name, architecture in AUTHORS.items():
        weights = SHARED / "weights" / f"{name}.h5"
        if weights.is_file():
            out = folder / f"{name}.onnx"
            command = [sys.executable, "-m", "mesoscope", "import-keras", str(weights)]
            command += ["--arch", architecture, "-o", str(out), "--name", name]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            found[name] = out
    return found


def rows_of(name: str, weights: str, path: Path, arguments: argparse.Namespace):
    samples = [s for s in read_datasets(arguments.datasets) if s.split == arguments.split]
    detector = Detector(path, faces="whole")
    found = evaluate(samples, detector, resamples=arguments.resamples).to_dict()
    used_for = "nothing before"
    if weights == "shipped" and arguments.split == "validation":
        used_for = "choice of the epoch, calibration, thresholds"
    fixed = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "model": detector.model_id,
        "weights": weights,
        "split": arguments.split,
        "used_for": used_for,
        "command": f"python benchmarks/accuracy.py {' '.join(map(str, arguments.datasets))}",
    }
    for source, entry in {"all": found, **found["by_source"]}.items():
        plain = ("n", "n_real", "n_fake", *BY_CHANCE)
        row = {**fixed, "source": source} | {k: entry[k] for k in plain}
        for figure in FIGURES:
            low, high = entry["intervals"].get(figure) or (None, None)
            row |= {figure: entry[figure], f"{figure}_low": low, f"{figure}_high": high}
        yield {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
    print(f"{name:20s} mean over sources {found['mean_over_sources']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        models = {name: (path, "shipped") for name, path in shipped().items()}
        models |= {name: (path, "authors'") for name, path in import_authors(Path(folder)).items()}
        for name, (path, weights) in models.items():
            rows.extend(rows_of(name, weights, path, arguments))
    arguments.out.parent.mkdir(exist_ok=True)
    with arguments.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows in {arguments.out}")


if __name__ == "__main__":
    main()
