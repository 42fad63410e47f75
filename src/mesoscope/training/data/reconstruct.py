"""Reconstruct real faces by small autoencoders, which are trained on the train split's reals.

A reconstruction differs from its picture in the traces of a decoder alone, as Zhang, Karaman &
Chang (*Detecting and simulating artifacts in GAN fake images*, WIFS 2019) simulate those of GANs.
Its coarse colours are set to the picture's, or a tint of the network's would tell it.
The autoencoders are trained once, before the first epoch, on random crops at the pictures' own
resolution, and kept in the run folder. ``augment.autoencoders`` takes those of another run.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from mesoscope.data.sample import open_sample
from mesoscope.errors import DatasetError, RecipeError, SourceUnsuitable
from mesoscope.errors.failures import cause
from mesoscope.files.atomic import write_bytes
from mesoscope.runtime.log import logger
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.synth.blend import blend_mask, draw_hull
from mesoscope.synth.forgery import Forgery
from mesoscope.synth.outline import (
    Region,
    alpha_blend,
    clip_mask,
    draw_mask,
    full_mask,
    hull,
    mesh,
    region_of,
)
from mesoscope.training.nets.autoencoder import KINDS, Autoencoder, loss_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning_fabric import Fabric
    from numpy.typing import NDArray
    from torch import Tensor

    from mesoscope.data.sample import Sample
    from mesoscope.synth.forgery import Landmarks, Mask
    from mesoscope.training.data.dataset import Survey
    from mesoscope.training.fit.watcher import RunWatcher
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Json, Pixels

__all__ = ["AUTOENCODERS", "Reconstructor", "prepare_reconstructing", "train_autoencoders"]

AUTOENCODERS = "autoencoders.safetensors"
MAKER = "reconstructed"
WHOLE = 0.4  # of the reconstructions are of the whole picture, as generators make it
PICTURES, HELD_OUT = 800, 40  # read for training, and to measure by
STEPS, BATCH, CROP_PX = 1500, 8, 64
LEARNING_RATE, WARMUP_STEPS, LARGEST_GRADIENT = 5e-3, 50, 1.0
_TILE_PX, _OVERLAP_PX = 512, 48  # an output depends on inputs within 48 pixels
_GRID_PX = 8  # the deepest code's
_PAD = 0.1
_LEAST_PX = 12
_KEPT_PX = 512  # of a larger picture one such part is read, to bound the memory
_SEED = 4  # of a stream of its own beside those of faces.py and forging.py


def prepare_reconstructing(
    data: Survey, recipe: Recipe, run: Path, fabric: Fabric, watcher: RunWatcher
) -> None:
    """Train the autoencoders, or copy those of another run, into the run folder.

    Args:
        data: The survey.
        recipe: The recipe; without ``augment.reconstructed`` nothing is done.
        run: The run folder; a resumed run finds them there.
        fabric: The first process works, the others wait.
        watcher: Receives progress.

    Raises:
        RecipeError: ``augment.autoencoders`` names no such file.
        DatasetError: No real picture is large enough.
        OutputError: The run folder cannot be written.
    """
    kept = run / AUTOENCODERS
    if recipe.augment.reconstructed and fabric.is_global_zero and not kept.exists():
        given = recipe.augment.autoencoders
        if given:
            path = Path(given)
            nets = load(path / AUTOENCODERS if path.is_dir() else path)
        else:
            nets = train_autoencoders(data.train, recipe.seed, watcher)
        write_bytes(kept, packed(nets), parents=True)
    fabric.barrier()


def packed(nets: Sequence[Autoencoder]) -> bytes:
    """Return the weights as the bytes of a safetensors file."""
    tensors = {
        f"{net.keys.name}.{name}": value.detach().contiguous()
        for net in nets
        for name, value in net.state_dict().items()
    }
    return bytes(save(tensors))


def load(path: Path) -> list[Autoencoder]:
    """Read the autoencoders of a run.

    Raises:
        RecipeError: The file is missing, or does not hold them.
    """
    hint = f"give a run folder with {AUTOENCODERS}, or leave augment.autoencoders empty"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RecipeError(f"{path}: cannot be read: {cause(error)}: {hint}") from error
    nets = []
    for keys in KINDS:
        net, prefix = Autoencoder(keys), f"{keys.name}."
        mine = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        try:
            net.load_state_dict(mine)
        except RuntimeError as error:
            raise RecipeError(f"{path}: holds no autoencoder {keys.name}: {hint}") from error
        nets.append(net)
    return nets


def train_autoencoders(
    samples: Sequence[Sample], seed: int, watcher: RunWatcher, *, steps: int = STEPS
) -> list[Autoencoder]:
    """Train one autoencoder of each kind on real pictures, and log how well it reconstructs.

    Args:
        samples: The train split; its reals are used, of each source as many.
        seed: Decides weights and crops. The result does not depend on the number of threads.
        watcher: Receives progress.
        steps: Steps of each, of 8 crops of 64 × 64 pixels.

    Raises:
        DatasetError: No real picture is large enough.
    """
    pictures = _pictures(samples, np.random.default_rng((seed, _SEED)))
    few = min(HELD_OUT, len(pictures) // 2)
    held, pictures = pictures[:few] or pictures, pictures[few:]
    nets = []
    with torch.random.fork_rng(devices=[]):
        for number, keys in enumerate(KINDS):
            torch.manual_seed(seed * 1009 + number)
            nets.append(Autoencoder(keys))

    def train(number: int) -> float:
        _fit(nets[number], pictures, (seed, _SEED, number), steps)
        return _psnr(nets[number], held)

    _one_thread_each()
    work = map_ordered(train, range(len(nets)), threads=cores())
    found = list(watcher.count(work, len(nets), "training autoencoders on the real pictures"))
    psnr_text = ", ".join(f"{net.keys.name} {db:.1f}" for net, db in zip(nets, found, strict=True))
    logger.info(f"autoencoders reconstruct held-out reals with a PSNR in dB of {psnr_text}")
    return nets


def _one_thread_each() -> None:
    """Let every thread that is started from here on compute by itself.

    With OpenMP torch's number of threads holds for the thread that sets it and as the default of
    threads to come, not for those that run: so the training steps keep theirs.
    """
    setter = threading.Thread(target=torch.set_num_threads, args=(1,))
    setter.start()
    setter.join()


def _pictures(samples: Sequence[Sample], rng: np.random.Generator) -> list[Pixels]:
    """Read some real pictures, of each source as many, in mixed order.

    Raises:
        DatasetError: None is as large as a crop.
    """
    decks: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.label == 0:
            decks.setdefault(sample.source, []).append(sample)
    each = -(-PICTURES // max(len(decks), 1))
    chosen = [
        deck[i] for deck in decks.values() for i in rng.permutation(len(deck))[:each].tolist()
    ]
    found = []
    for i in rng.permutation(len(chosen)):
        pixels = open_sample(chosen[i])
        if min(pixels.shape[:2]) >= CROP_PX:
            y, x = (int(rng.integers(max(side - _KEPT_PX, 0) + 1)) for side in pixels.shape[:2])
            found.append(pixels[y : y + _KEPT_PX, x : x + _KEPT_PX].copy())
    if not found:
        raise DatasetError(
            f"train: no real picture has {CROP_PX} pixels on each side, so no autoencoder can be "
            "trained: give larger pictures, or a recipe without augment.reconstructed"
        )
    return found


def _batch(pictures: Sequence[Pixels], count: int, rng: np.random.Generator) -> Tensor:
    """Random crops at native resolution, half of them mirrored: ``[count, 3, 64, 64]``, 0 to 1."""
    crops = []
    for place in rng.integers(len(pictures), size=count):
        height, width = pictures[place].shape[:2]
        y, x = rng.integers(height - CROP_PX + 1), rng.integers(width - CROP_PX + 1)
        crop = pictures[place][y : y + CROP_PX, x : x + CROP_PX]
        crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    return _tensor(np.stack(crops))


def _tensor(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float().div_(255)


def _fit(net: Autoencoder, pictures: Sequence[Pixels], key: tuple[int, ...], steps: int) -> None:
    """Train a network on random crops."""
    rng = np.random.default_rng(key)
    net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    for step in range(steps):
        warm = min(1.0, (step + 1) / WARMUP_STEPS)
        rate = LEARNING_RATE * warm * 0.5 * (1 + float(np.cos(np.pi * step / steps)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        real = _batch(pictures, BATCH, rng)
        loss = loss_of(net(real), real)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
        optimiser.step()
    net.eval()


def _psnr(net: Autoencoder, pictures: Sequence[Pixels]) -> float:
    """Mean peak signal-to-noise ratio in dB of reconstructed pictures."""
    found = []
    for pixels in pictures:
        error = np.mean((_through(net, pixels).astype(np.float32) - pixels) ** 2)
        found.append(10 * np.log10(255**2 / max(float(error), 1e-2)))
    return float(np.mean(found))


class Reconstructor:
    """Reconstruct pictures or the faces in them. Thread-safe; each thread computes by itself.

    Args:
        nets: Trained autoencoders.
    """

    def __init__(self, nets: Sequence[Autoencoder]) -> None:
        _one_thread_each()
        self._nets = [net.to(memory_format=torch.channels_last).eval() for net in nets]  # type: ignore[call-overload]

    @classmethod
    def of_run(cls, run: Path) -> Reconstructor:
        """Open the autoencoders of a run folder.

        Raises:
            RecipeError: They are missing or damaged.
        """
        return cls(load(run / AUTOENCODERS))

    def reconstruct(
        self, pixels: Pixels, rng: np.random.Generator, landmarks: Landmarks | None = None
    ) -> Forgery:
        """Replace a picture, or the face in it, by its reconstruction.

        Args:
            pixels: A picture with a face, ``(H, W, 3) uint8``; in its middle, where no landmarks
                are given.
            rng: Draws the autoencoder and the mask; the same state gives the same forgery.
            landmarks: Of the face, where they are known.

        Returns:
            The forgery; outside its mask every pixel equals the twin's, the picture itself.

        Raises:
            SourceUnsuitable: The face is too small or outside the picture.
        """
        net = self._nets[int(rng.integers(len(self._nets)))]
        numbers: dict[str, Json] = {"autoencoder": net.keys.name}
        if rng.random() < WHOLE:
            forged, mask = _through(net, pixels), np.ones(pixels.shape[:2], np.float32)
            return Forgery(forged, pixels, mask, MAKER, {**numbers, "hull": "picture"})
        region, mask, name = _face(pixels, rng, landmarks)
        patch = _through(net, pixels[region.slices])
        forged = alpha_blend(pixels, region, patch, mask)
        return Forgery(
            forged, pixels, full_mask(mask, region, pixels.shape), MAKER, {**numbers, "hull": name}
        )


def _face(
    pixels: Pixels, rng: np.random.Generator, landmarks: Landmarks | None
) -> tuple[Region, Mask, str]:
    """Return a region with the face, the mask in it, and the outline's name."""
    if landmarks is None:
        whole = clip_mask(blend_mask(pixels.shape[0], pixels.shape[1], rng))
        ys, xs = np.nonzero(whole.any(1))[0], np.nonzero(whole.any(0))[0]
        if min(len(ys), len(xs)) >= _LEAST_PX:
            region = Region(int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1)
            return region, whole[region.slices], "ellipse"
    else:
        name = draw_hull(rng)
        outline = hull(mesh(landmarks), name)
        found = region_of(outline, pixels.shape, pad=_PAD)
        if found is not None and float(np.ptp(outline, axis=0).min()) >= _LEAST_PX:
            return found, draw_mask(outline, found, rng)[0], name
    raise SourceUnsuitable(f"the face is smaller than {_LEAST_PX} pixels or outside of the picture")


