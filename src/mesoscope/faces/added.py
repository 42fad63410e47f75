"""Face finder models installed by the user: copies in a folder, named by SHA-256.

The caller chooses the folder: the command line uses ``finders`` in the user's data folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.errors import ModelMismatch, OptionError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import write_bytes
from mesoscope.models.file import file_sha256, verify_sha256
from mesoscope.models.graph import check_graph
from mesoscope.types.names import FINDERS_WITH_MODEL

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["add_finder", "added_finder", "remove_finder"]


def added_finder(folder: Path, finder: str = "yunet") -> Path | None:
    """Return the installed model of a finder, verified; ``None`` if there is none.

    Args:
        folder: Folder of finder models; it need not exist.
        finder: One of :data:`~mesoscope.types.names.FINDERS_WITH_MODEL`.

    Raises:
        ModelMismatch: The file has changed since.
        ModelMissing: The file is not readable.
    """
    for path in _files(folder, finder):
        if file_sha256(path) != path.stem.partition("-")[2]:
            raise ModelMismatch(
                f"{path}: damaged, its SHA-256 is not the one of its name: add the model again, "
                f"or remove it with: mesoscope models remove {finder}"
            )
        return path
    return None


def add_finder(
    file: Path, folder: Path, *, finder: str = "yunet", sha256: str | None = None
) -> Path:
    """Test a finder's model, and copy it into a folder, replacing an earlier one.

    Args:
        file: The model file.
        folder: Folder of finder models; created if missing.
        finder: One of :data:`~mesoscope.types.names.FINDERS_WITH_MODEL`.
        sha256: Expected digest of the file, in hexadecimal.

    Returns:
        The copy; its name has the digest.

    Raises:
        ModelMismatch: The digest differs.
        ModelMissing: The file is missing.
        ModelError: The file is no model of that finder.
        OptionError: The finder is unknown.
        OutputError: The copy is not writable.
    """
    from mesoscope.faces.yunet import YunetFinder  # imports OpenCV, which look-ups do not need

    _known(finder)
    digest = verify_sha256(file, sha256)
    data = file.read_bytes()
    check_graph(data, file)  # no loops, no external data
    YunetFinder(file)
    target = folder / f"{finder}-{digest}.onnx"
    write_bytes(target, data, parents=True)
    try:
        for other in _files(folder, finder):
            if other != target:
                other.unlink()
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {cause(error)}") from error
    return target


def remove_finder(folder: Path, finder: str = "yunet") -> list[Path]:
    """Remove an installed model; return the removed files.

    Raises:
        OptionError: None is installed, or the finder is unknown.
        OutputError: It cannot be removed.
    """
    _known(finder)
    files = _files(folder, finder)
    if not files:
        raise OptionError(f"no model of {finder} is installed: there is nothing to remove")
    for path in files:
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(f"{path}: cannot be removed: {cause(error)}") from error
    return files


def _known(finder: str) -> None:
    if finder not in FINDERS_WITH_MODEL:
        raise OptionError(f"{finder!r} takes no model: known is {', '.join(FINDERS_WITH_MODEL)}")


def _files(folder: Path, finder: str) -> list[Path]:
    return sorted(folder.glob(f"{finder}-*.onnx"))
