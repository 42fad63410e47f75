"""What is trained on: the survey before the first epoch, the draw of each epoch, the batches."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mesoscope.ahead import ahead, cores
from mesoscope.data.manifest import Sample, require_both_classes
from mesoscope.data.picture import checked_sha256, open_sample, sample_bytes
from mesoscope.errors import DatasetError, MesoscopeError
from mesoscope.faces.crop import crop
from mesoscope.faces.whole import whole_face
from mesoscope.media.image import decode
from mesoscope.training.augment import augment
from mesoscope.training.self_blend import self_blend
from mesoscope.types import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from mesoscope.training.forging import Forge
    from mesoscope.training.recipe import Recipe
    from mesoscope.training.recipe_keys import DataKeys
    from mesoscope.types import Pixels

T = TypeVar("T")

INPUT_PX = 256  # the head's size fixes it


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found when every picture was read once.

    Attributes:
        train: To train on.
        validation: To choose and calibrate by.
        unreadable: What could not be read, with the reason; left out.
        repeated: Train pictures left out because validation holds the same file.
        digests: SHA-256 of all files' digests, labels, splits and sources in order: the identity of
            the data.
        points: Landmarks of the train pictures, where forgeries are to be made of them:
            ``(n, 5, 2)``, not a number where none were found.
        forged: The forgeries in ``validation`` were made for this run.
    """

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    unreadable: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    digests: str = ""
    points: NDArray[np.float32] | None = None
    forged: bool = False


def survey(
    samples: Sequence[Sample],
    *,
    where: str,
    skip_unreadable: bool,
    watch: Callable[[Iterable[T], int], Iterable[T]],
    forging: bool = False,
) -> Survey:
    """Read every train and validation picture once, before anything is trained.

    Args:
        samples: All of them.
        where: The data sets' names, for messages.
        skip_unreadable: Leave unreadable pictures out instead of stopping.
        watch: Wraps the work for a progress bar: ``(items, total) → items``.
        forging: Forgeries will be made, so fakes may be missing.

    Raises:
        DatasetError: An empty class, unreadable pictures (all are listed), or one file under
            both labels.
    """
    used = [s for s in samples if s.split in ("train", "validation")]
    for split in ("train", "validation"):
        require_both_classes(used, split, where, fakes=not forging)
    answers = list(watch(ahead(_read_once, used, threads=cores()), len(used)))  # type: ignore[arg-type]
    bad = [str(answer) for answer in answers if isinstance(answer, Exception)]
    if bad and not skip_unreadable:
        listing = "\n  ".join(bad)
        raise DatasetError(
            f"{where}: unreadable pictures: {len(bad)}; mend or remove them, or leave them out "
            f"with --skip-unreadable:\n  {listing}"
        )
    good = [(s, a) for s, a in zip(used, answers, strict=True) if isinstance(a, str)]
    _refuse_two_labels(good, where)
    held = {digest for s, digest in good if s.split == "validation"}
    repeated = [s for s, digest in good if s.split == "train" and digest in held]
    train = [s for s, digest in good if s.split == "train" and digest not in held]
    validation = [s for s, _ in good if s.split == "validation"]
    kept = train + validation
    for split in ("train", "validation"):
        require_both_classes(kept, split, where, fakes=not forging)
    return Survey(
        train=tuple(train),
        validation=tuple(validation),
        unreadable=tuple(bad),
        repeated=tuple(str(s.path) for s in repeated),
        digests=_identity(good),
    )


def _identity(good: Sequence[tuple[Sample, str]]) -> str:
    lines = (f"{digest} {s.label} {s.split} {s.source}\n" for s, digest in good)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _read_once(sample: Sample) -> str | MesoscopeError:
    try:
        data = sample_bytes(sample)
        decode(data, sample.file)
        return checked_sha256(sample, data)
    except MesoscopeError as error:
        return error


def _refuse_two_labels(good: Sequence[tuple[Sample, str]], where: str) -> None:
    labels: dict[str, Sample] = {}
    for sample, digest in good:
        other = labels.setdefault(digest, sample)
        if other.label != sample.label:
            raise DatasetError(
                f"{where}: the same file stands under both labels: {other.path} and "
                f"{sample.path}: remove one"
            )


def draw(samples: Sequence[Sample], keys: DataKeys, rng: np.random.Generator) -> NDArray[np.int64]:
    """The order of one epoch, balanced as the recipe says.

    Each source and class is dealt like a deck of cards: none comes a second time before all
    have come once.

    Args:
        samples: The train split.
        keys: Balance and length.
        rng: Decides the order.

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
    forge: Forge | None = None,
) -> Pixels:
    """One augmented crop, ``(256, 256, 3) uint8``.

    Args:
        sample: Whose crop.
        recipe: What to do to it.
        key: Seeds its changes.
        reals: Real pictures of the same source; one of them may stand in for a fake, blended into
            itself.
        forge: Makes forgeries; in a pair, ``reals`` is the real picture before alone.
    """
    rng = np.random.default_rng(key)
    blend = np.random.default_rng((*key, 1))  # its own, so that pairs are changed alike after it
    behind = reals[0] if len(reals) == 1 else None
    made = None if forge is None else forge.picture(sample, key, behind=behind)
    if made is not None:
        pixels = made
    elif sample.label == 1 and reals and blend.random() < recipe.augment.self_blend:
        real = reals[int(blend.integers(len(reals)))]
        pixels = self_blend(open_sample(real), blend)
    else:
        pixels = open_sample(sample)
    return augment(pixels, rng, recipe.augment, margin=recipe.data.crop_margin, size_px=INPUT_PX)


def reals_by_source(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """The real pictures of each source that has some."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.label == 0:
            found[sample.source].append(sample)
    return dict(found)


def plain_crop(sample: Sample, margin: float) -> Pixels:
    """One crop as inference sees it, ``(256, 256, 3) uint8``."""
    frame = Frame(open_sample(sample), sample.file)
    face = whole_face(frame)
    return crop(frame.pixels, face.box, margin=margin, size_px=INPUT_PX)


def batches(crops: Iterable[Pixels], size: int) -> Iterator[NDArray[np.uint8]]:
    """Stack crops to ``(n, 256, 256, 3) uint8``, ``n`` = ``size`` but for the last."""
    stack: list[Pixels] = []
    for one in crops:
        stack.append(one)
        if len(stack) == size:
            yield np.stack(stack)
            stack = []
    if stack:
        yield np.stack(stack)
