"""Random augmentation of training crops, the same for both classes; pairs, mixup and CutMix.

Each operation stands for something that happens to pictures after capture and is unrelated to
forgery: reframing, mirroring, colour and tone, resizing, focus, sharpening, smoothing, sensor
noise, codecs of pictures and clips, messengers and screenshots.

Where a forgery was made from a video that is among the reals, the two differ in little but the
forgery. A pair in one step has the same crop, colours and compression, so the gradients of what
they share cancel, and those of the forgery remain. Self-blended images are trained in the same way
(Shiohara & Yamasaki, CVPR 2022, section 4.1: each real picture beside its own forgery).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mesoscope.faces.crop import crop
from mesoscope.imaging import filters
from mesoscope.imaging.encode import through_jpeg, through_video, through_webp
from mesoscope.training.data.sharing import (
    through_avif,
    through_messengers,
    through_screenshot,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mesoscope.data.manifest import Sample
    from mesoscope.training.recipe.keys import AugmentKeys, MixKeys
    from mesoscope.types import Box, Pixels

    Order = NDArray[np.int64]
    Floats = NDArray[np.float32]


_OFF = 0.06  # of the face's longest side
_GREY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601
_RESIZERS = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


def augment(
    pixels: Pixels,
    rng: np.random.Generator,
    keys: AugmentKeys,
    *,
    margin: float,
    size_px: int,
    face: Box | None = None,
) -> Pixels:
    """Crop a face at random and augment it.

    Args:
        pixels: The whole picture, ``(H, W, 3) uint8``, which is a face crop.
        rng: Source of all randomness; the same state gives the same result.
        keys: Probabilities and strengths.
        margin: Margin of the crop.
        size_px: Side of the result in pixels.
        face: Box of the face in the picture, where it is known.

    Returns:
        ``(size_px, size_px, 3) uint8``; with ``window_px`` its side is that of the window.
    """
    height, width = pixels.shape[:2]
    box = random_box(width, height, rng, keys.crop_scale_min, keys.crop_scale_max)
    if keys.native and rng.random() < keys.native:
        box = (0.0, 0.0, float(width), float(height))
    elif keys.reframe and rng.random() < keys.reframe and face is not None:
        box, margin = square_around(face, width, height, rng, keys), 1.0
    x = crop(pixels, box, margin=margin, size_px=size_px)
    chances = rng.random(6)
    x = _capture(x, rng, keys, chances[:4])
    if keys.sharpen or keys.smooth or keys.gamma:
        x = _processed(x, rng, keys)
    x = _save(x, rng, keys, chances[4:])
    if keys.window_px:
        right, down = rng.integers(0, size_px - keys.window_px + 1, 2)
        x = x[down : down + keys.window_px, right : right + keys.window_px]
    return x


def _capture(
    x: Pixels, rng: np.random.Generator, keys: AugmentKeys, chances: NDArray[np.float64]
) -> Pixels:
    """Augment as capture and display do: mirror, colour, resize, defocus."""
    flip, colour, rescale, blur = chances
    if flip < keys.flip:
        x = np.ascontiguousarray(x[:, ::-1])
    if colour < keys.colour:
        x = _colour(x, rng, keys.colour_strength)
    if rescale < keys.rescale:
        x = _rescale(x, rng, keys.rescale_min)
    if blur < keys.blur:
        x = filters.blur(x, rng.uniform(0.1, keys.blur_sigma_max_px))
    return x


def _save(
    x: Pixels, rng: np.random.Generator, keys: AugmentKeys, chances: NDArray[np.float64]
) -> Pixels:
    """Augment as saving and sharing do: sensor noise, a clip's codec, a picture's, sharing."""
    noise, jpeg = chances
    low = keys.jpeg_quality_min
    if noise < keys.noise:
        x = filters.noise(x, rng.uniform(0, keys.noise_sigma_max), rng, half_up=True)
    for codec, chance in (("h264", keys.video), ("hevc", keys.hevc)):
        if chance and rng.random() < chance:
            x = through_video(x, codec, crf=int(rng.integers(18, keys.video_crf_max + 1)))
    if jpeg < keys.jpeg:
        quality = int(rng.integers(low, 101))
        full = bool(keys.full_chroma and rng.random() < keys.full_chroma)
        x = through_jpeg(x, quality, full_chroma=True if full else None)
    elif keys.webp and rng.random() < keys.webp:
        x = through_webp(x, int(rng.integers(low, 101)))
    elif keys.avif and rng.random() < keys.avif:
        x = through_avif(x, int(rng.integers(low, 101)))
    if keys.messengers and rng.random() < keys.messengers:
        x = through_messengers(x, rng, low)
    if keys.screenshot and rng.random() < keys.screenshot:
        x = through_screenshot(x, rng)
    return x


def random_box(
    width: int, height: int, rng: np.random.Generator, scale_min: float, scale_max: float = 1
) -> Box:
    """Return a box of the picture's aspect ratio, each side ``scale_min`` to ``scale_max`` of it.

    A smaller box lies within the picture; a larger one contains it.
    """
    scale, right, down = rng.uniform(scale_min, scale_max), rng.random(), rng.random()
    x, y = (1 - scale) * width * right, (1 - scale) * height * down
    return x, y, x + scale * width, y + scale * height


def square_around(
    face: Box, width: int, height: int, rng: np.random.Generator, keys: AugmentKeys
) -> Box:
    """Return a square around a face, with random margin and offset, as face finders give.

    The random draws depend on neither the face nor the picture, so a pair gets the same ones.
    """
    x1, y1, x2, y2 = face
    drawn = rng.uniform(keys.reframe_margin_min, keys.reframe_margin_max)
    right, down = rng.uniform(-_OFF, _OFF, 2)
    longest = max(x2 - x1, y2 - y1)
    half = min(drawn * longest, keys.crop_scale_max * min(width, height)) / 2
    x, y = (x1 + x2) / 2 + right * longest, (y1 + y2) / 2 + down * longest
    # In a pair the box is that of the real picture, which may be larger than its forgery.
    x, y = min(max(x, 0), width), min(max(y, 0), height)
    return x - half, y - half, x + half, y + half


def _colour(x: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    brightness, contrast, saturation, *tint = rng.uniform(-strength, strength, 6)
    levels = np.arange(256, dtype=np.float32)
    gain = (1 + contrast) * (1 + np.asarray(tint, np.float32) / 3)  # one a channel
    table = (levels[:, None] - 128) * gain + 128 + 128 * brightness
    table = np.clip(np.rint(table), 0, 255).astype(np.uint8)[None]  # (1, 256, 3)
    x = np.asarray(cv2.LUT(x, table), np.uint8)
    grey = cv2.transform(x, np.asarray([_GREY_WEIGHTS] * 3, np.float32))
    return np.asarray(cv2.addWeighted(x, 1 + saturation, grey, -saturation, 0), np.uint8)


def _rescale(x: Pixels, rng: np.random.Generator, smallest: float) -> Pixels:
    size = x.shape[0]
    small = max(1, round(size * rng.uniform(smallest, 1)))
    down, up = rng.integers(len(_RESIZERS), size=2)
    x = filters.resize(x, small, small, _RESIZERS[down])
    up = max(int(up), 1)  # area enlarges by repeating pixels, which no camera or site does
    return filters.resize(x, size, size, _RESIZERS[up])


def _processed(x: Pixels, rng: np.random.Generator, keys: AugmentKeys) -> Pixels:
    """Process as telephones do before saving: sharpen, smooth, change the tone curve."""
    sharpen, smooth, gamma = rng.random(3)
    if smooth < keys.smooth:
        if rng.random() < 0.5:
            x = np.asarray(cv2.medianBlur(x, 3), np.uint8)
        else:
            x = np.asarray(cv2.bilateralFilter(x, 5, rng.uniform(10, 40), 3), np.uint8)
    if sharpen < keys.sharpen:
        sigma, amount = rng.uniform(0.6, 2.0), rng.uniform(0.2, 1.2)
        x = filters.sharpen(x, amount, sigma)
    if gamma < keys.gamma:
        curve = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.4, 0.4))
        x = np.asarray(cv2.LUT(x, np.rint(255 * curve).astype(np.uint8)), np.uint8)
    return x


def pair_forgeries(order: Order, samples: Sequence[Sample], rng: np.random.Generator) -> Order:
    """Place a forgery of the same source and group after each real picture that has one.

    Forgeries of such groups appear only there; all others keep their position.

    Args:
        order: ``(n,)`` indices into ``samples``.
        samples: The train split.
        rng: Chooses among several forgeries of a group.

    Returns:
        At most ``n`` indices.
    """
    forged: dict[tuple[str, str], list[int]] = defaultdict(list)
    with_real = set()
    for index, sample in enumerate(samples):
        if sample.label == 1:
            forged[sample.source, sample.group].append(index)
        else:
            with_real.add((sample.source, sample.group))
    paired = []
    for index in order:
        sample = samples[index]
        group = sample.source, sample.group
        if sample.label == 0:
            paired.append(index)
            if group in forged:
                paired.append(rng.choice(forged[group]))
        elif group not in with_real:
            paired.append(index)
    return np.asarray(paired[: len(order)], np.int64)


def pair_sources(order: Order, samples: Sequence[Sample]) -> Order:
    """Place a fake of the same source after each real picture that has none of its group there.

    Args:
        order: ``(n,)`` indices into ``samples``; pairs of one group stay.
        samples: The train split.

    Returns:
        The same ``n`` indices; fakes that exceed a source's reals keep their order.
    """
    twins = follows_its_real(order, samples)
    alone: dict[str, list[int]] = defaultdict(list)  # places of fakes, the next one last
    for place in range(len(order) - 1, -1, -1):
        if samples[order[place]].label == 1 and not twins[place]:
            alone[samples[order[place]].source].append(place)
    paired: list[int] = []
    used = twins.copy()
    for place, index in enumerate(order):
        if used[place]:
            continue
        paired.append(index)
        used[place] = True
        sample = samples[index]
        waiting = alone[sample.source]
        if sample.label == 1:
            waiting.pop()  # this one: those before it are placed
        elif place + 1 < len(order) and twins[place + 1]:
            paired.append(order[place + 1])
        elif waiting:
            paired.append(order[waiting[-1]])
            used[waiting.pop()] = True
    return np.asarray(paired, np.int64)


def follows_its_real(
    order: Order, samples: Sequence[Sample], *, any_group: bool = False
) -> NDArray[np.bool_]:
    """Mask of positions whose sample is a forgery right after a real of its group, ``(n,)``.

    Args:
        order: Indices into ``samples``.
        samples: The train split.
        any_group: Take any real of its source.
    """
    found = np.zeros(len(order), bool)
    for place in range(1, len(order)):
        before, here = samples[order[place - 1]], samples[order[place]]
        found[place] = (
            (before.label, here.label) == (0, 1)
            and before.source == here.source
            and (any_group or before.group == here.group)
        )
    return found


MIXUP_ALPHA = 0.4  # Zhang et al. take .1 to .4 on ImageNet


def mix(
    crops: Pixels, labels: Floats, keys: MixKeys, rng: np.random.Generator
) -> tuple[Pixels, Floats]:
    """Apply mixup or CutMix to a batch, or return it unchanged.

    *mixup* (Zhang et al., ICLR 2018, section 2) takes a weighted mean of two pictures. *CutMix*
    (Yun et al., ICCV 2019, section 3.1) pastes a rectangle of one into the other. The labels are
    mixed by the same shares.

    Args:
        crops: ``(n, S, S, 3) uint8``.
        labels: ``(n,)``, 0 to 1.
        keys: Probability of each, per batch.
        rng: Source of all randomness.

    Returns:
        Crops and labels; new arrays if anything was mixed.
    """
    which = rng.random()
    if which >= keys.mixup + keys.cutmix or len(crops) < 2:
        return crops, labels
    order = rng.permutation(len(crops))
    if which < keys.mixup:
        share = np.float32(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA))
        mixed = crops * (1 - share) + crops[order] * share
        crops = np.asarray(np.rint(mixed), np.uint8)
    else:
        height, width = crops.shape[1:3]
        top, left, high, wide = rectangle(height, width, rng)
        part = slice(None), slice(top, top + high), slice(left, left + wide)
        given = crops[order][part]
        crops = crops.copy()
        crops[part] = given
        share = np.float32(high * wide / (height * width))
    return crops, labels + share * (labels[order] - labels)


def rectangle(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a random rectangle, .1 to .9 of each side."""
    side = np.sqrt(rng.uniform(0.1, 0.9))
    high, wide = max(1, int(height * side)), max(1, int(width * side))
    return int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1)), high, wide
