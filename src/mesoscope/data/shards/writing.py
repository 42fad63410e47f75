"""Write a data set as shuffled tar shards, with a manifest of positions.

A shard is a plain tar file. A sample is the members of one key, side by side, as in WebDataset:
``000000042.jpg``, the picture's original file, and ``000000042.json``, its row of the manifest and
the row's number. Keys count the samples in packing order, so a key reveals no class.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tarfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mesoscope.data.manifest import MANIFESTS, read_dataset, row_of, write_manifest
from mesoscope.data.sample import SPLITS, checked_sha256, sample_bytes
from mesoscope.errors import DatasetError, MissingExtra, OutputError
from mesoscope.errors.failures import cause, failure
from mesoscope.runtime.threads import cores, map_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mesoscope.data.sample import Sample

FURTHER = {"original": str, "offset": int, "size": int}  # additional columns of a shards' manifest
SIZE_BYTES = 256 << 20
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class WrittenShards:
    """Result of writing shards.

    Attributes:
        pictures: Number of pictures.
        shards: Names of the tar files, in order.
        size_bytes: Total size.
    """

    pictures: int
    shards: tuple[str, ...]
    size_bytes: int


def write_shards(
    root: Path,
    out: Path,
    *,
    size_bytes: int = SIZE_BYTES,
    seed: int = 1,
    parquet: bool = False,
    watch: Callable[[int], None] | None = None,
) -> WrittenShards:
    """Write a data set as tar shards.

    Each split has its own shards, ``train-000000.tar`` and on. Pictures are packed in random order,
    groups and classes mixed, so that sequential reads are mixed. The pictures' bytes are copied,
    not re-encoded. The same data set and seed give the same bytes. The manifest keeps the rows'
    order, so training draws the same samples as from the folder.

    Args:
        root: The data set.
        out: A new or empty folder; it appears when complete.
        size_bytes: Largest size of a shard.
        seed: Seed of the order.
        parquet: Write ``manifest.parquet`` instead of ``manifest.csv``.
        watch: Called after each picture, with the total.

    Raises:
        DatasetError: As for :func:`mesoscope.data.manifest.read_dataset`, or a picture's SHA-256
            differs from the manifest.
        SourceError: A picture is not readable.
        OutputError: ``out`` holds files, or is not writable.
        MissingExtra: Parquet is asked for and pyarrow is not installed.
    """
    if parquet and find_spec("pyarrow") is None:
        raise MissingExtra("pyarrow", extra="parquet")
    samples = read_dataset(root)
    if not out.name:  # "." and "/" cannot be replaced
        raise OutputError(f"{out}: is no folder of the shards' own: name a new folder")
    part = out.with_name(f".{out.name}.part")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise OutputError(f"{out}: holds files already: name a new folder")
        shutil.rmtree(part, ignore_errors=True)  # of a killed run
        part.mkdir(parents=True)
        written = _write(samples, root, part, size_bytes, seed, parquet, watch)
        if out.exists():
            out.rmdir()
        part.rename(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {cause(error)}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return written


def write_index(root: Path, *, parquet: bool = False) -> tuple[Path, int]:
    """Write the manifest of shards that have none.

    Args:
        root: Folder with the tar files.
        parquet: Write ``manifest.parquet`` instead of ``manifest.csv``.

    Returns:
        The manifest, and its number of pictures.

    Raises:
        DatasetError: There is a manifest already, there are no tar files, or one is not valid; see
            :func:`mesoscope.data.shards.index.read_tars`.
        OutputError: The file is not writable.
        MissingExtra: Parquet is asked for and pyarrow is not installed.
    """
    there = [root / name for name in MANIFESTS if (root / name).exists()]
    if there:
        raise DatasetError(f"{there[0]}: is there already: move it away to write another")
    samples = read_dataset(root)
    if not all(sample.shard for sample in samples):
        raise DatasetError(f"{root}: holds pictures in folders, which need no index")
    rows = ({**row_of(s, root), "offset": s.offset, "size": s.size} for s in samples)
    path = root / MANIFESTS[parquet]
    return path, write_manifest(path, rows, further={"offset": int, "size": int})


def _write(
    samples: Sequence[Sample], root: Path, part: Path, size_bytes: int, seed: int, parquet: bool,
    watch: Callable[[int], None] | None,
) -> WrittenShards:  # fmt: skip
    where: list[tuple[str, int, int, str]] = [("", 0, 0, "")] * len(samples)
    shards: list[str] = []
    place = 0
    for number, split in enumerate(SPLITS):
        rows = np.array([i for i, s in enumerate(samples) if s.split == split], np.int64)
        order = np.random.default_rng((seed, number)).permutation(rows).tolist()
        read = map_ordered(lambda i: _read(samples[i], i), order, threads=cores())
        with contextlib.closing(_Shards(part, split, size_bytes)) as tars:
            for i, data, digest in read:
                row = {**row_of(samples[i], root), "sha256": digest, "row": i}
                name, place = f"{place:09}", place + 1
                tar, offset = tars.add(name, _suffix(samples[i]), data, row)
                where[i] = (f"{tar}/{name}{_suffix(samples[i])}", offset, len(data), digest)
                if watch is not None:
                    watch(len(samples))
        shards += tars.names
    write_manifest(
        part / MANIFESTS[parquet],
        _rows(samples, where, root), further=FURTHER,
    )  # fmt: skip
    size = sum((part / name).stat().st_size for name in shards)
    return WrittenShards(len(samples), tuple(shards), size)


def _read(sample: Sample, row: int) -> tuple[int, bytes, str]:
    try:
        data = sample_bytes(sample)
        return row, data, checked_sha256(sample, data)
    except Exception as error:
        raise failure(sample.file, error) from error


def _suffix(sample: Sample) -> str:
    return Path(sample.file).suffix.lower()


def _rows(
    samples: Sequence[Sample], where: Sequence[tuple[str, int, int, str]], root: Path
) -> Iterator[dict[str, object]]:
    for sample, (path, offset, size, digest) in zip(samples, where, strict=True):
        row = row_of(sample, root)
        place = {"path": path, "sha256": digest, "offset": offset, "size": size}
        yield {**row, "original": row["path"], **place}


class _Shards:
    """Tar files of one split, one of them open."""

    def __init__(self, folder: Path, split: str, size_bytes: int) -> None:
        self.names: list[str] = []
        self._folder, self._split, self._size_bytes = folder, split, size_bytes
        self._tar: tarfile.TarFile | None = None

    def add(self, key: str, suffix: str, data: bytes, row: dict[str, object]) -> tuple[str, int]:
        """Write a sample; return the shard's name and the offset of the picture's bytes."""
        text = json.dumps(row, ensure_ascii=True).encode()
        tar = self._tar
        if tar is None or tar.offset + _in_tar(data, text) > self._size_bytes:
            tar = self._next()
        offset = tar.offset + _BLOCK  # names are short, so a header is one block
        for name, content in ((key + suffix, data), (key + ".json", text)):
            info = tarfile.TarInfo(name)  # fixed time and owner: the same bytes each time
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        return self.names[-1], offset

    def close(self) -> None:
        """Close the open file with its end mark."""
        if self._tar is not None:
            self._tar.close()
        self._tar = None

    def _next(self) -> tarfile.TarFile:
        self.close()
        self.names.append(f"{self._split}-{len(self.names):06}.tar")
        path = self._folder / self.names[-1]
        self._tar = tarfile.open(path, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed by close()
        return self._tar


def _in_tar(*members: bytes) -> int:
    """Return the tar size of members, with their headers."""
    return sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for data in members)
