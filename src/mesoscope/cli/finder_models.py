"""Face finders' models that the user brings once: ``mesoscope models add`` and ``remove``."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import click

from mesoscope.cli.echo import echo
from mesoscope.errors import ModelMismatch, ModelMissing, OptionError, OutputError

FINDERS = ("yunet",)  # that take a model of the user's


def data_folder() -> Path:
    """Where this user's programs keep data, by the platform's custom; it may not exist yet."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local", "mesoscope")
    if sys.platform == "darwin":
        return home / "Library/Application Support/mesoscope"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share", "mesoscope")


def kept(finder: str = "yunet") -> Path | None:
    """The model that was kept for a finder, its bytes checked; ``None`` where there is none.

    Raises:
        ModelMismatch: The file is no longer the one that was added.
        ModelMissing: It cannot be read.
    """
    for path in _files(finder):
        if _sha256(path) != path.stem.partition("-")[2]:
            raise ModelMismatch(
                f"{path}: damaged, its SHA-256 is not the one of its name: add the model again, "
                f"or take it away with: mesoscope models remove {finder}"
            )
        return path
    return None


@click.command("add")
@click.argument("finder", type=click.Choice(FINDERS))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--sha256", metavar="HEX", help="Refuse FILE where its SHA-256 is another.")
def add(finder: str, file: Path, sha256: str | None) -> None:
    """Keep a face finder's model for good; --faces auto uses it from then on.

    FILE is tried and copied into the user's data folder, under its SHA-256, which is checked each
    time it is used.
    """
    from mesoscope.faces.yunet import YunetFinder

    digest = _sha256(file)
    if sha256 is not None and sha256.strip().lower() != digest:
        raise ModelMismatch(f"{file}: its SHA-256 is {digest}, not {sha256.strip().lower()}")
    YunetFinder(file)
    folder = data_folder() / "finders"
    target = folder / f"{finder}-{digest}.onnx"
    part = target.with_suffix(f".part{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(file.read_bytes())
        part.replace(target)
        for other in _files(finder):
            if other != target:
                other.unlink()
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{target}: cannot be written: {error.strerror}") from error
    echo(f"{finder}  SHA-256 {digest}")
    echo(f"kept as {target}; --faces auto uses it from now on")


@click.command("remove")
@click.argument("finder", type=click.Choice(FINDERS))
def remove(finder: str) -> None:
    """Take a kept face finder's model away again."""
    files = _files(finder)
    if not files:
        raise OptionError(f"no model of {finder} is kept: there is nothing to remove")
    for path in files:
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(f"{path}: cannot be removed: {error.strerror}") from error
        echo(f"removed {path}")


def _files(finder: str) -> list[Path]:
    return sorted((data_folder() / "finders").glob(f"{finder}-*.onnx"))


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelMissing(f"{path}: cannot be read: {error.strerror}") from error
