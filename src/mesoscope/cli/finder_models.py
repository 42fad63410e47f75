"""Models that the user brings once: ``mesoscope models add`` and ``remove``."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import click

from mesoscope.cli import kept_models
from mesoscope.cli.echo import echo
from mesoscope.errors import ModelError, ModelMismatch, ModelMissing, OptionError, OutputError
from mesoscope.files.whole import write_whole
from mesoscope.types.finders import WITH_A_MODEL


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
@click.argument("what", metavar="yunet|FILE.onnx")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--sha256", metavar="HEX", help="Refuse FILE where its SHA-256 is another.")
@click.option(
    "--card", type=click.Path(path_type=Path, dir_okay=False), metavar="CARD.toml",
    help="What a detector of others takes and answers; FILE.onnx is then wrapped and kept.",
)  # fmt: skip
@click.option(
    "--calibrate", multiple=True, type=click.Path(path_type=Path, file_okay=False), metavar="DATA",
    help="Labelled faces that its score and thresholds are fitted on; may be repeated.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the wrapped model there.  [default: your data folder, under its card's name]",
)  # fmt: skip
def add(
    what: str,
    file: Path | None,
    sha256: str | None,
    card: Path | None,
    calibrate: tuple[Path, ...],
    out: Path | None,
) -> None:
    """Keep a face finder's model, or a detector of others.

    `models add yunet FILE` keeps a face finder's model for good; --faces auto uses it from then on.
    FILE is tried and copied into the user's data folder, under its SHA-256, which is checked each
    time it is used.

    `models add FILE.onnx --card CARD.toml` wraps a face classifier of others into a model file that
    all commands take with --model NAME.
    """
    if what in WITH_A_MODEL:
        if file is None or card or calibrate or out:
            raise OptionError(f"give the model's file alone: mesoscope models add {what} FILE")
        _add_finder(what, file, sha256)
        return
    if file is not None or card is None:
        near = "" if file is None else f": {what!r} is no face finder, known is {WITH_A_MODEL[0]}"
        raise OptionError(
            f"give a finder and its file, or a detector's file and --card CARD.toml{near}"
        )
    path = Path(what)
    _refuse_digest(path, _sha256(path), sha256)
    kept_models.add(path, card, calibrate, out)


def _refuse_digest(file: Path, digest: str, wanted: str | None) -> None:
    if wanted is not None and wanted.strip().lower() != digest:
        raise ModelMismatch(f"{file}: its SHA-256 is {digest}, not {wanted.strip().lower()}")


def _add_finder(finder: str, file: Path, sha256: str | None) -> None:
    from mesoscope.faces.yunet import YunetFinder
    from mesoscope.models.graph import check_graph

    digest = _sha256(file)
    _refuse_digest(file, digest, sha256)
    check_graph(file.read_bytes(), file)  # no loops, nothing that lies in other files
    YunetFinder(file)
    folder = data_folder() / "finders"
    target = folder / f"{finder}-{digest}.onnx"
    write_whole(target, file.read_bytes(), parents=True)
    try:
        for other in _files(finder):
            if other != target:
                other.unlink()
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror}") from error
    echo(f"{finder}  SHA-256 {digest}")
    echo(f"kept as {target}; --faces auto uses it from now on")


@click.command("remove")
@click.argument("name", metavar="yunet|NAME")
def remove(name: str) -> None:
    """Take a kept face finder's model, or an added detector, away again."""
    if name in WITH_A_MODEL:
        _remove_finder(name)
    else:
        kept_models.remove(name)


def _remove_finder(finder: str) -> None:
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
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > 2 << 30:
                raise ModelError(f"{path}: an ONNX model has at most 2 GB")
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    except OSError as error:
        raise ModelMissing(f"{path}: cannot be read: {error.strerror}") from error
