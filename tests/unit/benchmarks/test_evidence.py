"""How the faithfulness of evidence maps is measured: orders, steps, areas, tables."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mesoscope.data.manifest import Sample
from mesoscope.detection.scorer import Scores
from mesoscope.types import ModelCard

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))
try:
    evidence, figures = (importlib.import_module(n) for n in ("evidence", "evidence_figures"))
finally:
    del sys.path[0]


class Corner:
    """Looks at the upper left quarter of a crop alone: fake where it is light."""

    card = ModelCard("corner", "none")
    model_id = "corner@00000000"

    def score(self, crops, *, heat=False):
        p_fake = crops[:, :128, :128].mean((1, 2, 3)).astype(np.float32) / 255
        maps = np.zeros((len(crops), 8, 8), np.float32)
        maps[:, :4, :4] = crops[:, ::32, ::32, 0][:, :4, :4]
        return Scores(p_fake, p_fake, maps if heat else None)


@pytest.fixture
def crop():
    made = np.full((256, 256, 3), 20, np.uint8)
    made[:128, :128] = 250
    return made


def test_steps_begin_with_the_picture_and_end_with_its_filling(crop):
    without = np.zeros_like(crop)
    steps = list(evidence.steps(crop, without, np.arange(64)))
    assert len(steps) == 9
    assert (steps[0] == crop).all()
    assert (steps[-1] == without).all()
    gone = [(step[16::32, 16::32] == 0).all(axis=2).sum() for step in steps]
    assert gone == list(range(0, 65, 8))


def test_a_faithful_map_beats_the_others(crop):
    scorer = Corner()
    heat = scorer.score(crop[None], heat=True).heat[0]
    elsewhere = heat[::-1, ::-1]
    curves = evidence.curves_of(scorer, crop, heat, elsewhere, seed=1)
    assert set(curves) == {f"{t} {f}" for t in ("deletion", "insertion") for f in evidence.FILLS}
    for name, lines in curves.items():
        areas = {order: evidence.area(line) for order, line in lines.items()}
        best = min if name.startswith("deletion") else max
        assert best(areas, key=areas.get) == "map", name
        assert {len(line) for line in lines.values()} == {9}


def test_area_is_that_under_the_curve():
    assert evidence.area([1, 1, 1]) == 1
    assert evidence.area([1, 0]) == 0.5
    assert evidence.area([1, 0, 0]) == 0.25


def test_shares_inside_a_made_forgery_are_shares(crop):
    shares = evidence.inside_of(Corner(), crop, seed=3)
    assert all(0 <= value <= 1 for value in shares.values())
    assert shares["centre"] > shares["random"]  # such masks lie about the middle


def test_pictures_are_chosen_from_as_many_groups_as_there_are():
    samples = [
        Sample(Path(f"{group}{n}.jpg"), 1, "set", group, "validation")
        for group in "abc"
        for n in range(5)
    ]
    chosen = evidence.chosen(samples, 1, 4)
    assert len(chosen) == 4
    assert {sample.group for sample in chosen} == {"a", "b", "c"}
    assert evidence.chosen(samples, 1, 2) == chosen[:2]  # more pictures keep the earlier ones
    assert evidence.chosen(samples, 0, 4) == []


def test_records_cut_off_and_of_other_models_are_measured_again(tmp_path):
    path = tmp_path / "corner.jsonl"
    whole = [{"key": "1 a", "picture": "x"}, {"key": "1 b", "picture": "y"}]
    path.write_text("\n".join(map(json.dumps, whole)) + '\n{"key": "1 a", "pict', "utf-8")
    assert list(evidence.measured(path, "1 a")) == ["x"]
    assert evidence.measured(tmp_path / "none.jsonl", "1 a") == {}


def test_rows_say_by_how_much_the_map_is_better(crop):
    scorer = Corner()
    heat = scorer.score(crop[None], heat=True).heat[0]
    curves = evidence.curves_of(scorer, crop, heat, heat[::-1, ::-1], seed=1)
    records = [
        {"kind": "curves", "source": "a", "group": str(n), "p_fake": 0.9, "curves": curves}
        for n in range(4)
    ]
    arguments = type("Arguments", (), {"resamples": 50, "seed": 0})
    rows = evidence.rows_of("corner@00000000", records, arguments)
    random = [row for row in rows if row["order"] == "random" and row["source"] == "all"]
    assert len(random) == 4
    for row in random:
        assert row["n"] == 4
        assert row["better_by_low"] <= row["better_by"] <= row["better_by_high"]
        assert row["better_by"] > 0


def test_tables_stand_between_the_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n\n{figures.BEGIN}\nold\n{figures.END}\n\nafter\n", "utf-8")
    rows = [
        {"model": "m@1", "test": "deletion", "fill": "blur", "source": "all", "order": "map",
         "n": 7, "value": 0.51, "low": 0.4, "high": 0.6},
        {"model": "m@1", "test": "deletion", "fill": "blur", "source": "all", "order": "random",
         "n": 7, "value": 0.61, "better_by": 0.1, "better_by_low": 0.05, "better_by_high": 0.15},
        {"model": "m@1", "test": "inside", "fill": "", "source": "all", "order": "map",
         "n": 9, "value": 0.25, "low": 0.2, "high": 0.3},
    ]  # fmt: skip
    for _ in range(2):  # again over its own work
        figures.write_tables(page, rows, "evidence.png")
    text = page.read_text("utf-8")
    assert text.startswith("before\n\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| `m@1` | deletion, blurred | 7 | 0.51 | 0.61 (+0.10, +0.05 to +0.15) |  |  |" in text
    assert "| `m@1` | all | 9 | 25 % (20 to 30) |  |  |  |" in text
    assert text.count(figures.BEGIN) == text.count(figures.END) == 1
