"""The real pictures that a generator is trained on: brought to its size once, read from disk."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from mesoscope.errors import DatasetError, RunError, SourceError, SourceUnsuitable
from mesoscope.errors.failures import cause
from mesoscope.files.whole import whole
from mesoscope.media.image import open_image
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.synth.reals import read_reals
from mesoscope.synth.stylegan.faces import middle_square

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from mesoscope.synth.reals import Real
    from mesoscope.types import Pixels

PICTURES_MIN: Final = 32
PICTURES_FEW: Final = 1000  # below, even adaptive augmentation learns them by heart (section 4.1)


@dataclass(frozen=True, slots=True)
class Reals:
    """Pictures of one size.

    Attributes:
        pixels: ``(N, S, S, 3) uint8``, mapped from the disk.
        left_out: What could not be used, with the reason.
        sha256: Of all pixels: the identity of the data.
    """

    pixels: NDArray[np.uint8]
    left_out: dict[str, str]
    sha256: str


def gather(
    root: Path,
    kept: Path,
    size: int,
    *,
    least: int = PICTURES_MIN,
    watch: Callable[[Iterable[int], int], Iterable[int]] | None = None,
) -> Reals:
    """Read every real once, cut it square about its middle, bring it to size, keep it.

    Of a data set in the project's layout the reals of the train split are taken, of another folder
    all pictures.

    Args:
        root: The reals.
        kept: The file that holds them at their size, written anew; ``N·S·S·3`` bytes.
        size: Side in pixels. Smaller pictures are left out.
        least: Fewer are refused.
        watch: Wraps the work for a progress bar: ``(numbers, total) → numbers``.

    Raises:
        DatasetError: No such folder, or too few pictures in it.
        OutputError: The file cannot be written.
    """
    found = [real for real in read_reals(root, validation=0) if real.split == "train"]
    if len(found) < least:
        raise DatasetError(_too_few(root, len(found), least, ""))

    def read(real: Real) -> Pixels | str:
        try:
            pixels = open_image(real.path).pixels
            if min(pixels.shape[:2]) < size:
                raise SourceUnsuitable(f"{real.path}: smaller than {size} pixels")
            return middle_square(pixels, size)
        except SourceError as error:
            return str(error)

    left_out: dict[str, str] = {}
    count, digest = 0, hashlib.sha256()
    numbers: Iterable[int] = range(len(found))
    with whole(kept) as part, part.open("wb") as file:
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
    if count < least:
        first = next(iter(left_out.values()))
        raise DatasetError(_too_few(root, count, least, f"; left out: {len(left_out)} ({first})"))
    return Reals(_mapped(kept, size), left_out, digest.hexdigest())


def reopen(kept: Path, size: int, sha256: str) -> Reals:
    """The pictures that :func:`gather` kept.

    Raises:
        RunError: The file is gone, or is another one than the run was begun with.
    """
    try:
        pixels = _mapped(kept, size)
    except (OSError, ValueError) as error:
        raise RunError(f"{kept}: cannot be read: start a new run folder: {cause(error)}") from error
    digest = hashlib.sha256()
    for start in range(0, len(pixels), 256):
        digest.update(pixels[start : start + 256].tobytes())
    if digest.hexdigest() != sha256:
        raise RunError(f"{kept}: not the pictures that the run was begun with: start a new folder")
    return Reals(pixels, {}, sha256)


def batch_of(
    reals: Reals, shown: int, count: int, *, seed: int, mirror: bool, device: torch.device
) -> Tensor:
    """The next reals of a run that has shown so many; each comes once before any comes twice.

    Returns:
        ``[count, 3, S, S]``, −1…1.
    """
    total = len(reals.pixels)
    chosen = []
    for place in range(shown, shown + count):
        turn, at = divmod(place, total)
        chosen.append(int(_order(seed, turn, total)[at]))
    pixels = reals.pixels[chosen]
    if mirror:
        turned = np.random.default_rng((seed, 2, shown)).random(count) < 0.5
        pixels = np.where(turned[:, None, None, None], pixels[:, :, ::-1], pixels)
    return to_tensor(pixels).to(device)


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """``(N, S, S, 3) uint8`` → ``[N, 3, S, S]``, −1…1."""
    x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    return x.float() / 127.5 - 1


@functools.lru_cache(maxsize=2)
def _order(seed: int, turn: int, total: int) -> NDArray[np.int64]:
    """The order of one round over all pictures."""
    return np.random.default_rng((seed, 1, turn)).permutation(total)


def _mapped(kept: Path, size: int) -> NDArray[np.uint8]:
    whole: NDArray[np.uint8] = np.memmap(kept, np.uint8, "r")
    return whole.reshape(-1, size, size, 3)


def _too_few(root: Path, count: int, least: int, more: str) -> str:
    return (
        f"{root}: {count} real pictures that can be trained on, and a generator needs {least}, "
        f"better {PICTURES_FEW:,} or more: give a folder with more faces{more}"
    )
