"""Print the lowest versions that pyproject.toml accepts, as constraints for pip: NAME==VERSION.

python packaging/lowest.py report serve > lowest.txt    those of the base and of these extras
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?\s*[>=]=\s*([\w.]+)(?:\s*;.*)?")


def lowest(extras: list[str]) -> list[str]:
    """A line for each direct dependency: its declared bound, pinned; markers are kept."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = []
    for text in [*project["dependencies"], *(d for e in extras for d in _extra(project, e))]:
        match = REQUIREMENT.fullmatch(text)
        if match is None:
            sys.exit(f"pyproject.toml: {text!r} names no lowest version: write NAME>=VERSION")
        marker = text.partition(";")[2]
        lines.append(f"{match[1]}=={match[2]}" + (f" ;{marker}" if marker else ""))
    return sorted(set(lines))


def _extra(project: dict, name: str) -> list[str]:
    extras = project["optional-dependencies"]
    if name not in extras:
        sys.exit(f"no extra {name!r} in pyproject.toml: it has {', '.join(extras)}")
    return extras[name]


if __name__ == "__main__":
    sys.stdout.write("\n".join(lowest(sys.argv[1:])) + "\n")
