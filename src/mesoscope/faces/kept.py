"""A face finder's model that a user keeps for good: a copy in a folder, under its SHA-256.

The folder is the caller's: the command line gives ``finders`` in the user's data folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.errors import ModelMismatch, OptionError, OutputError
from mesoscope.errors.failures import cause
from mesoscope.files.whole import write_whole
from mesoscope.models.file import file_sha256, verify_sha256
from mesoscope.models.graph import check_graph
from mesoscope.types.finders import WITH_A_MODEL

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["keep_finder", "kept_finder", "remove_finder"]


def kept_finder(folder: Path, finder: str = "yunet") -> Path | None:
    """The model that is kept for a finder, its bytes checked; ``None`` where there is none.

    Args:
        folder: Where models of finders are kept; it need not exist.
        finder: One of :data:`~mesoscope.types.finders.WITH_A_MODEL`.

    Raises:
        ModelMismatch: The file is no longer the one that was kept.
        ModelMissing: It cannot be read.
    """
    for path in _files(folder, finder):
        if file_sha256(path) != path.stem.partition("-")[2]:
            raise ModelMismatch(
                f"{path}: damaged, its SHA-256 is not the one of its name: add the model again, "
                f"or take it away with: mesoscope models remove {finder}"
            )
        return path
    return None


def keep_finder(
    file: Path, folder: Path, *, finder: str = "yunet", sha256: str | None = None
) -> Path:
    """Try a finder's model, and copy it into a folder in place of one that is kept there.

    Args:
        file: The model.
        folder: Where models of finders are kept; made where it is not there.
        finder: One of :data:`~mesoscope.types.finders.WITH_A_MODEL`.
        sha256: The digest that the file must have, in hexadecimal.

    Returns:
        The copy; the digest stands in its name.

    Raises:
        ModelMismatch: Another digest.
        ModelMissing: No such file.
        ModelError: Not a model of that finder.
        OptionError: No such finder.
        OutputError: The copy cannot be written.
    """
    from mesoscope.faces.yunet import YunetFinder  # with OpenCV, which asking needs not

    _known(finder)
    digest = verify_sha256(file, sha256)
    data = file.read_bytes()
    check_graph(data, file)  # no loops, nothing that lies in other files
    YunetFinder(file)
    target = folder / f"{finder}-{digest}.onnx"
    write_whole(target, data, parents=True)
    try:
        for other in _files(folder, finder):
            if other != target:
                other.unlink()
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {cause(error)}") from error
    return target


def remove_finder(folder: Path, finder: str = "yunet") -> list[Path]:
    """Take a kept model away; gives back the files that are gone.

    Raises:
        OptionError: None is kept, or there is no such finder.
        OutputError: It cannot be removed.
    """
    _known(finder)
    files = _files(folder, finder)
    if not files:
        raise OptionError(f"no model of {finder} is kept: there is nothing to remove")
    for path in files:
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(f"{path}: cannot be removed: {cause(error)}") from error
    return files


def _known(finder: str) -> None:
    if finder not in WITH_A_MODEL:
        raise OptionError(f"{finder!r} takes no model: known is {', '.join(WITH_A_MODEL)}")


def _files(folder: Path, finder: str) -> list[Path]:
    return sorted(folder.glob(f"{finder}-*.onnx"))
