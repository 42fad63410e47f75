"""``mesoscope shards``."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.options import FiniteRange, WholeRange
from mesoscope.cli.printing import columns, echo, escape_text
from mesoscope.cli.progress import bar
from mesoscope.errors import DatasetError

if TYPE_CHECKING:
    from mesoscope.data.sample import Sample

_MEGABYTE = 1_000_000
_HEADER = ("shard", "split", "pictures", "real", "fake", "MB")

_parquet = click.option(
    "--parquet", is_flag=True, help="Write manifest.parquet instead of manifest.csv."
)
_dataset = click.argument("dataset", type=click.Path(path_type=Path))


@click.group("shards")
def command() -> None:
    """Pack data sets into tar shards, and list or check them.

    Many small files are slow to copy and to read; a few tar files (WebDataset's format) are not.
    train, evaluate and audit accept the folder like any other data set.
    """


@command.command("write")
@_dataset
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the shards and their manifest, new or empty.",
)  # fmt: skip
@click.option(
    "--size-mb", type=FiniteRange(0, min_open=True), default=256, show_default=True,
    help="Maximum size of a shard in megabytes.",
)  # fmt: skip
@click.option(
    "--seed", type=WholeRange(0), default=1, show_default=True,
    help="Seed of the packing order.",
)  # fmt: skip
@_parquet
def write(dataset: Path, *, out: Path, size_mb: float, seed: int, parquet: bool) -> None:
    """Pack a data set into shards.

    The pictures' bytes are copied unchanged, in a random order, so that sequential reading mixes
    them. The folder appears when it is complete.
    """
    from mesoscope.data.shards.writing import write_shards

    with bar() as progress:

        def watch(total: int) -> None:
            progress.total = total
            progress.update()

        written = write_shards(
            dataset, out, size_bytes=int(size_mb * _MEGABYTE), seed=seed, parquet=parquet,
            watch=watch,
        )  # fmt: skip
    echo(
        f"{out}: {written.pictures:,} pictures in {len(written.shards):,} shards, "
        f"{written.size_bytes / _MEGABYTE:,.1f} MB"
    )


@command.command("list")
@_dataset
@click.option(
    "--check", is_flag=True, help="Read every picture and compare its SHA-256 with the manifest's."
)
def list_shards(dataset: Path, *, check: bool) -> int:
    """List the shards of a data set: split, pictures, classes, size.

    --check takes any data set, packed or not. Exit codes: 0 no fault, 1 a picture cannot be read or
    differs from the manifest.
    """
    from mesoscope.data.manifest import read_dataset

    samples = read_dataset(dataset)
    shards: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.shard:
            shards[sample.shard].append(sample)
    if not shards and not check:
        raise DatasetError(f"{dataset}: it has no shards: make some with mesoscope shards write")
    if shards:
        echo("\n".join(_table(shards, dataset)))
    return _check(samples) if check else DONE


@command.command("index")
@_dataset
@_parquet
def index(dataset: Path, *, parquet: bool) -> None:
    """Write a manifest for tar files that have none.

    Without a manifest, every command scans the tar files first. Tar files that other commands
    reject are rejected here, too.
    """
    from mesoscope.data.shards.writing import write_index

    path, count = write_index(dataset, parquet=parquet)
    echo(f"{path}: {count:,} pictures")


def _table(shards: dict[str, list[Sample]], root: Path) -> list[str]:
    rows = [_HEADER]
    for shard, members in sorted(shards.items()):
        classes = Counter(sample.label for sample in members)
        rows.append(
            (
                Path(shard).relative_to(root).as_posix(),
                ", ".join(sorted({sample.split for sample in members})),
                f"{len(members):,}",
                f"{classes[0]:,}",
                f"{classes[1]:,}",
                f"{Path(shard).stat().st_size / _MEGABYTE:,.1f}",
            )
        )
    return columns(rows, right=range(2, len(_HEADER)))


def _check(samples: list[Sample]) -> int:
    """Read all pictures, print their faults and counts, and return the exit code."""
    from mesoscope.data.sample import verify_samples

    faults = 0
    for fault in bar(verify_samples(samples), total=len(samples)):
        if fault is not None:
            faults += 1
            echo(f"mesoscope: {escape_text(str(fault))}", err=True)
    unknown = sum(not sample.sha256 for sample in samples)
    unchecked = f"; {unknown:,} have no SHA-256 in the manifest" if unknown else ""
    echo(f"{len(samples) - faults:,} of {len(samples):,} pictures are intact{unchecked}")
    return INPUT_FAILED if faults else DONE
