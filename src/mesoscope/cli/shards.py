"""``mesoscope shards``."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mesoscope.cli.bars import bar
from mesoscope.cli.echo import echo, visible
from mesoscope.cli.main import DONE, INPUT_FAILED
from mesoscope.cli.numbers import FiniteRange, WholeRange
from mesoscope.errors import DatasetError

if TYPE_CHECKING:
    from mesoscope.data.sample import Sample

MEGABYTE = 1_000_000
HEAD = ("shard", "split", "pictures", "real", "fake", "MB")
WORDS = 2  # columns that are no numbers

_parquet = click.option(
    "--parquet", is_flag=True, help="Write manifest.parquet in place of manifest.csv."
)
_dataset = click.argument("dataset", type=click.Path(path_type=Path))


@click.group("shards")
def command() -> None:
    """Pack data sets into tar files, and look through them.

    A data set of many small files is slow to copy and to read; packed into a few tar files
    (WebDataset's) it is not. train, evaluate and audit take the folder as any other data set.
    """


@command.command("write")
@_dataset
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False),
    help="A new folder for the shards and their manifest.",
)  # fmt: skip
@click.option(
    "--size-mb", type=FiniteRange(0, min_open=True), default=256, show_default=True,
    help="A shard is closed before it grows beyond so many megabytes.",
)  # fmt: skip
@click.option(
    "--seed", type=WholeRange(0), default=1, show_default=True,
    help="Of the order in which the pictures are packed.",
)  # fmt: skip
@_parquet
def write(dataset: Path, *, out: Path, size_mb: float, seed: int, parquet: bool) -> None:
    """Pack a data set into shards.

    The pictures' bytes are copied as they are, in an order drawn by --seed, so that reading front
    to back mixes them. The folder appears when it is whole.
    """
    from mesoscope.data.shards.writing import write_shards

    with bar() as shown:

        def watch(total: int) -> None:
            shown.total = total
            shown.update()

        written = write_shards(
            dataset, out, size_bytes=int(size_mb * MEGABYTE), seed=seed, parquet=parquet,
            watch=watch,
        )  # fmt: skip
    echo(
        f"{out}: {written.pictures:,} pictures in {len(written.shards):,} shards, "
        f"{written.size_bytes / MEGABYTE:,.1f} MB"
    )


@command.command("list")
@_dataset
@click.option(
    "--check", is_flag=True, help="Read every picture and compare its SHA-256 with the manifest's."
)
def list_shards(dataset: Path, *, check: bool) -> int:
    """List the shards of a data set: split, pictures, classes, size.

    --check takes any data set, packed or not. Exit codes: 0 all is well, 1 a picture cannot be read
    or is not the manifest's.
    """
    from mesoscope.data.manifest import read_dataset

    samples = read_dataset(dataset)
    shards: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.shard:
            shards[sample.shard].append(sample)
    if not shards and not check:
        raise DatasetError(f"{dataset}: its pictures lie in no shards: mesoscope shards write")
    if shards:
        echo("\n".join(_table(shards, dataset)))
    return _checked(samples) if check else DONE


@command.command("index")
@_dataset
@_parquet
def index(dataset: Path, *, parquet: bool) -> None:
    """Write a manifest for shards that have none, such as those of others.

    Without one, every command looks through the tar files first. What a command would refuse is
    refused here, too.
    """
    from mesoscope.data.shards.writing import write_index

    path, count = write_index(dataset, parquet=parquet)
    echo(f"{path}: {count:,} pictures")


def _table(shards: dict[str, list[Sample]], root: Path) -> list[str]:
    rows = [HEAD]
    for shard, members in sorted(shards.items()):
        classes = Counter(sample.label for sample in members)
        rows.append(
            (
                Path(shard).relative_to(root).as_posix(),
                ", ".join(sorted({sample.split for sample in members})),
                f"{len(members):,}",
                f"{classes[0]:,}",
                f"{classes[1]:,}",
                f"{Path(shard).stat().st_size / MEGABYTE:,.1f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < WORDS else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _checked(samples: list[Sample]) -> int:
    """Read all pictures, name the wrong ones, say how many there were of each kind."""
    from mesoscope.data.shards.checking import faults_of

    wrong = 0
    for fault in bar(faults_of(samples), total=len(samples)):
        if fault is not None:
            wrong += 1
            echo(f"mesoscope: {visible(str(fault))}", err=True)
    unknown = sum(not sample.sha256 for sample in samples)
    told = f"; of {unknown:,} no SHA-256 is known" if unknown else ""
    echo(f"{len(samples) - wrong:,} of {len(samples):,} pictures are well{told}")
    return INPUT_FAILED if wrong else DONE
