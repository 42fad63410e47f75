"""What 8-bit integers cost and save: accuracy, size and speed of each shipped model, side by side.

    .venv/bin/python benchmarks/quantization.py ../shared/data

Each shipped model in floats is quantised as ``mesoscope quantize`` does, and once more with every
convolution and dense layer in integers, which is what one would try first. All three files judge
the validation split through the same Detector, and their speed is measured in turns, on one core.
Writes results/quantization.csv.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import logging
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from cells import model_name, others, write
from measure import ROOT, command_line, commit, cores, cpu_name, say, workplace
from mesoscope.data.manifest import read_datasets
from mesoscope.detection.scorer import OnnxScorer
from mesoscope.evaluation.throughput import faces_per_second
from mesoscope.models.file import graph_sha256, model_id, read_card, shipped
from mesoscope.training.compress.quantize import quantize
from mesoscope.training.data.dataset import draw_epoch, plain_crop
from mesoscope.training.decide.comparison import compare
from mesoscope.training.export.onnx_export import with_card
from mesoscope.training.export.weight_bits import in_32_bits
from mesoscope.training.recipe.keys import DataKeys

RESULTS = ROOT / "results/quantization.csv"
FACES = 256
COLUMNS = (
    "date", "commit", "model", "computes", "n", "mean_accuracy", "mean_accuracy_low",
    "mean_accuracy_high", "mean_auc", "mean_auc_low", "mean_auc_high", "p_fake_moved",
    "other_labels", "bytes", "faces_per_s", "speed", "faces_calibrated_on", "used_for",
    "onnxruntime", "cpu", "cores", "load", "command",
)  # fmt: skip
FLOATS, CHOSEN, EVERYTHING = "floats", "integers where it pays", "integers everywhere"


class Crops(CalibrationDataReader):
    """Hands crops to ONNX Runtime's calibration."""

    def __init__(self, crops) -> None:
        self._left = iter(crops)

    def get_next(self):
        crop = next(self._left, None)
        return None if crop is None else {"crops": crop[None]}


def everywhere(path: Path, out: Path, crops) -> None:
    """Every convolution and dense layer in integers, by ONNX Runtime's own settings."""
    model = in_32_bits(onnx.load(path))
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    quantize_static(
        model, out, Crops(crops), quant_format=QuantFormat.QDQ, per_channel=True,
        op_types_to_quantize=["Conv", "Gemm", "MatMul"], activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )  # fmt: skip
    done = onnx.load(out)
    digest = graph_sha256(done.SerializeToString())
    card = dataclasses.replace(read_card(path), graph_sha256=digest, self_check=())
    out.write_bytes(with_card(done, card))


def rows_of(path: Path, work: Path, roots, fixed: dict) -> list[dict]:
    """Three rows: the model in floats, and both copies."""
    samples = read_datasets(roots)
    validation = [s for s in samples if s.split == "validation"]
    train = [s for s in samples if s.split == "train"]
    margin = read_card(path).crop_margin
    keys = DataKeys(images_per_epoch=min(FACES, len(train)), source_power=0.0)
    picks = dict.fromkeys(draw_epoch(train, keys, np.random.default_rng(0)).tolist())
    files = {CHOSEN: work / f"{path.stem}-chosen.onnx", EVERYTHING: work / f"{path.stem}-all.onnx"}
    say(f"{path.stem}: quantising")
    found = {
        CHOSEN: quantize(
            path, roots, files[CHOSEN], name=f"{path.stem}-int8", faces=FACES, allow_loss=True
        )
    }
    everywhere(path, files[EVERYTHING], np.stack([plain_crop(train[i], margin) for i in picks]))
    say(f"{path.stem}: judging with every layer in integers")
    found[EVERYTHING], _ = compare(path, files[EVERYTHING], validation)
    paths = {FLOATS: path, **files}
    rates = faces_per_second([OnnxScorer(p) for p in paths.values()], rounds=11)
    rows = []
    for (computes, file), rate in zip(paths.items(), rates, strict=True):
        comparison = found.get(computes)
        side = found[CHOSEN].original if comparison is None else comparison.quantised
        figures = {"mean_accuracy": side.accuracy, "mean_auc": side.auc}
        for name, pair in (("accuracy", side.accuracy_interval), ("auc", side.auc_interval)):
            figures |= {f"mean_{name}_low": pair[0], f"mean_{name}_high": pair[1]}
        moved = {"p_fake_moved": 0.0, "other_labels": 0.0}
        if comparison is not None:
            moved = {"p_fake_moved": comparison.moved, "other_labels": comparison.other_labels}
        rounded = {name: f"{value:.4f}" for name, value in (figures | moved).items()}
        rows.append(
            {
                **fixed, **rounded, "model": model_id(path), "computes": computes,
                "n": len(validation), "bytes": file.stat().st_size, "faces_per_s": f"{rate:.0f}",
                "speed": f"{rate / rates[0]:.2f}", "faces_calibrated_on": len(picks),
            }
        )  # fmt: skip
    return rows


def table(rows: list[dict]) -> str:
    """The rows for reading."""
    shown = (
        "model", "computes", "mean_accuracy", "mean_auc", "p_fake_moved", "other_labels", "bytes",
        "faces_per_s", "speed",
    )  # fmt: skip
    lines = [shown, *([str(row[name]) for name in shown] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("datasets", nargs="+", type=Path)
    made.add_argument("--models", nargs="*", help="of the shipped ones; all in floats by default")
    made.add_argument("--out", type=Path, default=RESULTS)
    chosen = made.parse_args()
    logging.disable(logging.WARNING)  # ONNX Runtime's advice on preparing a graph
    fixed = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "commit": commit(),
        "used_for": "choice of the epoch, calibration, thresholds",
        "onnxruntime": onnxruntime.__version__,
        "cpu": cpu_name(),
        "cores": cores(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "command": command_line("benchmarks/quantization.py", sys.argv[1:]),
    }
    rows: list[dict] = []
    with workplace() as work:
        for name, path in shipped().items():
            if not read_card(path).quantisation and name in (chosen.models or shipped()):
                rows += rows_of(path, work, chosen.datasets, fixed)
    print(table(rows))
    chosen.out.parent.mkdir(exist_ok=True)
    kept = others(chosen.out, rows)
    write(chosen.out, COLUMNS, sorted([*kept, *rows], key=model_name))
    say(f"{len(rows)} rows in {chosen.out}, {len(kept)} kept")


if __name__ == "__main__":
    main()
