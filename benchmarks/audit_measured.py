"""What the audit finds of copies and of wrong labels, on pictures of which both are known.

``python benchmarks/audit_measured.py ../shared/data`` changes some pictures of each source (saved
again, halved, brighter, cut, mirrored) and counts how many are known as copies, counts strangers
that are taken for copies, and turns some labels round and counts how many are listed. Rows go to
``results/audit_measured.csv``.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from measure import ROOT, command_line, say
from mesoscope.data.audit import suspects
from mesoscope.data.audit.facts import read_facts
from mesoscope.data.audit.header import pixel_features
from mesoscope.data.audit.options import AuditOptions, no_progress
from mesoscope.data.audit.repeats import LEAST_LIKE, NEAR_BITS, distance
from mesoscope.data.manifest import read_dataset
from mesoscope.data.sample import open_sample, subset

RESULTS = ROOT / "results/audit_measured.csv"
COLUMNS = (
    "date",
    "what",
    "change",
    "n",
    "found",
    "listed",
    "share_found",
    "share_right",
    "command",
)
TURNED = 0.02  # of the labels


def jpeg(pixels, quality):
    data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]


def cut(pixels, share):
    height, width = pixels.shape[:2]
    return pixels[int(share * height) :, int(share * width) :]


CHANGES = {
    "saved at quality 30": lambda p: jpeg(p, 30),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "brighter": lambda p: cv2.convertScaleAbs(p, alpha=1.15, beta=10),
    "2 % of two sides cut off": lambda p: cut(p, 0.02),
    "5 % of two sides cut off": lambda p: cut(p, 0.05),
    "mirrored": lambda p: p[:, ::-1],
}


def options() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="benchmarks/audit_measured.py", description=__doc__)
    made.add_argument("dataset", type=Path)
    made.add_argument("--n", type=int, default=300, help="held-out pictures a source and class")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--results", type=Path, default=RESULTS)
    return made


def correlation(one, other):
    shapes = [t.astype(np.float64).ravel() - t.mean() for t in (one, other)]
    length = np.prod([np.linalg.norm(shape) for shape in shapes])
    return float(shapes[0] @ shapes[1] / max(length, 1e-9))


def copies(facts, rng):
    """How many changed copies are known: a row a change."""
    some = rng.choice(len(facts.samples), min(400, len(facts.samples)), replace=False)
    for name, change in CHANGES.items():
        known = 0
        mirrored = int(name == "mirrored")
        for row in some:
            look = pixel_features(np.ascontiguousarray(change(open_sample(facts.samples[row]))))
            near = distance(facts.hashes[row, mirrored], np.uint64(look.hashes[0])) <= NEAR_BITS
            thumbnail = facts.thumbnails[row][:, ::-1] if mirrored else facts.thumbnails[row]
            known += bool(near) and correlation(thumbnail, look.thumbnail) >= LEAST_LIKE
        yield {"what": "copies", "change": name, "n": len(some), "found": known,
               "share_found": known / len(some)}  # fmt: skip


def strangers(facts, rng):
    """Pairs of other groups that are taken for copies. Some are true ones: people filmed twice."""
    some = rng.choice(len(facts.samples), min(2000, len(facts.samples)), replace=False)
    first, second = np.triu_indices(len(some), 1)
    first, second = some[first], some[second]
    apart = facts.groups[first] != facts.groups[second]
    # Within a source, where faces are cut alike; two sources may hold the same photographs.
    apart &= facts.sources.codes[first] == facts.sources.codes[second]
    first, second = first[apart], second[apart]
    near = distance(facts.hashes[first, 0], facts.hashes[second, 0]) <= NEAR_BITS
    taken = sum(
        correlation(facts.thumbnails[a], facts.thumbnails[b]) >= LEAST_LIKE
        for a, b in zip(first[near], second[near], strict=True)
    )
    return {"what": "strangers", "change": "", "n": len(first), "found": taken,
            "share_found": taken / len(first)}  # fmt: skip


def labels(facts, rng):
    """How many turned labels are listed, and how many of those listed were turned."""
    asked = AuditOptions()
    scores = suspects.score_labels(facts, asked, no_progress)
    turned = rng.choice(len(facts.samples), int(TURNED * len(facts.samples)), replace=False)
    wrong = facts.labels.copy()
    wrong[turned] = 1 - wrong[turned]
    found, missed, p_label = suspects.suspected_labels(replace(facts, labels=wrong), scores, asked)
    for line in missed:
        say(line)
    of = turned[~np.isnan(p_label[turned])]
    hits = len(set(found.tolist()) & set(of.tolist()))
    return {"what": "labels", "change": f"{100 * TURNED:.0f} % turned", "n": len(of),
            "found": hits, "listed": len(found), "share_found": hits / max(1, len(of)),
            "share_right": hits / max(1, len(found))}  # fmt: skip


def main() -> None:
    chosen = options().parse_args()
    held_out = [s for s in read_dataset(chosen.dataset) if s.split == "validation"]
    samples = subset(held_out, limit=chosen.n, seed=chosen.seed)
    say(f"reading {len(samples):,} pictures")
    facts = read_facts(samples, root=chosen.dataset)
    rng = np.random.default_rng(chosen.seed)
    told = command_line("benchmarks/audit_measured.py", sys.argv[1:])
    day = dt.datetime.now(dt.timezone.utc).date().isoformat()
    rows = [*copies(facts, rng), strangers(facts, rng), labels(facts, rng)]
    with chosen.results.open("w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        out.writeheader()
        for row in rows:
            for name in ("share_found", "share_right"):
                if name in row:
                    row[name] = f"{row[name]:.3g}"
            out.writerow({"date": day, **row, "command": told})
            say(" ".join(str(v) for v in row.values()))


if __name__ == "__main__":
    main()
