"""Generation of faces from a model file into a folder, paired with real faces."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from mesoscope.errors import OptionError, SourceUnsuitable
from mesoscope.errors.failures import failure
from mesoscope.faces.crop import crop
from mesoscope.media.image import decode, open_image, read_bytes
from mesoscope.models.file import file_sha256
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.synth.folder import RECORDS, ForgeryFolder, Parent, read_records, rng_for
from mesoscope.synth.forgery import Encoding, Forgery
from mesoscope.synth.reals import VALIDATION_SHARE, centre_square, read_reals
from mesoscope.synth.sheet import refuse_suffix
from mesoscope.synth.stylegan.loading import load_generator
from mesoscope.synth.stylegan.sampling import (
    SamplingSettings,
    generate,
    grid,
    refuse,
    write_picture,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mesoscope.synth.folder import ForgeryFolder
    from mesoscope.synth.reals import Real
    from mesoscope.synth.stylegan.networks import Generator
    from mesoscope.synth.stylegan.sampling import GeneratedFace, SamplingSettings
    from mesoscope.types import Json, Pixels

DEVICES = ("auto", "cpu", "cuda")
_SPLIT_STREAM = 2  # random numbers of the split; those of the encoding have stream 1
_SHEET_TILES, _SHEET_TILE_PX = 64, 128


@dataclass(slots=True)
class GenerationSummary:
    """Counts of a run.

    Attributes:
        generated: Number of new faces.
        existing: Number of faces from earlier runs.
        unpaired: Number of new faces beyond the number of reals.
        left_out: Reasons why reals could not be used, by name.
    """

    generated: int = 0
    existing: int = 0
    unpaired: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def device_of(name: str, *, threads: int | None = None) -> torch.device:
    """Return a torch device; ``auto`` is a GPU if available, else the CPU.

    Args:
        name: One of :data:`DEVICES`.
        threads: Number of torch's CPU threads in this process; ``None`` for one per core.

    Raises:
        OptionError: ``cuda`` is not available.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise OptionError(
            "`device=cuda`: torch sees no GPU here: install its CUDA build, or take `device=cpu`"
        )
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.device("cuda" if name == "cuda" or (name == "auto" and available) else "cpu")


def write_faces(
    folder: ForgeryFolder,
    generator: Generator,
    seeds: Sequence[int],
    *,
    settings: SamplingSettings,
    size_px: int | None = None,
    reals: Sequence[Real] = (),
    validation: float = 0.2,
    batch: int = 1,
    watch: Callable[[], None] | None = None,
) -> GenerationSummary:
    """Generate the faces that the folder does not have yet.

    The face of seed ``n`` is paired with the ``n``-th real. The real is cropped to its central
    square at the generator's size, and then resized and encoded like the face. Both have the real's
    split and group. A face without a real is a group.

    Args:
        folder: The output folder.
        generator: The generator, on its device.
        seeds: One seed per face.
        settings: Sampling settings.
        size_px: Side of the pictures; ``None`` for the generator's size.
        reals: Real pictures.
        validation: Share of unpaired faces in the validation split.
        batch: Batch size; 1 is the fastest on a CPU, with one face per core.
        watch: Called after each face.

    Raises:
        OptionError: A seed or setting is out of range.
        OutputError: The folder cannot be written; earlier files are complete.
    """
    size = generator.config.size
    pending = [seed for seed in dict.fromkeys(seeds) if not folder.has(_key(seed))]
    summary = GenerationSummary(existing=len(set(seeds)) - len(pending))

    def save(face: GeneratedFace) -> tuple[dict[str, Json], str]:
        real = reals[face.seed] if face.seed < len(reals) else None
        problem, twin, digest = "", None, ""
        if real is not None:
            try:
                twin, digest = _read(real, size, size_px or size)
            except Exception as error:  # noqa: BLE001 - an error of one real does not stop the run
                problem = str(failure(str(real.path), error))
        pixels = _resized(face.pixels, size_px)
        forgery = Forgery(
            pixels,
            _resized(twin, size_px) if twin is not None else pixels,
            np.ones(pixels.shape[:2], np.float32),
            generator.config.architecture,
            face.numbers,
        )
        parent = _parent(face.seed, real if twin is not None else None, digest, validation, folder)
        return folder.save(forgery, parent, twin=twin is not None), problem

    def generate_and_save(seed: int) -> tuple[dict[str, Json], str]:
        (face,) = generate(generator, [seed], settings=settings)
        return save(face)

    with single_threaded_torch():
        if batch == 1 and generator.w_mean.device.type == "cpu":
            results = map_ordered(generate_and_save, pending, threads=cores(), depth=2 * cores())
        else:
            faces = generate(generator, pending, settings=settings, batch=batch)
            results = map_ordered(save, faces, threads=cores(), depth=2 * batch + 4)
        for seed, (record, problem) in zip(pending, results, strict=True):
            folder.add(record)
            summary.generated += 1
            if problem:
                summary.left_out[reals[seed].name] = problem
            summary.unpaired += bool(reals) and seed >= len(reals)
            if watch is not None:
                watch()
    return summary


