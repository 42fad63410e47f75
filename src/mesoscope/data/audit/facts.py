"""Read file facts of all pictures in one pass, one column per fact."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mesoscope.data.audit.header import (
    LEAST_PX,
    THUMBNAIL_PX,
    PixelFeatures,
    pixel_features,
    read_header,
    suffix_matches,
)
from mesoscope.data.audit.options import AuditOptions, Watch, no_progress
from mesoscope.data.sample import sample_bytes
from mesoscope.errors.failures import failure
from mesoscope.media.image import decode, source_name
from mesoscope.runtime.threads import cores, map_ordered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.data.manifest import Sample


# Folders that name the class or the split are not facts.
_OF_THE_LAYOUT = frozenset(
    ("real", "fake", "train", "training", "validation", "val", "valid", "test", "0_real", "1_fake")
)
_RUNS = re.compile(r"[0-9]+|[a-z]+|[A-Z]+|[^0-9a-zA-Z]+")
_LONGEST = 40  # longest value of a fact, in characters


def read_name(name: str) -> tuple[dict[str, str], dict[str, float]]:
    """Return the facts of a picture's path.

    Args:
        name: Path within the data set, with ``/`` as separator.

    Returns:
        Categories: ``folder`` without the folders of class and split, ``name_shape`` (``a4_95`` of
        ``real_00001``: runs of letters as ``a`` or ``A``, of digits as ``9``, each with its
        length), ``name_words`` (its runs of three letters and more). Numbers: ``name_length`` and
        ``name_number``, the last run of digits.
    """
    path = PurePosixPath(name)
    stem = path.stem
    folders = [part for part in path.parts[:-1] if part.lower() not in _OF_THE_LAYOUT]
    runs = _RUNS.findall(stem)
    digits = [run for run in runs if run.isdigit()]
    words = [run.lower() for run in runs if run.isalpha() and len(run) > 2]
    facts = {
        "folder": "/".join(folders) or "none",
        "name_shape": "".join(map(_shape, runs))[:_LONGEST],
        "name_words": " ".join(words)[:_LONGEST] or "none",
    }
    numbers = {"name_length": float(len(stem))}
    if digits:
        numbers["name_number"] = float(int(digits[-1][-9:]))
    return facts, numbers


def _shape(run: str) -> str:
    if run.isdigit():
        return f"9{len(run)}"
    if run.isalpha() and run.isascii():
        return f"{'A' if run.isupper() else 'a'}{len(run)}"
    return run


Codes = NDArray[np.int32]
Floats = NDArray[np.float32]

_HOURS_FROM = dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc).timestamp()


@dataclass(frozen=True, slots=True)
class Category:
    """A categorical fact.

    Attributes:
        codes: ``(n,)``, index into ``values``; -1 where the fact is missing.
        values: Distinct values.
    """

    codes: Codes
    values: tuple[str, ...]

    def of(self, number: int) -> str:
        """Return the value of one picture; empty where the fact is missing."""
        code = int(self.codes[number])
        return self.values[code] if code >= 0 else ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of all pictures; row ``i`` of each column is ``samples[i]``.

    Attributes:
        samples: The samples that were read.
        labels: ``(n,)``, 1 = fake, 0 = real.
        sources: Names of the sources.
        splits: ``train``, ``validation`` and ``test``.
        groups: ``(n,)``, group codes; groups of two sources are never equal.
        names: ``(n,)``, each picture's path in findings.
        categories: Columns by name, such as ``format``.
        numbers: ``(n,) float32`` by name, such as ``width``; NaN where the fact is missing.
        sha256: ``(n, 32) uint8``; zeros where the file could not be read.
        hashes: ``(n, 2) uint64``: perceptual hashes of the picture and of its mirror image.
        thumbnails: ``(n, 16, 16) uint8``, grey.
        unreadable: Reasons by row.
    """

    samples: tuple[Sample, ...]
    labels: NDArray[np.int8]
    sources: Category
    splits: Category
    groups: Codes
    names: tuple[str, ...]
    categories: dict[str, Category]
    numbers: dict[str, Floats]
    sha256: NDArray[np.uint8]
    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]
    unreadable: dict[int, str] = field(default_factory=dict)

    @property
    def readable(self) -> NDArray[np.bool_]:
        """``(n,)``: mask of pictures that could be decoded."""
        mask = np.ones(len(self.samples), bool)
        mask[list(self.unreadable)] = False
        return mask

    def rows_of(self, source: str) -> NDArray[np.bool_]:
        """Return the mask ``(n,)`` of a source's pictures; of all for the empty name."""
        if not source:
            return np.ones(len(self.samples), bool)
        of: NDArray[np.bool_] = self.sources.codes == self.sources.values.index(source)
        return of


class CategoryBuilder:
    """Builds a :class:`Category` row by row; rows never set lack the fact."""

    def __init__(self, rows: int) -> None:
        self._codes = np.full(rows, -1, np.int32)
        self._known: dict[str, int] = {}

    def set(self, row: int, value: str) -> None:
        """Set one row's value."""
        self._codes[row] = self._known.setdefault(value, len(self._known))

    def done(self) -> Category:
        """Return the column."""
        return Category(self._codes, tuple(self._known))


