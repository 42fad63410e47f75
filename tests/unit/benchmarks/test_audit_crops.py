"""The audit's facts of crops: what augmentation leaves of what files give away."""

import csv
import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="the crops of training need mesoscope[train]")
pytest.importorskip("sklearn", reason="all facts together need mesoscope[audit]")


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
    return importlib.import_module("audit_crops")


def test_a_cue_of_files_is_gone_from_crops(bench, make_dataset, tmp_path):
    """Fakes are saved larger: files give it away, and crops of one size and content do not."""
    root = make_dataset(train=40, validation=2)
    noise = np.random.default_rng(0)
    for place, path in enumerate(sorted(root.rglob("*.jpg"))):
        side = 96 if path.parent.name == "fake" else 80
        grey = noise.integers(90, 160, (8, 8, 3), np.uint8)
        pixels = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), np.roll(pixels, place, axis=1))
    out = tmp_path / "crops.csv"
    bench.main([str(root), "--n", "40", "--recipes", "mesoscope", "--results", str(out)])
    with out.open(newline="", encoding="utf-8") as file:
        rows = {(r["shown"], r["source"], r["cue"]): r for r in csv.DictReader(file)}
    files = rows[bench.FILES, bench.ALL, "width"]
    assert float(files["auc"]) == 1
    assert (files["n_real"], files["n_fake"]) == ("40", "40")
    assert float(rows[bench.FILES, bench.ALL, bench.TOGETHER]["auc"]) == 1
    shown = {kind for kind, _, _ in rows}
    assert shown == {bench.FILES, bench.PLAIN, "mesoscope"}
    assert {cue for kind, _, cue in rows if kind == "mesoscope"} == {
        "bits_per_pixel", "brightness", "sharpness", "spread", bench.TOGETHER,
    }  # fmt: skip
    assert float(rows["mesoscope", bench.ALL, bench.TOGETHER]["auc_low"]) < 0.75
