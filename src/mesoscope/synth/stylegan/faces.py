"""Many generated faces into a folder, with real ones beside them where there are some."""

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
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.synth.folder import RECORDS, Parent, read_records, rng_for
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.stylegan.making import generate, grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mesoscope.synth.folder import ForgeryFolder
    from mesoscope.synth.reals import Real
    from mesoscope.synth.stylegan.making import Made, SamplingSettings
    from mesoscope.synth.stylegan.networks import Generator
    from mesoscope.types import Json, Pixels

DEVICES = ("auto", "cpu", "cuda")
_SPLIT_STREAM = 2  # of a seed's random numbers in the folder; 1 is the encoding's
_SHEET_TILES, _SHEET_TILE_PX = 64, 128


@dataclass(slots=True)
class GenerationSummary:
    """What came of a run.

    Attributes:
        made: Faces that are new.
        there: Faces that an earlier run had made.
        alone: New faces without a real one beside them, for want of reals.
        left_out: Reals that could not be used, each with the reason.
    """

    made: int = 0
    there: int = 0
    alone: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def device_of(name: str, *, threads: int | None = None) -> torch.device:
    """The device that is asked for; ``auto`` takes a GPU where there is one.

    Args:
        name: One of :data:`DEVICES`.
        threads: How many torch may use on a CPU, for the whole process; one a core where ``None``.

    Raises:
        OptionError: ``cuda`` on a machine without one that torch can use.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise OptionError(
            "`device=cuda`: torch sees no GPU here: install its CUDA build, or take `device=cpu`"
        )
    if threads is not None:
        torch.set_num_threads(threads)
    return torch.device("cuda" if name == "cuda" or (name == "auto" and there) else "cpu")


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
    """Generate faces and write those that the folder does not hold yet.

    The face of seed ``n`` stands beside the ``n``-th real, which is brought to the generator's size
    by a crop about its middle and from there on through the same resize and the same encoding. Both
    are of the real's split and group. A face without a real is a group of its own.

    Args:
        folder: Where they go.
        generator: On the device to run on.
        seeds: One a face.
        settings: How faces are drawn.
        size_px: Side of the pictures written; the generator's own where ``None``.
        reals: Real pictures.
        validation: Share of the faces without a real that goes to the validation split.
        batch: Faces drawn at a time; on a CPU 1 is best, as each core then draws its own.
        watch: Called after each face of this run.

    Raises:
        OptionError: A seed or setting that the generator cannot take.
        OutputError: The folder cannot be written; what was written before is whole.
    """
    own = generator.config.size
    wanted = [seed for seed in dict.fromkeys(seeds) if not folder.has(_key(seed))]
    summary = GenerationSummary(there=len(set(seeds)) - len(wanted))

    def save(made: Made) -> tuple[dict[str, Json], str]:
        real = reals[made.seed] if made.seed < len(reals) else None
        said, twin, digest = "", None, ""
        if real is not None:
            try:
                twin, digest = _read(real, own, size_px or own)
            except Exception as error:  # noqa: BLE001 - one real never ends the rest
                said = str(failure(str(real.path), error))
        pixels = _resized(made.pixels, size_px)
        forgery = Forgery(
            pixels,
            _resized(twin, size_px) if twin is not None else pixels,
            np.ones(pixels.shape[:2], np.float32),
            generator.config.architecture,
            made.numbers,
        )
        parent = _parent(made.seed, real if twin is not None else None, digest, validation, folder)
        return folder.save(forgery, parent, twin=twin is not None), said

    def draw_and_save(seed: int) -> tuple[dict[str, Json], str]:
        (made,) = generate(generator, [seed], settings=settings)
        return save(made)

    with one_thread_each():
        if batch == 1 and generator.w_mean.device.type == "cpu":
            done = map_ordered(draw_and_save, wanted, threads=cores(), depth=2 * cores())
        else:
            drawn = generate(generator, wanted, settings=settings, batch=batch)
            done = map_ordered(save, drawn, threads=cores(), depth=2 * batch + 4)
        for seed, (record, said) in zip(wanted, done, strict=True):
            folder.add(record)
            summary.made += 1
            if said:
                summary.left_out[reals[seed].name] = said
            summary.alone += bool(reals) and seed >= len(reals)
            if watch is not None:
                watch()
    return summary


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let each thread of ours sum by itself.

    A picture's sums are small: threads of torch's own would wait for each other more than they add.
    And sums are then taken in one order, however many cores there are.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sheet_of(root: Path) -> Pixels:
    """Up to 64 of a folder's faces, spread over all that it holds.

    Raises:
        OptionError: It holds none.
        SourceError: A picture of it cannot be read.
    """
    files = [record["files"]["fake"] for _, record in read_records(root / RECORDS)]
    if not files:
        raise OptionError(f"{root}: holds no faces, so there is nothing to draw")
    places = np.linspace(0, len(files) - 1, min(_SHEET_TILES, len(files))).round().astype(int)
    shown = [open_image(root / files[i]).pixels for i in places]
    return grid([_resized(one, _SHEET_TILE_PX) for one in shown])


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


def _read(real: Real, own: int, size_px: int) -> tuple[Pixels, str]:
    """A real at the generator's size, and its file's hash."""
    data = read_bytes(real.picture)
    pixels = decode(data, str(real.path))
    if min(pixels.shape[:2]) < min(own, size_px):
        raise SourceUnsuitable(
            f"{real.path}: smaller than the faces beside it, {min(own, size_px)} pixels"
        )
    return middle_square(pixels, own), hashlib.sha256(data).hexdigest()


def middle_square(pixels: Pixels, size_px: int) -> Pixels:
    """The largest square about a picture's middle, ``(size_px, size_px, 3) uint8``."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    x, y = (width - side) / 2, (height - side) / 2
    return crop(pixels, (x, y, x + side, y + side), size_px=size_px)


def _resized(pixels: Pixels, size_px: int | None) -> Pixels:
    if size_px is None or size_px == len(pixels):
        return pixels
    return crop(pixels, (0, 0, len(pixels), len(pixels)), size_px=size_px)
