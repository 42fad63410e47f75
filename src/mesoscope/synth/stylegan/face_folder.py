"""Generation of faces from a model file into a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesoscope.models.file import file_sha256
from mesoscope.synth.folder import ForgeryFolder
from mesoscope.synth.forgery import Encoding
from mesoscope.synth.reals import VALIDATION_SHARE, read_reals
from mesoscope.synth.sheet import refuse_suffix
from mesoscope.synth.stylegan.faces import device_of, sheet_of, write_faces
from mesoscope.synth.stylegan.loading import load_generator
from mesoscope.synth.stylegan.sampling import SamplingSettings, refuse, write_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mesoscope.synth.stylegan.faces import GenerationSummary
    from mesoscope.types import Json

__all__ = ["face_folder"]

_BATCH = 16  # batch size on a GPU


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
    """Generate the faces that the folder does not have yet.

    Args:
        model: A ``.safetensors`` file, or a ``.pt`` file in the public layout.
        out: The output folder; an existing one with the same options is continued.
        seeds: One seed per face.
        settings: Sampling settings.
        size_px: Side of the pictures; ``None`` for the model's size.
        reals: Real faces that are paired with them, resized and encoded in the same way.
        encoding: Encoding of the pictures.
        seed: Seed of names, splits and JPEG qualities.
        validation: Share of unpaired faces in the validation split.
        sheet: File of a contact sheet; ``None`` draws none.
        device: ``auto``, ``cpu`` or ``cuda``.
        batch: Batch size; ``None`` for 1, or 16 on a GPU.
        watch: Called after each face.

    Raises:
        ModelMissing: The model file is missing.
        ModelError: The file is not a generator, or contains code.
        OptionError: A seed or setting is out of range, or the folder has other options.
        DatasetError: There are no reals.
        OutputError: The folder cannot be written.
    """
    chosen = settings or SamplingSettings()
    if sheet is not None:
        refuse_suffix(sheet)
    torch_device = device_of(device)
    generator = load_generator(model).to(torch_device)
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
            batch=batch or (_BATCH if torch_device.type == "cuda" else 1),
            watch=watch,
        )
    if sheet is not None:
        write_picture(sheet, sheet_of(out))
    return summary
