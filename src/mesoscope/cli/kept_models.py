"""Detectors of others that the user brought: where they are kept, and by what name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo
from mesoscope.cli.extras import train_extra
from mesoscope.errors import OptionError, OutputError
from mesoscope.types.finders import WITH_A_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable


def kept_models() -> dict[str, Path]:
    """The models that were added, by name."""
    from mesoscope.cli.finder_models import data_folder

    folder = data_folder() / "models"
    return {path.stem: path for path in sorted(folder.glob("*.onnx"), key=lambda path: path.stem)}


def by_name(model: str) -> str:
    """The file of an added model of that name; anything else as it is.

    Shipped models and files go before.
    """
    if not model or not all(c.isalnum() or c in "_-." for c in model) or Path(model).exists():
        return model
    from mesoscope.models.file import shipped

    found = None if model in shipped() else kept_models().get(model)
    return model if found is None else str(found)


def add(file: Path, card: Path, data: tuple[Path, ...], out: Path | None) -> None:
    """Wrap a detector of others and keep it."""
    with train_extra():
        from mesoscope.training.adopt.bring import bring
        from mesoscope.training.adopt.foreign_card import read_foreign_card
    from mesoscope.cli.finder_models import data_folder
    from mesoscope.models.file import model_id, shipped

    foreign = read_foreign_card(card)
    name = foreign.name
    if out is None:
        if name in shipped() or name in kept_models() or name in WITH_A_MODEL:
            raise OptionError(
                f"{name}: there is such a model already: give it another name in {card}, or "
                f"remove it first: mesoscope models remove {name}"
            )
        out = data_folder() / "models" / f"{name}.onnx"
    elif out.suffix != ".onnx":
        raise OptionError(f"{out}: a model file must be named .onnx")
    elif out.exists():
        raise OptionError(f"{out}: stands there already: name another file, or remove it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror}") from error
    made = bring(
        file, foreign, out, data, count=lambda items, n, what: bar(items, total=n, what=what)
    )
    cuts = made.thresholds
    echo(f"{model_id(out)}: fake from {cuts.fake_above:.4f}, real below {cuts.real_below:.4f}")
    if not data:
        echo("not calibrated: what its p_fake is worth is not known; see --calibrate")
    echo(f"kept as {out}; use it with --model {name if out.stem in kept_models() else out}")


def _count(items: Iterable[object], total: int, what: str) -> Iterable[object]:
    shown: Iterable[object] = bar(items, total=total, what=what)
    return shown


def remove(name: str) -> None:
    """Take an added model away again."""
    path = kept_models().get(name)
    if path is None:
        there = ", ".join(kept_models()) or "none"
        raise OptionError(f"no model {name} was added: there is nothing to remove (added: {there})")
    try:
        path.unlink()
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed: {error.strerror}") from error
    echo(f"removed {path}")
