"""The one place where options have flags: the library's messages name options, users type flags.

A message of the library has the names of options between backticks, and a value behind ``=``:
```` `max_pixels` ````, ```` `faces=whole` ````.
"""

from __future__ import annotations

import functools
import re

# Of what is no option of detection: those say in their field what they are called here.
_SAME = (
    "all_faces", "allow_host", "allow_loss", "check_faces", "data", "device", "donors_apart",
    "finetune", "fix", "force", "format", "jpeg_quality", "learning_rate", "ledger", "limit",
    "margin", "max_loss", "model", "name", "out", "port", "quality", "r1", "resume", "seed",
    "shares", "skip_unreadable", "sparsity", "split", "structured", "suspects",
)  # fmt: skip
_OTHERS = {name: "--" + name.replace("_", "-") for name in _SAME} | {
    "architecture": "--arch",
    "overrides": "--set",
    "set": "SET",
    "size_px": "--size",
}
# A word of its own, as a file may be called so, too; a line break may be written out already.
_NAMED = re.compile(r"(?<![^\s(])`([a-z][a-z0-9_]*)(?:=([^`\s]+))?`(?=[,;:.)]*(?:\s|\\n|$))")


@functools.cache
def flags() -> dict[str, str]:
    """What is typed for an option of the library."""
    from mesoscope.types.options import option_infos  # --version needs it not

    return _OTHERS | {name: f"--{info.flag}" for name, info in option_infos().items()}


def flagged(text: str) -> str:
    """A message of the library as the command line says it: ``--max-pixels``, ``--faces whole``."""
    return _NAMED.sub(_flag, text) if "`" in text else text


def _flag(found: re.Match[str]) -> str:
    name, value = found.groups()
    flag = flags().get(name)
    if flag is None:
        return found[0]
    return flag if value is None else f"{flag} {value}"