@contextmanager
def single_threaded_torch() -> Iterator[None]:
    """Let torch use one thread per operation, as faces are generated in parallel.

    That is faster for small pictures, and the results do not depend on the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sheet_of(root: Path) -> Pixels:
    """Draw a contact sheet of up to 64 evenly spaced faces of a folder.

    Raises:
        OptionError: The folder has no faces.
        SourceError: A picture cannot be read.
    """
    files = [record["files"]["fake"] for _, record in read_records(root / RECORDS)]
    if not files:
        raise OptionError(f"{root}: has no faces, so there is nothing to draw")
    indices = np.linspace(0, len(files) - 1, min(_SHEET_TILES, len(files))).round().astype(int)
    pictures = [open_image(root / files[i]).pixels for i in indices]
    return grid([_resized(one, _SHEET_TILE_PX) for one in pictures])


def _key(seed: int) -> str:
    return f"seed {seed}"


def _parent(
    seed: int, real: Real | None, digest: str, validation: float, folder: ForgeryFolder
) -> Parent:
    key = _key(seed)
    if real is not None:
        return Parent(key, real.group, real.split, real.source, str(real.path), digest)
    chance = rng_for(folder.seed, key, stream=_SPLIT_STREAM).random()
    return Parent(key, key, "validation" if chance < validation else "train", "stylegan")


def _read(real: Real, size: int, size_px: int) -> tuple[Pixels, str]:
    """Read a real at the generator's size; also return the SHA-256 of its file."""
    data = read_bytes(real.picture)
    pixels = decode(data, str(real.path))
    if min(pixels.shape[:2]) < min(size, size_px):
        raise SourceUnsuitable(
            f"{real.path}: smaller than the generated faces, {min(size, size_px)} pixels"
        )
    return centre_square(pixels, size), hashlib.sha256(data).hexdigest()


def _resized(pixels: Pixels, size_px: int | None) -> Pixels:
    if size_px is None or size_px == len(pixels):
        return pixels
    return crop(pixels, (0, 0, len(pixels), len(pixels)), size_px=size_px)


_BATCH = 16  # batch size on a GPU


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """Options of the generation of faces into a folder.

    Attributes:
        settings: Sampling settings.
        size_px: Side of the pictures; ``None`` for the model's size.
        reals: Real faces that are paired with them, resized and encoded in the same way.
        encoding: Encoding of the pictures.
        seed: Seed of names, splits and JPEG qualities.
        validation: Share of unpaired faces in the validation split.
        sheet: File of a contact sheet; ``None`` draws none.
        device: ``auto``, ``cpu`` or ``cuda``.
        batch: Batch size; ``None`` for 1, or 16 on a GPU.
    """

    settings: SamplingSettings = field(default_factory=SamplingSettings)
    size_px: int | None = None
    reals: Path | None = None
    encoding: Encoding = field(default_factory=Encoding)
    seed: int = 0
    validation: float = VALIDATION_SHARE
    sheet: Path | None = None
    device: str = "auto"
    batch: int | None = None


def face_folder(
    model: Path,
    out: Path,
    seeds: Sequence[int],
    options: GenerationOptions | None = None,
    *,
    watch: Callable[[], None] | None = None,
) -> GenerationSummary:
    """Generate the faces that the folder does not have yet.

    Args:
        model: A ``.safetensors`` file, or a ``.pt`` file in the public layout.
        out: The output folder; an existing one with the same options is continued.
        seeds: One seed per face.
        options: Options of the generation.
        watch: Called after each face.

    Raises:
        ModelMissing: The model file is missing.
        ModelError: The file is not a generator, or contains code.
        OptionError: A seed or setting is out of range, or the folder has other options.
        DatasetError: There are no reals.
        OutputError: The folder cannot be written.
    """
    o = options or GenerationOptions()
    if o.sheet is not None:
        refuse_suffix(o.sheet)
    device = device_of(o.device)
    generator = load_generator(model).to(device)
    reals = [] if o.reals is None else read_reals(o.reals, validation=o.validation)
    refuse(generator, o.settings, seeds)
    marks: dict[str, Json] = {
        "maker": "stylegan",
        "model_sha256": file_sha256(model),
        "truncation": o.settings.truncation,
        "truncated_layers": o.settings.truncated_layers,
        "mixing": o.settings.mixing,
        "noise": o.settings.noise,
        "size": o.size_px or generator.config.size,
        "reals": None if o.reals is None else str(o.reals.resolve()),
        "real_pictures": len(reals),
        "validation": o.validation,
    }
    with ForgeryFolder(out, options=marks, encoding=o.encoding, seed=o.seed) as folder:
        summary = write_faces(
            folder, generator, seeds, settings=o.settings, size_px=o.size_px, reals=reals,
            validation=o.validation, batch=o.batch or (_BATCH if device.type == "cuda" else 1),
            watch=watch,
        )  # fmt: skip
    if o.sheet is not None:
        write_picture(o.sheet, sheet_of(out))
    return summary
