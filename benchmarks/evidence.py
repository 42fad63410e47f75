"""How faithful the evidence maps are: results/evidence.csv, docs/explanation/evidence-map.md.

    .venv/bin/python benchmarks/evidence.py ../shared/data
    .venv/bin/python benchmarks/evidence.py ../shared/data --model mesoscope --pictures 20

Three questions, each of the model's own map beside maps that know nothing of the picture:

* deletion: forged faces that the model calls more fake than real; the hottest cells of an 8 × 8
  grid are blurred away, eight at a time. A faithful map makes ``p_fake`` fall early: a small area
  under the curve (Petsiuk and others, RISE, BMVC 2018).
* insertion: the blurred face gets its hottest cells back. ``p_fake`` should rise early.
* inside: forgeries made of real faces by blending a changed copy into a known mask
  (``training/self_blend.py``). Which share of the heat lies inside the mask, beside the mask's
  share of the picture, which is what a map that knows nothing has? ``added heat`` is what the
  forgery added to the map of the real face; and a forgery is noticed where ``p_fake`` rises by
  at least 0.1.

The maps beside are random ones, one that is hottest in the middle, and the map of another forged
face, which has the right texture and knows nothing of this face. Intervals of 95 % are bootstrapped
over groups. Tables and curves go into the page. What was measured is kept in build/evidence/,
picture by picture: a bench that was stopped goes on there, and a model whose file changed is
measured anew.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import zlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

import cells
from evidence_figures import draw_curves, write_tables
from measure import ROOT, command_line, commit, say
from mesoscope.data.manifest import read_datasets
from mesoscope.detection.scorer import OnnxScorer
from mesoscope.faces.crop import crop
from mesoscope.media.image import open_image
from mesoscope.metrics import bootstrap_share, interval
from mesoscope.models.file import find_model
from mesoscope.training.data.forging import self_blend_with_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mesoscope.data.manifest import Sample
    from mesoscope.types import Pixels

RESULTS = ROOT / "results/evidence.csv"
PAGE = ROOT / "docs/explanation/evidence-map.md"  # the picture stands beside it
KEPT = ROOT / "build/evidence"
VERSION = 2  # of the records; another one measures anew
GRID = 8  # cells along a side that are taken away or given back
STEP = 8  # cells at a time
RANDOM = 3  # orders of which the mean is taken
FILLS = ("blur", "mean")
ORDERS = ("map", "random", "centre", "another's map")
NOTICED = 0.1  # rise of p_fake
BATCH = 8
COLUMNS = (
    "date", "commit", "model", "test", "fill", "source", "order", "n", "value", "low", "high",
    "better_by", "better_by_low", "better_by_high", "beside", "pictures", "command",
)  # fmt: skip


def chosen(samples: Sequence[Sample], label: int, most: int) -> list[Sample]:
    """At most so many of each source, of as many groups as there are, always the same."""
    cells: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        if sample.label == label:
            cells[sample.source][sample.group].append(sample)
    found = []
    for _, groups in sorted(cells.items()):
        order = sorted(groups, key=lambda group: zlib.crc32(group.encode()))
        rounds = max(map(len, groups.values()))
        queue = [groups[g][i] for i in range(rounds) for g in order if i < len(groups[g])]
        found += queue[:most]
    return found


def face(sample: Sample, scorer: OnnxScorer) -> Pixels:
    """The crop as a Detector makes it of a picture that is a face."""
    pixels = open_image(sample.path).pixels
    box = (0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0]))
    card = scorer.card
    return crop(pixels, box, margin=card.crop_margin, size_px=card.input_px, resize=card.resize)


def on_grid(heat: np.ndarray) -> np.ndarray:
    """A map as the mean of each cell of the grid, ``(8, 8)``."""
    return cv2.resize(heat.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)


def centre_map() -> np.ndarray:
    """Hottest in the middle."""
    at = (np.arange(GRID) + 0.5) / GRID - 0.5
    return -np.hypot(at[:, None], at[None])


def filled(pixels: Pixels, fill: str) -> Pixels:
    """What stands where something was taken away: no detail, or one colour."""
    if fill == "mean":
        return np.broadcast_to(np.rint(pixels.mean((0, 1))), pixels.shape).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] / 24), np.uint8)


def steps(pixels: Pixels, without: Pixels, order: np.ndarray) -> Iterator[Pixels]:
    """The picture with 0, 8, … 64 of its cells replaced, softly at their borders."""
    side = pixels.shape[0]
    for count in range(0, GRID * GRID + 1, STEP):
        gone = np.zeros(GRID * GRID, np.float32)
        gone[order[:count]] = 1
        mask = cv2.resize(gone.reshape(GRID, GRID), (side, side), interpolation=cv2.INTER_NEAREST)
        if 0 < count < GRID * GRID:  # a hard seam would be a trace of its own
            mask = cv2.GaussianBlur(mask, (0, 0), side / GRID / 8)
        mixed = pixels + mask[:, :, None] * (without.astype(np.float32) - pixels)
        yield np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def scores(scorer: OnnxScorer, crops: Sequence[Pixels]) -> np.ndarray:
    """``p_fake`` of crops, ``(n,)``."""
    batches = (crops[i : i + BATCH] for i in range(0, len(crops), BATCH))
    return np.concatenate([scorer.score(np.stack(batch)).p_fake for batch in batches])


def curves_of(
    scorer: OnnxScorer, pixels: Pixels, heat: np.ndarray, other: np.ndarray, seed: int
) -> dict[str, dict[str, list[float]]]:
    """``fill test`` → order → ``p_fake`` at each step."""
    rng = np.random.default_rng(seed)
    maps = {
        "map": [on_grid(heat)],
        "random": [rng.random((GRID, GRID)) for _ in range(RANDOM)],
        "centre": [centre_map()],
        "another's map": [on_grid(other)],
    }
    found: dict[str, dict[str, list[float]]] = {}
    for fill in FILLS:
        without = filled(pixels, fill)
        for test, start, end in (("deletion", pixels, without), ("insertion", without, pixels)):
            lines = {}
            for name, group in maps.items():
                # Equal cells, such as those that are 0, come in a random order.
                ranked = [np.lexsort((rng.random(GRID**2), -one.ravel())) for one in group]
                crops = [one for order in ranked for one in steps(start, end, order)]
                curve = scores(scorer, crops).reshape(len(ranked), -1).mean(0)
                lines[name] = [round(float(p), 5) for p in curve]
            found[f"{test} {fill}"] = lines
    return found


def inside_of(scorer: OnnxScorer, pixels: Pixels, seed: int) -> dict[str, float]:
    """Shares inside the mask of a made forgery: of the heat, of the heat before, of the area."""
    forged, mask = self_blend_with_mask(pixels, np.random.default_rng(seed))
    answer = scorer.score(np.stack([pixels, forged]), heat=True)
    cells = answer.heat.shape[1:]
    small = cv2.resize(mask, cells[::-1], interpolation=cv2.INTER_AREA)
    middle = np.exp(-8 * (centre_map() ** 2))
    grid = on_grid(mask)
    before, after = answer.heat
    maps = {"map": after, "map of the real face": before, "added heat": np.maximum(after - before, 0)}  # fmt: skip  # noqa: E501
    shares = {
        name: float((heat * small).sum() / heat.sum()) if heat.sum() > 0 else float(small.mean())
        for name, heat in maps.items()
    }
    return shares | {
        "random": float(mask.mean()),
        "centre": float((middle * grid).sum() / middle.sum()),
        "p_before": float(answer.p_fake[0]),
        "p_fake": float(answer.p_fake[1]),
    }


def measured(path: Path, key: str) -> dict[str, dict]:
    """What an earlier run left; a line that was cut off is measured again."""
    done = {}
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["key"] == key:
                done[record["picture"]] = record
    return done


def records_of(
    scorer: OnnxScorer, samples: Sequence[Sample], arguments: argparse.Namespace
) -> list[dict]:
    """Measure every picture that was not measured before."""
    key = f"{VERSION} {scorer.model_id} {arguments.seed}"
    path = KEPT / f"{scorer.card.name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = measured(path, key)
    fakes = chosen(samples, 1, arguments.pictures)
    reals = chosen(samples, 0, arguments.pictures)
    todo = [(sample, "curves") for sample in fakes] + [(sample, "inside") for sample in reals]
    found, other = [], None
    with path.open("a", encoding="utf-8") as file:
        for number, (sample, kind) in enumerate(todo, 1):
            name = f"{kind} {sample.source}/{sample.path.name}"
            seed = zlib.crc32(f"{arguments.seed} {name}".encode())
            if name not in done:
                pixels = face(sample, scorer)
                record = {"key": key, "picture": name, "kind": kind, "source": sample.source,
                          "group": f"{sample.source} {sample.group}"}  # fmt: skip
                if kind == "inside":
                    record |= inside_of(scorer, pixels, seed)
                else:
                    answer = scorer.score(pixels[None], heat=True)
                    heat = answer.heat[0]
                    record["p_fake"] = float(answer.p_fake[0])
                    if other is None:
                        other = _any_map(scorer, fakes)
                    if record["p_fake"] >= 0.5:
                        record["curves"] = curves_of(scorer, pixels, heat, other, seed)
                        other = heat
                file.write(json.dumps(record) + "\n")
                file.flush()
                done[name] = record
                if number % 50 == 0:
                    say(f"{scorer.model_id}: {number} of {len(todo)}")
            found.append(done[name])
    return found


def _any_map(scorer: OnnxScorer, fakes: Sequence[Sample]) -> np.ndarray:
    """The map of the last forged face: another one for the first, and after a stop."""
    return scorer.score(face(fakes[-1], scorer)[None], heat=True).heat[0]


def area(curve: Sequence[float]) -> float:
    """Under the curve, over shares of the picture from 0 to 1."""
    values = np.asarray(curve)
    return float(((values[:-1] + values[1:]) / 2).mean())


def table(records: Sequence[dict]) -> Iterator[tuple[str, str, str, dict[str, list[float]], list]]:
    """(test, fill, source, order → a value a picture, groups)."""
    curves = [r for r in records if "curves" in r]
    made = [r for r in records if r["kind"] == "inside"]
    noticed = [r for r in made if r["p_fake"] - r["p_before"] >= NOTICED]
    sources = ["all", *sorted({r["source"] for r in records})]
    for source in sources:
        some = [r for r in curves if source in ("all", r["source"])]
        groups = [r["group"] for r in some]
        for test in ("deletion", "insertion"):
            for fill in FILLS:
                areas = {o: [area(r["curves"][f"{test} {fill}"][o]) for r in some] for o in ORDERS}
                yield test, fill, source, areas, groups
    for test, kept in (("inside", made), ("inside, forgery noticed", noticed)):
        for source in sources:
            some = [r for r in kept if source in ("all", r["source"])]
            orders = ("map", "random", "centre", "map of the real face", "added heat")
            yield test, "", source, {o: [r[o] for r in some] for o in orders}, [r["group"] for r in some]  # fmt: skip  # noqa: E501


def rows_of(model: str, records: Sequence[dict], arguments: argparse.Namespace) -> list[dict]:
    """A row a test, fill, source and order: the mean, and by how much the map beats the order."""
    rows = []
    for test, fill, source, orders, groups in table(records):
        if not groups:
            continue
        ones, n, seed = np.ones(len(groups)), arguments.resamples, arguments.seed
        ours = np.array(orders["map"])
        for order, values in orders.items():
            theirs = np.array(values)
            low, high = interval(bootstrap_share(theirs, ones, groups, n=n, seed=seed))
            row = {
                "model": model, "test": test, "fill": fill, "source": source, "order": order,
                "n": len(groups), "value": theirs.mean(), "low": low, "high": high,
            }  # fmt: skip
            if order != "map":
                gain = theirs - ours if test == "deletion" else ours - theirs
                low, high = interval(bootstrap_share(gain, ones, groups, n=n, seed=seed))
                row |= {"better_by": gain.mean(), "better_by_low": low, "better_by_high": high}
                row["beside"] = "by so much the map is better than this order"
            rows.append(row)
    return rows


def write(path: Path, rows: Sequence[dict]) -> list[dict]:
    """Write the rows, and those of models that were not measured now as they are; all of them."""
    kept = cells.others(path, rows)
    cells.write(path, COLUMNS, [*kept, *map(cells.rounded, rows)])
    say(f"{len(rows)} rows written to {path}, {len(kept)} kept")
    return [*rows, *kept]


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--model", action="append", help="[default: mesoscope and meso4]")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--pictures", type=int, default=50, help="a source and class")
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE, help="its tables and picture")
    arguments = parser.parse_args()
    samples = [s for s in read_datasets(arguments.datasets) if s.split == arguments.split]
    where = " ".join(map(str, arguments.datasets))
    fixed = {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(), "commit": commit(),
        "pictures": f"{where}, {arguments.split} split, up to {arguments.pictures} a source and "
        "class; curves of forged faces with p_fake of at least 0.5",
        "command": command_line("benchmarks/evidence.py", sys.argv[1:]),
    }  # fmt: skip
    rows, drawn = [], {}
    for name in arguments.model or ["mesoscope", "meso4"]:
        scorer = OnnxScorer(find_model(name))
        records = records_of(scorer, samples, arguments)
        rows += [fixed | row for row in rows_of(scorer.model_id, records, arguments)]
        drawn[scorer.card.name] = [r for r in records if "curves" in r]
    for row in rows:
        if row["source"] == "all":
            gain = f"{row['better_by']:+.3f} [{row['better_by_low']:+.3f}, {row['better_by_high']:+.3f}]" if "better_by" in row else ""  # fmt: skip  # noqa: E501
            print(f"{row['model']:20s}{row['test']:24s}{row['fill']:6s}{row['order']:22s}{row['n']:5d} {row['value']:.3f} {gain}")  # fmt: skip  # noqa: E501
    rows = write(arguments.out, rows)
    picture = arguments.page.with_name("evidence.png")
    draw_curves(drawn, picture, orders=ORDERS, fill=FILLS[0], resamples=arguments.resamples)
    write_tables(arguments.page, rows, picture.name)


if __name__ == "__main__":
    main()
