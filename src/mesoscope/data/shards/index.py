"""Index tar files without a manifest; the members of one key are a sample, as in WebDataset.

Each sample must have one picture and one label: ``label`` in its ``.json``, or its ``.cls``. A
numeric label needs a ``classnames.txt`` beside the tars, as public sets disagree on the meaning of
1. Other members are ignored.
"""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mesoscope.data.sample import LABELS, SPLIT_NAMES, SPLITS, Sample
from mesoscope.errors import DatasetError
from mesoscope.errors.failures import cause
from mesoscope.media.kinds import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

CLASS_NAMES = "classnames.txt"
_MOST_TEXT_BYTES = 1 << 20  # of a .json or a .cls
_PICTURES = frozenset(suffix[1:] for suffix in PICTURE_SUFFIXES)
_TEXTS = ("json", "cls")
_KEYS = ("label", "source", "method", "group", "split", "sha256", "row")
_NO_ROW = 1 << 60
_BLOCK = tarfile.BLOCKSIZE


def tars_of(root: Path) -> list[Path]:
    """Return the tar files at the root of a data set, or in folders of its splits."""
    folders = [root, *(p for p in root.iterdir() if p.name.lower() in SPLIT_NAMES and p.is_dir())]
    return sorted(p for folder in folders for p in folder.glob("*.tar") if p.is_file())


def read_tars(root: Path, tars: Sequence[Path]) -> list[Sample]:
    """Read the samples of tar files, which takes a while.

    Args:
        root: Root of the data set.
        tars: Its tar files.

    Returns:
        The samples. Shards written by mesoscope keep the order of their source data set; others are
        sorted by key.

    Raises:
        DatasetError: A tar is truncated or compressed, a key occurs twice, or a sample lacks a
            picture, label or split.
    """
    names = _class_names(root)
    found = []
    for tar in tars:
        for key, members in _keys(tar):
            metadata = _metadata(f"{tar}: sample {key}", members)
            row = int(metadata["row"]) if metadata.get("row", "").isdecimal() else _NO_ROW
            found.append((row, key, _sample(root, tar, key, members, metadata, names)))
    found.sort(key=lambda one: (one[0], one[1], one[2].file))
    return [sample for *_, sample in found]


class _Member(NamedTuple):
    """A file in a tar; ``text`` only for small text files."""

    name: str
    offset: int
    size: int
    text: str | None


def _keys(tar: Path) -> Iterator[tuple[str, dict[str, _Member]]]:
    """Yield a tar's samples: key and members by extension."""
    seen: set[str] = set()
    key, members = "", dict[str, _Member]()
    for member in _members(tar):
        folder, slash, base = member.name.rpartition("/")
        stem, _, extension = base.partition(".")
        if not stem:
            continue  # such as .DS_Store
        here, extension = folder + slash + stem, extension.lower()
        if here != key or extension in members:
            if here in seen:
                raise DatasetError(
                    f"{tar}: {member.name}: this key was there before: members of one sample "
                    "stand side by side, and each sample has a key of its own"
                )
            if members:
                yield key, members
            seen.add(here)
            key, members = here, {}
        members[extension] = member
    if members:
        yield key, members


