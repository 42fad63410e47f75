"""Training data: the survey before the first epoch, the order of each epoch, the batches."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mesoscope.data.manifest import Sample, require_both_classes
from mesoscope.data.sample import checked_sha256, open_sample, sample_bytes
from mesoscope.errors import DatasetError, MesoscopeError
from mesoscope.faces.crop import crop
from mesoscope.faces.finder import whole_face
from mesoscope.media.image import decode
from mesoscope.runtime.threads import cores, map_ordered
from mesoscope.training.data.augment import augment
from mesoscope.training.data.makers import Makers
from mesoscope.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from mesoscope.training.data.forging import ForgeryMaker
    from mesoscope.training.recipe.keys import DataKeys
    from mesoscope.training.recipe.recipe import Recipe
    from mesoscope.types import Box, Pixels

T = TypeVar("T")

INPUT_PX = 256  # fixed by the size of the head


@dataclass(frozen=True, slots=True)
class Survey:
    """Result of reading every picture once.

    Attributes:
        train: Samples of the train split.
        validation: Samples of the validation split, for model selection and calibration.
        unreadable: Samples left out as unreadable, with the reason.
        repeated: Number of train pictures left out because validation holds the same file.
        digests: SHA-256 over all files' digests, labels, splits and sources in order: the identity
            of the data.
        points: Landmarks of the train pictures, where forgeries are made of them: ``(n, 5, 2)``,
            NaN where none were found.
        boxes: Main face of each train picture, where crops are made around it: ``(n, 4)``, NaN
            where none was found.
        landmarks: Of the same faces, where forgeries in place of fakes follow them: ``(n, 5, 2)``,
            NaN where none was found.
        forged: Whether the forgeries in ``validation`` were made for this run.
    """

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    unreadable: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    digests: str = ""
    points: NDArray[np.float32] | None = None
    boxes: NDArray[np.float32] | None = None
    landmarks: NDArray[np.float32] | None = None
    forged: bool = False

    def box(self, index: int) -> Box | None:
        """Return the box of the main face of a train picture, where it is known."""
        if self.boxes is None or index >= len(self.boxes):
            return None
        x1, y1, x2, y2 = (float(v) for v in self.boxes[index])
        return None if np.isnan(x1) else (x1, y1, x2, y2)


def survey(
    samples: Sequence[Sample],
    *,
    where: str,
    skip_unreadable: bool,
    watch: Callable[[Iterable[T], int], Iterable[T]],
    forging: bool = False,
) -> Survey:
    """Read every train and validation picture once, before training.

    Args:
        samples: Samples of all splits.
        where: The data sets' names, for messages.
        skip_unreadable: Leave unreadable pictures out instead of stopping.
        watch: Wraps an iterable for a progress bar: ``(items, total) → items``.
        forging: Allow a split without fakes, as forgeries will be made.

    Raises:
        DatasetError: A class is empty, pictures are unreadable (all are listed), or one file has
            both labels.
    """
    used = [s for s in samples if s.split in ("train", "validation")]
    for split in ("train", "validation"):
        require_both_classes(used, split, where, fakes=not forging)
    digests = np.zeros((len(used), 32), np.uint8)  # bytes, as there may be millions
    bad: dict[int, MesoscopeError] = {}
    order = _as_they_lie(used)
    answers = map_ordered(_read_once, (used[i] for i in order), threads=cores())
    for i, answer in zip(order, watch(answers, len(used)), strict=True):  # type: ignore[arg-type]
        if isinstance(answer, MesoscopeError):
            bad[i] = answer
        else:
            digests[i] = np.frombuffer(bytes.fromhex(answer), np.uint8)  # type: ignore[arg-type]
    if bad and not skip_unreadable:
        changed = any(isinstance(error, DatasetError) for error in bad.values())
        listing = "\n  ".join(str(bad[i]) for i in sorted(bad))
        raise DatasetError(
            f"{where}: unreadable{' or changed' if changed else ''} pictures: {len(bad)}; mend or "
            f"remove them, or leave them out with `skip_unreadable`:\n  {listing}"
        )
    whole = [i for i in range(len(used)) if i not in bad]
    good, digests = [used[i] for i in whole], digests[whole]
    repeats = _repeats(good, digests, where)
    kept = [s for s, repeat in zip(good, repeats, strict=True) if not repeat]
    for split in ("train", "validation"):
        require_both_classes(kept, split, where, fakes=not forging)
    return Survey(
        train=tuple(s for s in kept if s.split == "train"),
        validation=tuple(s for s in kept if s.split == "validation"),
        unreadable=tuple(str(bad[i]) for i in sorted(bad)),
        repeated=tuple(s.file for s, repeat in zip(good, repeats, strict=True) if repeat),
        digests=_identity(good, digests),
    )


def _as_they_lie(samples: Sequence[Sample]) -> list[int]:
    """Return indices in reading order: shards from front to back."""
    order = range(len(samples))
    return sorted(order, key=lambda i: (samples[i].shard, samples[i].offset))


def _identity(good: Sequence[Sample], digests: NDArray[np.uint8]) -> str:
    whole = hashlib.sha256()
    for sample, digest in zip(good, digests, strict=True):
        text = f"{digest.tobytes().hex()} {sample.label} {sample.split} {sample.source}\n"
        whole.update(text.encode())
    return whole.hexdigest()


def _read_once(sample: Sample) -> str | MesoscopeError:
    try:
        data = sample_bytes(sample)
        decode(data, sample.file)
        return checked_sha256(sample, data)
    except MesoscopeError as error:
        return error


def _repeats(good: Sequence[Sample], digests: NDArray[np.uint8], where: str) -> NDArray[np.bool_]:
    """Mask of train pictures whose file is in validation too, ``(n,)``.

    Raises:
        DatasetError: One file has both labels.
    """
    rows = np.ascontiguousarray(digests).view(">u8")  # (n, 4)
    content = np.unique(rows, axis=0, return_inverse=True)[1].ravel()  # (n,) a code per file
    labels = np.array([s.label for s in good], np.int64)
    n, n_fake = np.bincount(content), np.bincount(content, labels)
    both = np.flatnonzero((n_fake > 0) & (n_fake < n))
    if len(both):
        those = np.flatnonzero(content == content[np.isin(content, both)][0])
        first = those[0]
        other = those[labels[those] != labels[first]][0]
        raise DatasetError(
            f"{where}: the same file stands under both labels: {good[first].file} and "
            f"{good[other].file}: remove one"
        )
    validation = np.array([s.split == "validation" for s in good], bool)
    return np.asarray(np.isin(content, content[validation]) & ~validation)


def draw_epoch(
    samples: Sequence[Sample], keys: DataKeys, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the order of one epoch, balanced as the recipe says.

    Each source and class is sampled without replacement until all its pictures were drawn.

    Args:
        samples: The train split.
        keys: Balance and length of the epoch.
        rng: Source of the order.

    Returns:
        ``(images_per_epoch,)`` indices into ``samples``.
    """
    decks: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        decks[sample.source, sample.label].append(index)
    sizes: dict[str, int] = defaultdict(int)
    for (source, _), deck in decks.items():
        sizes[source] += len(deck)
    classes = {source: sum(s == source for s, _ in decks) for source in sizes}
    total = keys.images_per_epoch or len(samples)
    weights = np.array(
        [
            sizes[source] ** keys.source_power
            * (1 / classes[source] if keys.balance_classes else len(deck) / sizes[source])
            for (source, _), deck in decks.items()
        ]
    )
    ends = np.rint(np.cumsum(weights / weights.sum()) * total).astype(int)
    counts = np.diff(ends, prepend=0)
    dealt = []
    for deck, count in zip(decks.values(), counts, strict=True):
        rounds = -(-int(count) // len(deck))
        dealt.append(np.concatenate([rng.permutation(deck) for _ in range(rounds)])[:count]
                     if rounds else np.zeros(0, np.int64))  # fmt: skip
    return np.asarray(rng.permutation(np.concatenate(dealt)), np.int64)


def training_crop(
    sample: Sample,
    recipe: Recipe,
    key: tuple[int, ...],
    reals: Sequence[Sample] = (),
    forge: ForgeryMaker | None = None,
    face: Box | None = None,
    face_of: Callable[[Sample], Box | None] | None = None,
    makers: Makers | None = None,
    *,
    view: int = 0,
) -> Pixels:
    """Return one augmented crop, ``(256, 256, 3) uint8``.

    Args:
        sample: The sample to crop.
        recipe: The augmentation.
        key: Seed of the augmentation.
        reals: Real pictures of the same source; a forgery of one may replace a fake.
        forge: Makes forgeries; in a pair, ``reals`` holds only the real picture before.
        face: Box of its face, in a pair that of the real picture; the crop may be made around it.
        face_of: Returns the box of a real picture that replaces it.
        makers: Makes what replaces fakes; ``None`` makes those that need no preparation.
        view: Number of the augmentation, from 0; others show the same picture or forgery.
    """
    rng = np.random.default_rng((*key, 1 + view) if view else key)
    blend = np.random.default_rng((*key, 1))  # separate stream, so that pairs are augmented alike
    behind = reals[0] if len(reals) == 1 else None
    made = None if forge is None else forge.shown(sample, key, behind=behind)
    if made is None and sample.label == 1 and reals:
        made = (makers or Makers(recipe.augment)).made(reals, blend)
    pixels, of = (open_sample(sample), None) if made is None else made
    if of is not None and face_of is not None:
        face = face_of(of)
    return augment(
        pixels, rng, recipe.augment, margin=recipe.data.crop_margin, size_px=INPUT_PX, face=face
    )


def reals_by_source(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Group the real pictures by source."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.label == 0:
            found[sample.source].append(sample)
    return dict(found)


def plain_crop(sample: Sample, margin: float) -> Pixels:
    """Return one crop as inference sees it, ``(256, 256, 3) uint8``."""
    frame = Frame(open_sample(sample), sample.file)
    face = whole_face(frame)
    return crop(frame.pixels, face.box, margin=margin, size_px=INPUT_PX)


def batches(crops: Iterable[Pixels], size: int) -> Iterator[NDArray[np.uint8]]:
    """Stack crops of one shape to ``(n, *shape) uint8``, ``n`` = ``size`` except for the last."""
    stack: list[Pixels] = []
    for one in crops:
        stack.append(one)
        if len(stack) == size:
            yield np.stack(stack)
            stack = []
    if stack:
        yield np.stack(stack)
