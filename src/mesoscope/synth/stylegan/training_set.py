"""The training set of a generator: real pictures, resized once and memory-mapped."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from mesoscope.errors import DatasetError, RunError, SourceError, SourceUnsuitable
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import output_path
from mesoscope.media.image import open_image
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.synth.reals import centre_square, read_reals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from mesoscope.synth.reals import Real
    from mesoscope.types import Pixels

PICTURES_MIN: Final = 32
PICTURES_FEW: Final = 1000  # with fewer, training overfits despite augmentation (section 4.1)


@dataclass(frozen=True, slots=True)
class Reals:
    """Pictures of one size.

    Attributes:
        pixels: ``(N, S, S, 3) uint8``, memory-mapped.
        left_out: Reasons why pictures could not be used, by name.
        sha256: Digest of all pixels.
    """

    pixels: NDArray[np.uint8]
    left_out: dict[str, str]
    sha256: str


def gather(
    root: Path,
    cache: Path,
    size: int,
    *,
    min_pictures: int = PICTURES_MIN,
    watch: Callable[[Iterable[int], int], Iterable[int]] | None = None,
) -> Reals:
    """Read all reals, crop their central squares, resize them, and write them to one file.

    Of a data set in the project's layout, the reals of the train split are used; of another folder,
    all pictures.

    Args:
        root: Folder of the reals.
        cache: The file to write; ``N·S·S·3`` bytes.
        size: Side in pixels; smaller pictures are left out.
        min_pictures: Minimum number of pictures.
        watch: Wraps the iteration for a progress bar, ``(numbers, total) → numbers``.

    Raises:
        DatasetError: The folder is missing, or has too few pictures.
        OutputError: The file cannot be written.
    """
    found = [real for real in read_reals(root, validation=0) if real.split == "train"]
    if len(found) < min_pictures:
        raise DatasetError(_too_few(root, len(found), min_pictures, ""))

    def read(real: Real) -> Pixels | str:
        try:
            pixels = open_image(real.path).pixels
            if min(pixels.shape[:2]) < size:
                raise SourceUnsuitable(f"{real.path}: smaller than {size} pixels")
            return centre_square(pixels, size)
        except SourceError as error:
            return str(error)

    left_out: dict[str, str] = {}
    count, digest = 0, hashlib.sha256()
    numbers: Iterable[int] = range(len(found))
    with output_path(cache) as part, part.open("wb") as file:
        results = map_ordered(read, found, threads=cores())
        for number in numbers if watch is None else watch(numbers, len(found)):
            one = next(results)
            if isinstance(one, str):
                left_out[found[number].name] = one
                continue
            data = one.tobytes()
            digest.update(data)
            file.write(data)
            count += 1
    if count < min_pictures:
        more = f"; left out: {len(left_out)} ({next(iter(left_out.values()))})"
        raise DatasetError(_too_few(root, count, min_pictures, more))
    return Reals(_mapped(cache, size), left_out, digest.hexdigest())


def reopen(cache: Path, size: int, sha256: str) -> Reals:
    """Open the file of :func:`gather` again.

    Raises:
        RunError: The file cannot be read, or has another digest.
    """
    try:
        pixels = _mapped(cache, size)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{cache}: cannot be read: start a new run folder: {cause(error)}"
        ) from error
    digest = hashlib.sha256()
    for start in range(0, len(pixels), 256):
        digest.update(pixels[start : start + 256].tobytes())
    if digest.hexdigest() != sha256:
        raise RunError(
            f"{cache}: not the pictures that the run was started with: start a new folder"
        )
    return Reals(pixels, {}, sha256)


def batch_of(
    reals: Reals, shown: int, count: int, *, seed: int, mirror: bool, device: torch.device
) -> Tensor:
    """Return the next batch of reals, in a new random order per epoch.

    Args:
        reals: The training set.
        shown: Number of reals shown before.
        count: Batch size.
        seed: Seed of the order and of mirroring.
        mirror: Mirror half of the pictures.
        device: Device of the result.

    Returns:
        ``[count, 3, S, S]``, −1…1.
    """
    total = len(reals.pixels)
    chosen = []
    for position in range(shown, shown + count):
        epoch, index = divmod(position, total)
        chosen.append(int(_order(seed, epoch, total)[index]))
    pixels = reals.pixels[chosen]
    if mirror:
        mirrored = np.random.default_rng((seed, 2, shown)).random(count) < 0.5
        pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
    return to_tensor(pixels).to(device)


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """Convert ``(N, S, S, 3) uint8`` to ``[N, 3, S, S]``, −1…1."""
    x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    return x.float() / 127.5 - 1


@functools.lru_cache(maxsize=2)
def _order(seed: int, epoch: int, total: int) -> NDArray[np.int64]:
    """Return the order of one epoch."""
    return np.random.default_rng((seed, 1, epoch)).permutation(total)


def _mapped(cache: Path, size: int) -> NDArray[np.uint8]:
    data: NDArray[np.uint8] = np.memmap(cache, np.uint8, "r")
    return data.reshape(-1, size, size, 3)


def _too_few(root: Path, count: int, minimum: int, more: str) -> str:
    return (
        f"{root}: {count} real pictures that can be trained on, and a generator needs {minimum}, "
        f"better {PICTURES_FEW:,} or more: give a folder with more faces{more}"
    )