def tar_members(name: str, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar; between two, the file's position may be changed.

    Args:
        name: Name of the tar, for messages.
        file: The tar, opened for reading by seeking.

    Raises:
        DatasetError: It is cut off, compressed, or no tar.
    """
    try:
        with tarfile.open(fileobj=file, mode="r:") as opened:
            while (info := opened.next()) is not None:
                # tarfile keeps all members, and a set has millions.
                opened.members.clear()  # type: ignore[attr-defined]
                yield info
            file.seek(opened.offset)
            if len(file.read(_BLOCK)) < _BLOCK:
                raise DatasetError(f"{name}: is cut off, it has no end mark: fetch it again")
    except (tarfile.TarError, EOFError) as error:
        raise DatasetError(
            f"{name}: cannot be read as a tar: {error}: fetch it again, or unpack it if it is "
            "compressed"
        ) from error


def _members(tar: Path) -> Iterator[_Member]:
    try:
        with tar.open("rb") as file:
            for info in tar_members(str(tar), file):
                if info.isreg() and not info.issparse():
                    small = info.name.rpartition(".")[2].lower() in _TEXTS
                    text = _text(tar, file, info) if small else None
                    yield _Member(info.name, info.offset_data, info.size, text)
    except OSError as error:
        raise DatasetError(f"{tar}: cannot be read: {cause(error)}") from error


def _text(tar: Path, file: BinaryIO, info: tarfile.TarInfo) -> str:
    if info.size > _MOST_TEXT_BYTES:
        raise DatasetError(f"{tar}: {info.name} has {info.size:,} bytes: it is no label")
    file.seek(info.offset_data)
    try:
        return file.read(info.size).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{tar}: {info.name} is not UTF-8 text: {error.reason}") from error


def _sample(
    root: Path,
    tar: Path,
    key: str,
    members: dict[str, _Member],
    metadata: dict[str, str],
    names: Sequence[str],
) -> Sample:
    where = f"{tar}: sample {key}"
    pictures = [members[e] for e in members if e in _PICTURES]
    if len(pictures) != 1:
        has = ", ".join(f".{e}" for e in members)
        raise DatasetError(f"{where}: must have one picture (.jpg, .png, .webp …), it has {has}")
    if "label" not in metadata:
        raise DatasetError(f"{where}: no label: give it a .json with one, or a .cls")
    split = metadata.get("split") or _split_of(tar)
    if split.lower() not in SPLIT_NAMES:
        raise DatasetError(
            f"{where}: split {split!r} is none of {', '.join(SPLITS)}: say it in the .json, or in "
            "the tar's name, as in train-000000.tar"
        )
    relative = tar.relative_to(root).as_posix() + "/" + pictures[0].name
    return Sample(
        (root / relative).as_posix(),
        _label(where, metadata["label"], names),
        metadata.get("source") or root.resolve().name,
        metadata.get("group") or relative,
        SPLIT_NAMES[split.lower()],
        metadata.get("sha256", ""),
        metadata.get("method", ""),
        tar.as_posix(),
        pictures[0].offset,
        pictures[0].size,
    )


def _metadata(where: str, members: dict[str, _Member]) -> dict[str, str]:
    """Return the metadata in the sample's texts."""
    metadata: dict[str, str] = {}
    if "json" in members:
        try:
            read = json.loads(members["json"].text or "")
        except ValueError as error:
            raise DatasetError(f"{where}: its .json cannot be read: {error}") from error
        if not isinstance(read, dict):
            raise DatasetError(f'{where}: its .json must be an object, as in {{"label": …}}')
        metadata = {k: str(read[k]).strip() for k in _KEYS if read.get(k) is not None}
    if "label" not in metadata and "cls" in members:
        metadata["label"] = (members["cls"].text or "").strip()
    return metadata


def _label(where: str, label: str, names: Sequence[str]) -> int:
    name = label
    if label.isdecimal():
        if not names:
            raise DatasetError(
                f"{where}: label {label}: public sets disagree on what 1 is: put a {CLASS_NAMES} "
                "beside the tars, the name of class 0 in its first line"
            )
        name = names[int(label)] if int(label) < len(names) else label
    if name.lower() not in LABELS:
        raise DatasetError(f"{where}: label {name!r} is neither real nor fake")
    return LABELS[name.lower()]


def refuse_broken(samples: Iterable[Sample]) -> None:
    """Refuse shards that are missing, or shorter than their manifest says.

    Raises:
        DatasetError: A shard is missing or too short.
    """
    ends: dict[str, int] = {}
    for sample in samples:
        if shard := sample.shard:
            ends[shard] = max(ends.get(shard, 0), sample.offset + sample.size)
    for shard, end in ends.items():
        try:
            size = Path(shard).stat().st_size
        except OSError as error:
            raise DatasetError(
                f"{shard}: a shard that the manifest names cannot be opened: {cause(error)}"
            ) from error
        if size < end:
            raise DatasetError(
                f"{shard}: is cut off: it has {size:,} bytes, and its manifest says that pictures "
                f"lie up to {end:,}: fetch it again"
            )


def _class_names(root: Path) -> list[str]:
    path = root / CLASS_NAMES
    if not path.is_file():
        return []
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read: {cause(error)}") from error
    if any(name.lower() not in LABELS for name in names):
        raise DatasetError(f"{path}: each line must be real or fake, it has {', '.join(names)}")
    return names


def _split_of(tar: Path) -> str:
    """Return the split by the tar's name, ``train-0003.tar``, or its folder's."""
    begin = re.split(r"[^a-z]", tar.name.lower(), maxsplit=1)[0]
    return begin if begin in SPLIT_NAMES else tar.parent.name
