"""A model file is the old one or the new, whatever happens while it is written."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mesoscope.errors import OutputError
from mesoscope.files.whole import finish
from mesoscope.models.file import CARD_KEY, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import onnx

    from mesoscope.types import ModelCard

__all__ = ["put", "with_card", "writing"]


def with_card(model: onnx.ModelProto, card: ModelCard) -> bytes:
    """The bytes of a model file: the graph, the card, and a digest of both as the only metadata."""
    del model.metadata_props[:]
    model.metadata_props.add(key=CARD_KEY, value=card.to_json())
    return sealed(model.SerializeToString())


def put(fresh: Path, out: Path, data: bytes) -> None:
    """Write under another name, wait for the disk, rename.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    with writing(out):
        fresh.write_bytes(data)
        finish(fresh, out)


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn an error of the system into one that names the model.

    Raises:
        OutputError: The disk is full, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{out}: the model cannot be written: {error}") from error
