"""What a base install takes on disk, package by package, beside the torch and TensorFlow stacks.

The base install is made anew: an empty environment, ``pip install -c constraints.txt .``, pip
itself taken out of the sum. The other two are measured where they stand.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import peers
from measure import ROOT, Bound, Row, Spread, parser, run, say, workplace

MB = 1_000_000
TOOLS = ("pip", "setuptools", "wheel")  # came with the environment
LISTING = """
import importlib.metadata as m, json
print(json.dumps([[d.name, d.version, [str(d.locate_file(f)) for f in d.files or ()]]
                  for d in m.distributions()]))
"""


def options():
    return parser("install", __doc__.splitlines()[0])


def bench(chosen, conditions) -> list[Row]:
    with workplace() as work:
        say("installing the base into a new environment")
        subprocess.run([sys.executable, "-m", "venv", work / "base"], check=True)
        base = work / "base/bin/python"
        subprocess.run(
            [base, "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-input",
             "-c", ROOT / "constraints.txt", ROOT],
            check=True,
        )  # fmt: skip
        sizes, versions = measured(base)
        conditions.add(versions)
    size = Spread.of([sum(sizes.values()) / MB])
    say("the base install, MB: " + told(sizes))
    rows = [
        Row("install", "base install on disk", "MB", size, asked=Bound("ours", "≤", 500),
            how="new environment, with compiled modules, without pip: " + told(sizes, 5))
    ]  # fmt: skip
    stacks = {"everything with torch": peers.OURS}
    theirs = chosen.peers or peers.VENV / "bin/python"
    if theirs.exists():
        stacks["TensorFlow and Keras"] = theirs
    for name, python in stacks.items():
        sizes, versions = measured(python)
        if len(sizes) < 2 or not {"torch", "tensorflow"} & set(sizes):
            continue
        conditions.add({k: versions[k] for k in ("torch", "tensorflow", "keras") if k in versions})
        say(f"{name}, MB: {told(sizes)}")
        rows.append(
            Row("install", f"base install beside {name}", "MB", size,
                Spread.of([sum(sizes.values()) / MB]), name, how=told(sizes, 5))
        )  # fmt: skip
    return rows


def measured(python) -> tuple[Counter, dict[str, str]]:
    """Bytes on disk and version of each package that an interpreter sees."""
    listing = json.loads(
        subprocess.run([python, "-c", LISTING], capture_output=True, text=True, check=True).stdout
    )
    sizes: Counter = Counter()
    versions = {}
    for name, version, files in listing:
        if name.lower() in TOOLS:
            continue
        versions[name.lower()] = version
        sizes[name.lower()] += sum(f.stat().st_size for f in map(Path, set(files)) if f.is_file())
    return sizes, versions


def told(sizes: Counter, most: int = 12) -> str:
    """The largest packages, in MB."""
    return ", ".join(f"{name} {size / MB:.0f}" for name, size in sizes.most_common(most))


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
