"""Checks of a model file's path and name before the work that writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.errors import OptionError
from mesoscope.files.atomic import refuse_missing_parent

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["name_of_model", "refuse_model_file"]


def refuse_model_file(out: Path, *, force: bool = False) -> None:
    """Refuse a wrong suffix, a missing folder and an existing file.

    Args:
        out: The model file to write.
        force: Allow an existing file.

    Raises:
        OptionError: The path is refused.
    """
    if out.suffix != ".onnx":
        raise OptionError(f"{out}: a model file must be named .onnx")
    if out.exists() and not force:
        raise OptionError(f"{out}: exists already: choose another name, or replace it with `force`")
    refuse_missing_parent(out)


def name_of_model(name: str | None, out: Path) -> str:
    """Return a model's name; by default that of its file.

    Raises:
        OptionError: The name is not valid in ``name@digest``.
    """
    name = out.stem if name is None else name
    if not name or not name.isprintable() or any(c in name for c in "@/\\"):
        raise OptionError(f"`name` {name!r}: use printable characters other than @ / \\")
    return name
