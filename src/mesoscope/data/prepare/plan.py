"""Options of a preparation, and its plan."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mesoscope.data.layouts.recognise import LAYOUTS, read_set
from mesoscope.data.prepare.work import ItemJob, name_of
from mesoscope.data.split import SHARES, assign_splits
from mesoscope.errors import DatasetError, ModelMissing, OptionError
from mesoscope.errors.failures import cause
from mesoscope.types import DEFAULT_MAX_PIXELS, DetectOptions
from mesoscope.types.options import option_infos

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mesoscope.data.layouts.item import Item, Reading
    from mesoscope.types import Json


SPLITTINGS = ("official", "group")
FORMATS = ("png", "jpg")


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """Options of a preparation.

    Attributes:
        frames: Number of frames from each clip and folder of frames, evenly spaced.
        faces: Face finder, one of :data:`~mesoscope.types.FINDERS`; the same for both classes.
        finder_model: Model file of the finder, if it needs one that is not shipped.
        split: ``official`` keeps the set's own splits if any, ``group`` draws new ones.
        shares: Shares of train, validation and test in drawn splits.
        donors_apart: Leave out fakes whose donor is in another split.
        quality: A compression (``c23``), if the set has several.
        margin: Side of the crop in longest sides of the face's box; does not apply to pictures that
            are taken whole.
        size_px: Side of the crops.
        format: ``png`` or ``jpg``, for crops of both classes.
        jpeg_quality: Quality of ``jpg``, without chroma subsampling.
        limit: Most clips or pictures of each split, class and method; ``None`` for all.
        seed: Seed of the split and of the limited choice.
        all_faces: Keep every face instead of one: see :mod:`mesoscope.data.prepare.choice`.
        min_face_px: Smallest longest side of a face.
        max_pixels: Most pixels of a picture.
    """

    frames: int = 32
    faces: str = "auto"
    finder_model: str | None = None
    split: str = "official"
    shares: tuple[float, float, float] = SHARES
    donors_apart: bool = False
    quality: str | None = None
    margin: float = 1.3
    size_px: int = 256
    format: str = "png"
    jpeg_quality: int = 95
    limit: int | None = None
    seed: int = 0
    all_faces: bool = False
    min_face_px: int = 40
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        self.detect()  # checks the finder's options
        if self.split not in SPLITTINGS:
            raise OptionError(f"split must be one of {', '.join(SPLITTINGS)}, got {self.split!r}")
        if self.format not in FORMATS:
            raise OptionError(f"format must be one of {', '.join(FORMATS)}, got {self.format!r}")
        if len(self.shares) != 3 or min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise OptionError(
                "shares must be three numbers of 0 or more that add up to 1, for train, validation "
                f"and test, got {', '.join(f'{share:g}' for share in self.shares)}"
            )
        ranges = {
            "margin": (1, 10), "size_px": (16, 4096), "jpeg_quality": (1, 100),
            "limit": (1, float("inf")),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise OptionError(f"{name} must lie between {low} and {high}, got {value}")

    def detect(self) -> DetectOptions:
        """Return the options of the finder and of reading clips."""
        shared = [name for name, info in option_infos().items() if info.prepares]
        return DetectOptions(**{name: getattr(self, name) for name in shared})

    def identity(self, layout: str) -> dict[str, Json]:
        """Return everything that must be equal for two runs into one folder, ready for JSON.

        Args:
            layout: Name of the set's reader.

        Raises:
            ModelMissing: The finder's model file is missing.
        """
        values: dict[str, Json] = {"set": layout} | asdict(self)
        values["shares"] = list(self.shares)
        if self.finder_model is not None:  # the file may have moved, or another may be at its path
            values["finder_model"] = _digest(Path(self.finder_model))
        if self.format != "jpg":
            del values["jpeg_quality"]
        return values


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelMissing(f"{path}: cannot be read: {cause(error)}") from error


AUTO = "auto"  # recognise the layout
_PLAIN = "plain"  # the reader of plain folders
_BYTES = {"png": 1.76, "jpg": 0.4}  # per pixel of a photographed face; smooth faces take less


@dataclass(frozen=True, slots=True)
class PreparePlan:
    """The contents of a set, and what to do with it.

    Attributes:
        reading: Result of reading the set.
        terms: Terms of use, in a sentence.
        jobs: Items with their splits, in a stable order.
        left_out: Items that no split can take without splitting a group.
        at_most: Number of faces if each frame shows one.
        bytes_about: Estimate of their size on disk.
        notes: Notes on splits and groups.
    """

    reading: Reading
    terms: str
    jobs: tuple[ItemJob, ...]
    left_out: tuple[Item, ...]
    at_most: int
    bytes_about: int
    notes: tuple[str, ...]

    @property
    def root(self) -> Path:
        """Folder of the set."""
        return self.reading.root

    @property
    def source(self) -> str:
        """Name of the source in a manifest; for plain folders, the root's name."""
        layout = self.reading.layout
        return self.root.resolve().name or layout if layout == _PLAIN else layout

    def counted(self) -> Counter[tuple[str, int, str]]:
        """Return item counts by split, label and method."""
        return Counter((job.split, job.item.label, job.item.method) for job in self.jobs)


