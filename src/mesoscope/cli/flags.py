"""The one place where options have flags: the library's messages name options, users type flags.

A message of the library has the names of options between backticks, and a value behind ``=``:
```` `max_pixels` ````, ```` `faces=whole` ````.
"""

from __future__ import annotations

import re

# The option of the library → what is typed. All that differs by more than its dashes stands in
# the second table.
_SAME = (
    "allow_host", "allow_loss", "check_faces", "data", "device", "faces", "finder_model",
    "finetune", "fix", "force", "frames", "jobs", "learning_rate", "ledger", "max_loss",
    "max_pixels", "model", "name", "out", "port", "r1", "resume", "skip_unreadable", "sparsity",
    "split", "structured", "suspects",
)  # fmt: skip
# Of prepare, whose data sets say with which options they were begun.
_OF_PREPARE = ("donors_apart", "format", "jpeg_quality", "limit", "margin", "quality", "seed",
               "shares", "all_faces")  # fmt: skip
FLAGS = {name: "--" + name.replace("_", "-") for name in (*_SAME, *_OF_PREPARE)} | {
    "architecture": "--arch",
    "every_s": "--every",
    "min_face_px": "--min-face",
    "overrides": "--set",
    "set": "SET",
    "size_px": "--size",
}
# A word of its own: a file may be called so, too.
_NAMED = re.compile(r"(?<![^\s(])`([a-z][a-z0-9_]*)(?:=([^`\s]+))?`(?=[,;:.)]*(?:\s|$))")


def flagged(text: str) -> str:
    """A message of the library as the command line says it: ``--max-pixels``, ``--faces whole``."""
    return _NAMED.sub(_flag, text)


def _flag(found: re.Match[str]) -> str:
    name, value = found.groups()
    flag = FLAGS.get(name)
    if flag is None:
        return found[0]
    return flag if value is None else f"{flag} {value}"