@torch.inference_mode()
def _through(net: Autoencoder, pixels: Pixels) -> Pixels:
    """Reconstruct a picture of any size, in tiles whose seams cannot be seen."""
    height, width = pixels.shape[:2]
    pad = [(0, -side % _GRID_PX) for side in (height, width)]
    padded = np.pad(pixels, (*pad, (0, 0)), mode="edge")
    made = np.empty(padded.shape, np.float32)
    inner = _TILE_PX - 2 * _OVERLAP_PX
    for top in range(0, padded.shape[0], inner):
        for left in range(0, padded.shape[1], inner):
            y, x = max(top - _OVERLAP_PX, 0), max(left - _OVERLAP_PX, 0)
            tile = padded[y : top + inner + _OVERLAP_PX, x : left + inner + _OVERLAP_PX]
            done = net(_tensor(tile[None]).contiguous(memory_format=torch.channels_last))[0]
            values = done.mul(255).permute(1, 2, 0).numpy()
            keep = values[top - y : top - y + inner, left - x : left - x + inner]
            made[top : top + keep.shape[0], left : left + keep.shape[1]] = keep
    made = made[:height, :width]
    coarse, side = pixels - made, 4 * net.keys.shrink + 1
    for _ in range(2):  # nearly a Gaussian, at a cost that does not depend on its width
        coarse = np.asarray(cv2.blur(coarse, (side, side)), np.float32)
    return np.asarray(np.clip(np.rint(made + coarse), 0, 255), np.uint8)