def make_plan(root: Path, *, layout: str = AUTO, options: PrepareOptions) -> PreparePlan:
    """Read a set and assign its items; no picture is opened.

    Args:
        root: Folder of the set, or one beside it that :func:`mesoscope.data.layouts.recognise`
            resolves.
        layout: Name of the reader; ``auto`` recognises it.
        options: The options.

    Raises:
        DatasetError: The folder is missing, or the set is unknown or empty.
    """
    reading = read_set(root, None if layout == AUTO else layout, options.quality)
    assigned = assign_splits(
        reading.items,
        shares=options.shares,
        seed=options.seed,
        official=options.split == "official",
        donors_apart=options.donors_apart,
    )
    items = assigned.items
    if options.limit is not None:
        items = limited(items, options.limit, options.seed)
    jobs = tuple(with_masks(items))
    _refuse_duplicate_names(jobs)
    faces = sum(options.frames if i.is_clip else min(len(i.paths), options.frames) for i in items)
    return PreparePlan(
        reading=reading,
        terms=LAYOUTS[reading.layout].terms,
        jobs=jobs,
        left_out=assigned.left_out,
        at_most=faces,
        bytes_about=int(faces * options.size_px**2 * _BYTES[options.format]),
        notes=assigned.notes,
    )


def limited(items: Sequence[Item], limit: int, seed: int) -> tuple[Item, ...]:
    """Keep at most so many items of each split, class and method.

    Groups are taken in one random order for all, so that a real clip and the forgeries made from it
    stay together as far as the limit allows.
    """
    order = {item.group: b"" for item in items}
    for group in order:
        text = f"{seed} {group}".encode("utf-8", "surrogateescape")
        order[group] = hashlib.sha256(text).digest()
    count: Counter[tuple[str, int, str]] = Counter()
    taken = set()
    for item in sorted(items, key=lambda item: (order[item.group], item.name)):
        key = (item.split or "", item.label, item.method)
        if count[key] < limit:
            count[key] += 1
            taken.add(item.name)
    return tuple(item for item in items if item.name in taken)


def with_masks(items: Sequence[Item]) -> list[ItemJob]:
    """Pair items with the masks or counterparts that identify their faces.

    A real item has the mask of a forgery that was made from it, and that forgery itself.
    """
    masks: dict[str, Path] = {}
    forgeries: dict[str, Path] = {}
    originals = {item.name: item.paths[0] for item in items if item.is_clip and not item.label}
    for item in items:
        if item.label == 1 and item.original:
            if item.mask is not None:
                masks.setdefault(item.original, item.mask)
            if item.is_clip:
                forgeries.setdefault(item.original, item.paths[0])
    jobs = []
    for item in items:
        if item.label == 1:
            mask, other = item.mask, originals.get(item.original)
        else:
            mask, other = masks.get(item.name), forgeries.get(item.name)
        jobs.append(ItemJob(item, item.split or "", mask, other if item.is_clip else None))
    return jobs


def _refuse_duplicate_names(jobs: Iterable[ItemJob]) -> None:
    """Refuse two items that would write the same file: names and digests must be unique."""
    seen: dict[str, str] = {}
    for job in jobs:
        digest = name_of(job.item.name)
        if digest in seen:
            raise DatasetError(
                f"{job.item.name}: and {seen[digest]} would be written to the same files: rename "
                "one of them"
            )
        seen[digest] = job.item.name