class _FileFacts(NamedTuple):
    """Facts of one file, passed from a thread to the columns."""

    words: dict[str, str]
    numbers: dict[str, float]
    sha256: bytes
    look: PixelFeatures | None
    error: str


def read_facts(
    samples: Sequence[Sample],
    *,
    root: Path | None = None,
    options: AuditOptions | None = None,
    watch: Watch = no_progress,
) -> Facts:
    """Read every picture once and decode it at most once, in parallel.

    Args:
        samples: Samples to read.
        root: Pictures below it are named by relative path.
        options: Number of threads and the limit of pixels.
        watch: Wraps the iteration for a progress bar.

    Returns:
        The columns: about a kilobyte a picture.
    """
    options = options or AuditOptions()
    samples = tuple(samples)
    names = tuple(name_of(sample, root) for sample in samples)
    rows = len(samples)
    words: dict[str, CategoryBuilder] = {}
    numbers: dict[str, Floats] = {}
    digests = np.zeros((rows, 32), np.uint8)
    hashes = np.zeros((rows, 2), np.uint64)
    thumbnails = np.zeros((rows, THUMBNAIL_PX, THUMBNAIL_PX), np.uint8)
    unreadable: dict[int, str] = {}

    def one(item: tuple[Sample, str]) -> _FileFacts:
        return _read(*item, max_pixels=options.max_pixels)

    work = map_ordered(one, zip(samples, names, strict=True), threads=options.threads or cores())
    for row, read in enumerate(watch("Reading", work, rows)):
        for name, value in read.words.items():
            words.setdefault(name, CategoryBuilder(rows)).set(row, value)
        for name, number in read.numbers.items():
            numbers.setdefault(name, np.full(rows, np.nan, np.float32))[row] = number
        digests[row] = np.frombuffer(read.sha256 or bytes(32), np.uint8)
        if read.look is None:
            unreadable[row] = read.error
        else:
            hashes[row], thumbnails[row] = read.look.hashes, read.look.thumbnail
    return Facts(
        samples=samples,
        labels=np.array([sample.label for sample in samples], np.int8),
        sources=_category([sample.source for sample in samples]),
        splits=_category([sample.split for sample in samples]),
        groups=_category([f"{sample.source}\n{sample.group}" for sample in samples]).codes,
        names=names,
        categories={name: column.done() for name, column in words.items()},
        numbers=numbers,
        sha256=digests,
        hashes=hashes,
        thumbnails=thumbnails,
        unreadable=unreadable,
    )


def name_of(sample: Sample, root: Path | None) -> str:
    """Return a picture's path for findings."""
    name = source_name(sample.path)
    if root is not None and Path(name).is_relative_to(root):
        return Path(name).relative_to(root).as_posix()
    return Path(name).as_posix()


def _read(sample: Sample, name: str, *, max_pixels: int) -> _FileFacts:
    words, numbers = read_name(name)
    path = sample.path
    if isinstance(path, Path):
        numbers |= _date(path)
    digest = b""
    try:
        data = sample_bytes(sample, max_pixels=max_pixels)
        digest = hashlib.sha256(data).digest()
        look = _pixel_facts(data, name, words, numbers, max_pixels=max_pixels)
    except Exception as error:  # noqa: BLE001 - one file does not end the audit
        return _FileFacts(words, numbers, digest, None, str(failure(name, error)))
    return _FileFacts(words, numbers, digest, look, "")


def _pixel_facts(
    data: bytes, name: str, words: dict[str, str], numbers: dict[str, float], *, max_pixels: int
) -> PixelFeatures:
    """Read facts of a file's header and pixels into categories and numbers."""
    suffix = Path(name).suffix
    header = read_header(data, suffix)
    words |= header.words
    numbers |= header.numbers
    words["suffix_fits"] = (
        "yes" if suffix_matches(header.kind, suffix) else f"no: holds {header.kind}"
    )
    pixels = decode(data, name, max_pixels=max_pixels, least_px=LEAST_PX)
    width, height = header.size or pixels.shape[1::-1]
    words["size"] = f"{width}×{height}"
    numbers |= {
        "width": width,
        "height": height,
        "aspect": width / height,
        "bits_per_pixel": 8 * len(data) / (width * height),
    }
    look = pixel_features(pixels)
    numbers |= {
        "brightness": look.brightness,
        "spread": look.spread,
        "sharpness": look.sharpness,
    }
    return look


def _date(path: Path) -> dict[str, float]:
    """Modification time in hours since 2000; ``float32`` resolves minutes of it."""
    try:
        return {"date": (path.stat().st_mtime - _HOURS_FROM) / 3600}
    except OSError:
        return {}


def _category(values: list[str]) -> Category:
    words = CategoryBuilder(len(values))
    for row, value in enumerate(values):
        words.set(row, value)
    return words.done()
