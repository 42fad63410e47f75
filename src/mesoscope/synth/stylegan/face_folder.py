"""Faces of a StyleGAN into a folder, from its file: load, generate, write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.models.file import file_sha256
from mesoscope.synth.folder import ForgeryFolder
from mesoscope.synth.forgery import Encoding
from mesoscope.synth.reals import VALIDATION_SHARE, read_reals
from mesoscope.synth.stylegan.faces import device_of, sheet_of, write_faces
from mesoscope.synth.stylegan.loading import load_generator
from mesoscope.synth.stylegan.making import SamplingSettings, refuse, refuse_suffix, write_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mesoscope.synth.stylegan.faces import GenerationSummary
    from mesoscope.types import Json

__all__ = ["face_folder"]

_BATCH = 16  # faces at a time on a GPU


def face_folder(
    model: Path,
    out: Path,
    seeds: Sequence[int],
    *,
    settings: SamplingSettings | None = None,
    size_px: int | None = None,
    reals: Path | None = None,
    encoding: Encoding | None = None,
    seed: int = 0,
    validation: float = VALIDATION_SHARE,
    sheet: Path | None = None,
    device: str = "auto",
    batch: int | None = None,
    watch: Callable[[], None] | None = None,
) -> GenerationSummary:
    """Generate faces and write those that the folder does not hold yet.

    Args:
        model: A ``.safetensors`` file, or a ``.pt`` file in the public layout.
        out: The folder to write; one that was begun so is gone on with.
        seeds: One a face.
        settings: How faces are drawn.
        size_px: Side of the pictures written; the model's own where ``None``.
        reals: Real faces to write beside them, resized and saved in the same way.
        encoding: How pictures are saved.
        seed: Of names, splits and JPEG qualities.
        validation: Share of the faces without a real that goes to the validation split.
        sheet: Where to draw a contact sheet, too.
        device: ``auto``, ``cpu`` or ``cuda``.
        batch: Faces at a time; ``None`` for 1, on a GPU 16.
        watch: Called after each face.

    Raises:
        ModelError: Not such a model, or one that holds code.
        OptionError: A seed or setting that the model cannot take, or a folder begun otherwise.
        DatasetError: No reals there.
        OutputError: The folder cannot be written.
    """
    chosen = settings or SamplingSettings()
    if sheet is not None:
        refuse_suffix(sheet)
    place = device_of(device)
    generator = load_generator(model).to(place)
    found = [] if reals is None else read_reals(reals, validation=validation)
    refuse(generator, chosen, seeds)
    marks: dict[str, Json] = {
        "maker": "stylegan",
        "model_sha256": file_sha256(model),
        "truncation": chosen.truncation,
        "truncated_layers": chosen.truncated_layers,
        "mixing": chosen.mixing,
        "noise": chosen.noise,
        "size": size_px or generator.config.size,
        "reals": None if reals is None else str(reals.resolve()),
        "real_pictures": len(found),
        "validation": validation,
    }
    with ForgeryFolder(out, options=marks, encoding=encoding or Encoding(), seed=seed) as folder:
        summary = write_faces(
            folder,
            generator,
            seeds,
            settings=chosen,
            size_px=size_px,
            reals=found,
            validation=validation,
            batch=batch or (_BATCH if place.type == "cuda" else 1),
            watch=watch,
        )
    if sheet is not None:
        write_picture(sheet, sheet_of(out))
    return summary
