"""Models that a user adds or writes: names, paths and the folder of added models.

The caller chooses the folder: the command line uses ``models`` in the user's data folder.
:func:`mesoscope.training.adopt.bring.add_model` adds models.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.errors import OptionError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import refuse_missing_parent
from mesoscope.models.file import shipped

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["added_models", "name_of_model", "named_model", "refuse_model_file", "remove_model"]


def added_models(folder: Path) -> dict[str, Path]:
    """Return the models in a folder, by name; the folder need not exist."""
    return {path.stem: path for path in sorted(folder.glob("*.onnx"), key=lambda path: path.stem)}


def named_model(model: str, folder: Path) -> str:
    """Return the path of an added model; other names and paths unchanged.

    Shipped models and existing files take precedence.

    Args:
        model: A name or a path from the user.
        folder: Folder of added models.
    """
    if not model or not all(c.isalnum() or c in "_-." for c in model) or Path(model).exists():
        return model
    found = None if model in shipped() else added_models(folder).get(model)
    return model if found is None else str(found)


def remove_model(name: str, folder: Path) -> Path:
    """Remove an added model; return the path of the removed file.

    Raises:
        OptionError: There is no added model of that name.
        OutputError: The file cannot be removed.
    """
    added = added_models(folder)
    path = added.get(name)
    if path is None:
        names = ", ".join(added) or "none"
        raise OptionError(f"no model {name} was added: there is nothing to remove (added: {names})")
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed: {cause(error)}") from error
    return path


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
