"""What a file's name and folder give away."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

# Folders that must tell the class or the split are no news.
_OF_THE_LAYOUT = frozenset(
    ("real", "fake", "train", "training", "validation", "val", "valid", "test", "0_real", "1_fake")
)
_RUNS = re.compile(r"[0-9]+|[a-z]+|[A-Z]+|[^0-9a-zA-Z]+")
_LONGEST = 40  # of a fact in characters


def read_name(name: str) -> tuple[dict[str, str], dict[str, float]]:
    """Facts of a picture's path.

    Args:
        name: Its path within the data set, with ``/`` between.

    Returns:
        Words: ``folder`` without the folders of class and split, ``name_shape`` (``a4_95`` of
        ``real_00001``: runs of letters as ``a`` or ``A``, of digits as ``9``, each with its
        length), ``name_words`` (its runs of three letters and more).
        Numbers: ``name_length`` and ``name_number``, the last run of digits.
    """
    path = PurePosixPath(name)
    stem = path.stem
    folders = [part for part in path.parts[:-1] if part.lower() not in _OF_THE_LAYOUT]
    runs = _RUNS.findall(stem)
    digits = [run for run in runs if run.isdigit()]
    words = [run.lower() for run in runs if run.isalpha() and len(run) > 2]
    facts = {
        "folder": "/".join(folders) or "none",
        "name_shape": "".join(map(_shape, runs))[:_LONGEST],
        "name_words": " ".join(words)[:_LONGEST] or "none",
    }
    numbers = {"name_length": float(len(stem))}
    if digits:
        numbers["name_number"] = float(int(digits[-1][-9:]))
    return facts, numbers


def _shape(run: str) -> str:
    if run.isdigit():
        return f"9{len(run)}"
    if run.isalpha() and run.isascii():
        return f"{'A' if run.isupper() else 'a'}{len(run)}"
    return run
