"""Models added by the user: files in a folder, by name.

The caller chooses the folder: the command line uses ``models`` in the user's data folder.
:func:`mesoscope.training.adopt.bring.add_model` adds models.
"""

from __future__ import annotations

from pathlib import Path

from mesoscope.errors import OptionError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.models.file import shipped

__all__ = ["added_models", "named_model", "remove_model"]


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
