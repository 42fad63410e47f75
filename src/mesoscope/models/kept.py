"""Models that a user added, beside those that are shipped: files in a folder, by their names.

The folder is the caller's: the command line gives ``models`` in the user's data folder. What puts
models there is :func:`mesoscope.training.adopt.bring.add_model`.
"""

from __future__ import annotations

from pathlib import Path

from mesoscope.errors import OptionError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.models.file import shipped

__all__ = ["added_models", "named_model", "remove_model"]


def added_models(folder: Path) -> dict[str, Path]:
    """The models that were added to a folder, by name; none where there is no folder."""
    return {path.stem: path for path in sorted(folder.glob("*.onnx"), key=lambda path: path.stem)}


def named_model(model: str, folder: Path) -> str:
    """The file of an added model of that name; anything else as it is.

    Shipped models and files go before added ones.

    Args:
        model: A name or a path, as a user gave it.
        folder: Where models are kept.
    """
    if not model or not all(c.isalnum() or c in "_-." for c in model) or Path(model).exists():
        return model
    found = None if model in shipped() else added_models(folder).get(model)
    return model if found is None else str(found)


def remove_model(name: str, folder: Path) -> Path:
    """Take an added model away; gives back the file that is gone.

    Raises:
        OptionError: None of that name was added.
        OutputError: It cannot be removed.
    """
    added = added_models(folder)
    path = added.get(name)
    if path is None:
        there = ", ".join(added) or "none"
        raise OptionError(f"no model {name} was added: there is nothing to remove (added: {there})")
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed: {cause(error)}") from error
    return path
